// SPDX-License-Identifier: Apache-2.0

import Protocol

/// A `*.safetensors.index.json` file: which shard holds which tensor.
package struct ShardIndex: Hashable, Sendable {
    /// One entry of the weight map.
    package struct Entry: Hashable, Sendable {
        package var tensor: String
        /// A file name without any directory.
        package var shard: String
    }

    /// The weight map, in the file's order.
    package var entries: [Entry]
    /// What `metadata.total_size` states, bytes.
    package var totalSize: Int64?

    /// Largest index file, bytes.
    package static let limit = 32 << 20

    /// Reads an index; `path` is its name for messages.
    /// - Throws: ``CheckpointError`` `.invalidInput`.
    package init(json: [UInt8], path: String) throws(CheckpointError) {
        func invalid(_ rule: String) -> CheckpointError {
            CheckpointError(
                .invalidInput, "\(quoted(path)) \(rule)",
                hint: "save the model again, or remove a stray index")
        }
        let value: JSONValue
        do throws(StrictJSON.Failure) {
            value = try StrictJSON.parse(
                json, limits: StrictJSON.Limits(depth: 16, membersPerObject: 1_000_000, values: 2_000_000))
        } catch {
            throw invalid("is not strict JSON: \(error)")
        }
        guard let map = value["weight_map"]?.objectValue else { throw invalid("has no weight_map object") }
        entries = []
        entries.reserveCapacity(map.count)
        for member in map.members {
            guard let shard = member.value.stringValue else {
                throw invalid("maps tensor \(quoted(member.key)) to \(member.value.kindName)")
            }
            guard Self.isPlainName(shard) else {
                throw invalid(
                    "maps tensor \(quoted(member.key)) to \(quoted(shard)), which is not a plain file name")
            }
            entries.append(Entry(tensor: member.key, shard: shard))
        }
        totalSize = value["metadata"]?["total_size"]?.integerValue
    }

    /// Whether a name can only ever mean a file in the same directory, on any system.
    static func isPlainName(_ name: String) -> Bool {
        guard !name.isEmpty, name.utf8.count <= 255, name != ".", name != ".." else { return false }
        if let last = name.utf8.last, last == UInt8(ascii: ".") || last == UInt8(ascii: " ") { return false }
        return name.unicodeScalars.allSatisfy {
            switch $0 {
            case "/", "\\", ":", "%": false
            default: $0.value >= 0x20 && $0.value != 0x7F
            }
        }
    }
}
