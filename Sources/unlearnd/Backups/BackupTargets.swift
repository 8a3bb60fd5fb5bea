// SPDX-License-Identifier: Apache-2.0

import Protocol
import SystemPackage

/// The directories that backups may go to, by name. Nothing else is ever written to: clients give names.
package struct BackupTargets: Hashable, Sendable {
    /// Why a setting cannot be used.
    struct Fault: Error {
        var message: String
    }

    /// Absolute paths by name.
    package private(set) var directories: [String: String] = [:]

    /// No targets.
    package init() {}

    /// Reads `NAME=/DIRECTORY, NAME=/DIRECTORY`.
    /// - Parameter state: The state directory, which no target may lie in or around.
    init(parsing text: String, besides state: String) throws(Fault) {
        let own = FilePath(state).lexicallyNormalized()
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let entry = part.drop { $0 == " " }
            guard let equals = entry.firstIndex(of: "=") else {
                throw Fault(message: "\(entry.debugDescription) is not of the form NAME=/DIRECTORY")
            }
            let name = String(entry[..<equals])
            guard Self.isName(name) else {
                throw Fault(
                    message: "\(name.debugDescription) is no name: 1 to 64 of a-z, 0-9, '.', '_' and '-', "
                        + "the first a letter or digit")
            }
            let path = String(entry[entry.index(after: equals)...].reversed().drop { $0 == " " }.reversed())
            guard path.hasPrefix("/"), !path.contains("\0") else {
                throw Fault(message: "\(path.debugDescription) is no absolute path")
            }
            let directory = FilePath(path).lexicallyNormalized()
            guard !directory.starts(with: own), !own.starts(with: directory) else {
                throw Fault(message: "\(path) and the state directory \(state) lie in each other")
            }
            guard directories[name] == nil else { throw Fault(message: "\(name) is named twice") }
            if let other = directories.first(where: {
                FilePath($0.value).starts(with: directory) || directory.starts(with: FilePath($0.value))
            }) {
                throw Fault(message: "the directories of \(other.key) and \(name) lie in each other")
            }
            directories[name] = directory.string
        }
    }

    private static func isName(_ name: String) -> Bool {
        guard (1...64).contains(name.utf8.count), let first = name.utf8.first else { return false }
        func isPlain(_ byte: UInt8) -> Bool {
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
        }
        return isPlain(first) && name.utf8.allSatisfy { isPlain($0) || [0x2D, 0x2E, 0x5F].contains($0) }
    }

    /// The directory of that name.
    /// - Throws: `not_found`.
    func directory(_ name: String) throws(RPCError) -> String {
        guard let directory = directories[name] else {
            let known = directories.keys.sorted().joined(separator: ", ")
            throw RPCError(
                .notFound,
                "the configuration has no backup target \(String(name.prefix(80)).debugDescription)",
                hint: known.isEmpty ? "set backup_targets in unlearnd.yaml" : "it has: \(known)",
                field: "target")
        }
        return directory
    }
}
