// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Takes a model directory's files into a store.
package enum CheckpointImporter {
    /// What an import made.
    package struct Result: Sendable {
        package var manifest: Manifest
        package var manifestID: Digest
        /// Objects that were not there before, the manifest included.
        package var newObjects: Int
        /// Bytes of the new objects' files.
        package var storedBytes: Int
        /// What was accepted but looks odd.
        package var warnings: [String]
    }

    /// Imports the files, byte for byte.
    ///
    /// When it returns, everything is durable. Memory is bounded whatever the files' sizes: at most four threads
    /// work, each with one region. Headers are checked before anything is written.
    ///
    /// - Parameters:
    ///   - files: Opened files and what they are called in the model directory.
    ///   - store: Where they go.
    ///   - skipOtherWeights: Leave out weights of other formats instead of refusing them.
    ///   - threads: How many threads cut, compress and write.
    ///   - provenance: Kept in the manifest.
    ///   - limits: How long a safetensors header may be.
    ///   - progress: Called on this thread with bytes done and in all; throwing cancels.
    /// - Throws: ``CheckpointError``: `.invalidInput`, `.unsupported`, `.sourceChanged`, `.storageFull`,
    ///   `.ioFailure`; and what `progress` throws.
    package static func `import`(
        files: [ImportFile], store: ObjectStore, skipOtherWeights: Bool = false, threads: Int = 2,
        provenance: JSONObject = JSONObject(), limits: SafetensorsHeader.Limits = .init(),
        progress: (_ done: Int, _ total: Int) throws -> Void = { _, _ in }
    ) throws -> Result {
        let directory = try CheckpointDirectory(
            files, skipOtherWeights: skipOtherWeights, limits: limits, fileSystem: store.fileSystem)
        let members = directory.members
        let plans = members.map { member in
            member.header.map(ChunkPlan.init) ?? ChunkPlan(blobOfSize: member.source.size)
        }
        let pieces = plans.enumerated().flatMap { file, plan in plan.regions.map { (file: file, region: $0) }
        }
        let total = members.reduce(0) { $0 + $1.source.size }
        let transaction = try store.begin()
        defer { transaction.close() }

        let pipeline = OrderedPipeline<Void, Digest>(
            count: pieces.count, threads: threads, slotSize: ChunkPlan.grid,
            fill: { index, slot in
                let (file, region) = pieces[index]
                let target = UnsafeMutableRawBufferPointer(rebasing: slot[..<region.size])
                try members[file].source.read(target, at: region.offset)
                return (region.size, ())
            },
            work: { index, bytes, _ in
                let region = pieces[index].region
                return try transaction.put(bytes, kind: region.kind, dtype: region.dtype).id
            })
        var hashes = FileHashes(count: members.count)
        var done = 0
        try progress(0, total)
        let ids = try pipeline.run { index, bytes in
            hashes.update(pieces[index].file, bytes)
            done += bytes.count
            try progress(done, total)
        }
        var entries: [Manifest.File] = []
        var next = ids.startIndex
        for (index, (member, plan)) in zip(members, plans).enumerated() {
            try member.source.checkUnchanged()
            let own = ids[next..<next + plan.regions.count]
            next = own.endIndex
            entries.append(
                Manifest.File(
                    path: member.source.path, mode: member.source.mode, size: member.source.size,
                    sha256: hashes.finish(index), planner: plan.name,
                    regions: zip(own, plan.regions).map { Manifest.Region(id: $0, size: $1.size) }))
        }
        let manifest = Manifest(
            files: entries, headers: members.map(\.header), provenance: provenance, parent: nil)
        let id = try transaction.commit(manifest)
        return Result(
            manifest: manifest, manifestID: id, newObjects: transaction.written.objects,
            storedBytes: transaction.written.bytes, warnings: directory.warnings)
    }
}

/// The SHA-256 of several files whose bytes come one file after another.
struct FileHashes {
    private var finished: [Digest?]
    private var current = -1
    private var hash = ContentHash()

    init(count: Int) { finished = Array(repeating: nil, count: count) }

    mutating func update(_ file: Int, _ bytes: UnsafeRawBufferPointer) {
        if file != current {
            if current >= 0 { finished[current] = hash.finish() }
            hash = ContentHash()
            current = file
        }
        hash.update(bytes)
    }

    /// The digest of a file all of whose bytes have been given; of an empty one that never was.
    mutating func finish(_ file: Int) -> Digest {
        if let digest = finished[file] { return digest }
        let digest = file == current ? hash.finish() : ContentHash().finish()
        finished[file] = digest
        return digest
    }
}

extension StoreTransaction {
    /// Makes all objects durable, then the manifest that names them; returns its id.
    func commit(_ manifest: Manifest) throws -> Digest {
        try sync()
        let id = try put(manifest.serialized(), kind: .manifest).id
        try sync()
        return id
    }
}
