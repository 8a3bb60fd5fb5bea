// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Texts kept under the SHA-256 of the whole, such as the rows that a job is to forget.
///
/// The text lies in blob objects; a small list of them (kind 5) lies at `datasets/ab/<id>`.
extension ObjectStore {
    /// Stores a text, durably; its id is its SHA-256.
    /// - Throws: ``CheckpointError``: `.storageFull`, `.ioFailure`.
    package func putDataset(_ text: [UInt8]) throws -> Digest {
        let id = ContentHash.of(text)
        let transaction = try begin()
        defer { transaction.close() }
        var regions: [Manifest.Region] = []
        for region in ChunkPlan(blobOfSize: text.count).regions {
            let stored = try text.withUnsafeBytes {
                try transaction.put(
                    UnsafeRawBufferPointer(rebasing: $0[region.offset..<region.offset + region.size]),
                    kind: .blob)
            }
            regions.append(Manifest.Region(id: stored.id, size: region.size))
        }
        try transaction.sync()
        let list = Self.datasetList(id, text.count, regions)
        try store("dataset \(id.short)") {
            try codecs.with { codec in
                try list.withUnsafeBytes { bytes in
                    let file = try codec.encode(bytes, id: ContentHash.of(bytes), kind: .dataset, dtype: nil)
                    try transaction.publish(file, as: datasetPath(id))
                }
            }
        }
        transaction.touched(datasetPath(id))
        try transaction.sync()
        return id
    }

    /// Reads a text and checks it against its id.
    /// - Throws: ``CheckpointError``: `.missing`, `.corrupt`, `.newerFormat`, `.ioFailure`.
    package func readDataset(_ id: Digest) throws -> [UInt8] {
        let list = try datasetRegions(id)
        var text: [UInt8] = []
        text.reserveCapacity(list.reduce(0) { $0 + $1.size })
        for region in list {
            let bytes = try get(region.id)
            guard bytes.count == region.size else { throw broken(id, "lists an object with another size") }
            text += bytes
        }
        guard ContentHash.of(text) == id else { throw broken(id, "does not hash to its id") }
        return text
    }

    /// The ids of all texts, in order.
    package func listDatasets() throws -> [Digest] {
        try store("the list of datasets") {
            var found: [Digest] = []
            for first in try fileSystem.list(root + "/datasets") where first.utf8.count == 2 {
                for name in try fileSystem.list(root + "/datasets/" + first) {
                    if let id = Digest(hex: name), name.hasPrefix(first) { found.append(id) }
                }
            }
            return found.sorted()
        }
    }

    /// Forgets a text, durably; false when it was not there. Its objects become garbage unless others use them.
    package func removeDataset(_ id: Digest) throws -> Bool {
        let path = datasetPath(id)
        return try store("dataset \(id.short)") {
            guard try fileSystem.status(path) != nil else { return false }
            try fileSystem.unlink(path)
            try fileSystem.synchronizeDirectory(root + "/datasets/" + id.hex.prefix(2))
            return true
        }
    }

    /// The objects that a text lies in.
    func datasetRegions(_ id: Digest) throws -> [Manifest.Region] {
        let bytes = try read(path: datasetPath(id), "dataset \(id.short)") { file, header, codec in
            let raw = try Self.decode(file, header, codec)
            guard header.kind == .dataset, ContentHash.of(raw) == header.id else { throw ObjectFault.content }
            return raw
        }
        let value: JSONValue
        do {
            value = try StrictJSON.parse(bytes, limits: StrictJSON.Limits(depth: 4, values: 4_000_000))
        } catch {
            throw broken(id, "is not strict JSON: \(error)")
        }
        guard value["schema"]?.integerValue == 1 else {
            throw CheckpointError(
                .newerFormat, "dataset \(id.short) has a schema that this version does not know")
        }
        guard value["sha256"]?.stringValue == id.hex, let size = value["size"]?.integerValue,
            let regions = try value["regions"]?.arrayValue?.map(Manifest.region),
            Int64(regions.reduce(0) { $0 + $1.size }) == size,
            Self.datasetList(id, Int(size), regions) == bytes
        else { throw broken(id, "has a list that contradicts itself") }
        return regions
    }

    private static func datasetList(_ id: Digest, _ size: Int, _ regions: [Manifest.Region]) -> [UInt8] {
        let value: JSONValue = [
            "schema": 1, "sha256": .string(id.hex), "size": .integer(Int64(size)),
            "regions": .array(regions.map(Manifest.json)),
        ]
        return value.serialized(sortedKeys: true)
    }

    func datasetPath(_ id: Digest) -> String { "\(root)/datasets/\(id.hex.prefix(2))/\(id.hex)" }

    private func broken(_ id: Digest, _ rule: String) -> CheckpointError {
        CheckpointError(.corrupt, "dataset \(id.short) \(rule)", hint: "submit the dataset again")
    }
}
