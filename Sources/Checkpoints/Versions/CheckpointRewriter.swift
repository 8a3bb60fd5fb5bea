// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Makes a version from another by changing bytes of its tensors in place.
///
/// Names, types, shapes, order, headers, sharding and every other file stay as they are, byte for byte.
package enum CheckpointRewriter {
    /// What a rewrite made.
    package struct Result: Sendable {
        package var manifest: Manifest
        package var manifestID: Digest
        /// Names of the tensors with at least one changed byte, in the manifest's order; empty when the edit
        /// changed nothing.
        package var changedTensors: [String]
        /// Bytes of the segments that changed.
        package var changedBytes: Int
        /// Objects that were not there before, the manifest included.
        package var newObjects: Int
        /// Bytes of the new objects' files.
        package var storedBytes: Int
    }

    /// Gives every segment of every tensor to `transform` and stores the outcome as a new version.
    ///
    /// Regions go through `threads` threads in parallel and in no order; whole-file hashes run over them in
    /// order. Memory is bounded by the threads (at most four are used), not by the model. A region whose bytes
    /// are as before keeps its object, even when `transform` says that it changed them. When it returns,
    /// everything is durable.
    ///
    /// - Parameters:
    ///   - base: The version to begin from.
    ///   - transform: Gets a segment and its bytes (little-endian, maybe unaligned), edits them in place, and
    ///     says whether it touched them. If not, the bytes must be as they came.
    ///   - attachments: Files to keep with the version, by name.
    ///   - partners: Who makes the version together, each with the same base and the same edit: every one stores some of
    ///     the regions, the first one the manifest. The bytes are those that one process makes, and all get them.
    ///   - progress: Called on this thread with bytes done and in all; throwing cancels.
    /// - Throws: ``CheckpointError``: `.missing`, `.corrupt`, `.storageFull`, `.ioFailure`; and what `transform`
    ///   and `progress` throw.
    package static func rewrite(
        base: CheckpointReader, threads: Int = 2, provenance: JSONObject = JSONObject(), parent: Digest?,
        attachments: [String: [UInt8]] = [:], partners: (any RewritePartners)? = nil,
        progress: (_ done: Int, _ total: Int) throws -> Void = { _, _ in },
        transform: @escaping @Sendable (TensorSegment, UnsafeMutableRawBufferPointer) throws -> Bool
    ) throws -> Result {
        let manifest = base.manifest
        let pieces = pieces(of: base)
        let total = pieces.reduce(0) { $0 + $1.region.size }
        let transaction = try base.store.begin()
        defer { transaction.close() }
        try progress(0, total)
        let outcomes: [Outcome]
        var hashes: [Int: Digest] = [:]
        if let partners {
            (outcomes, hashes) = try share(
                pieces, of: base, partners, in: transaction, threads: threads, progress: progress,
                transform: transform)
        } else {
            var running = FileHashes(count: manifest.files.count)
            var done = 0
            outcomes = try store(pieces, of: base, in: transaction, threads: threads, transform) {
                running.update(pieces[$0].file, $1)
                done += $1.count
                try progress(done, total)
            }
            for file in Set(pieces.map(\.file)) { hashes[file] = running.finish(file) }
        }
        var changed: Set<String> = []
        var changedBytes = 0
        var files = manifest.files
        for (piece, outcome) in zip(pieces, outcomes) {
            files[piece.file].regions[piece.index].id = outcome.id
            for index in outcome.changed {
                changed.insert(piece.segments[index].tensor.name)
                changedBytes += piece.segments[index].bytes.count
            }
        }
        for (file, hash) in hashes { files[file].sha256 = hash }
        var result = Manifest(
            files: files, tensors: manifest.tensors, provenance: provenance, parent: parent)
        func commit() throws -> Digest {
            result.attachments = try attachments.sorted {
                $0.key.utf8.lexicographicallyPrecedes($1.key.utf8)
            }.map { try attach($0.key, $0.value, in: transaction) }
            return try transaction.commit(result)
        }
        let id = try partners.map { try $0.first(commit) } ?? commit()
        if let partners, partners.rank > 0 {
            result = try CheckpointReader(store: base.store, manifestID: id).manifest
        }
        let written = try partners?.sum(transaction.written) ?? transaction.written
        return Result(
            manifest: result, manifestID: id,
            changedTensors: manifest.tensors.map(\.name).filter(changed.contains), changedBytes: changedBytes,
            newObjects: written.objects, storedBytes: written.bytes)
    }

    private static func pieces(of base: CheckpointReader) -> [Piece] {
        let manifest = base.manifest
        return Set(manifest.tensors.map(\.file)).sorted().flatMap { file in
            base.segments(file: file).enumerated().map { index, segments in
                Piece(
                    file: file, index: index, region: manifest.files[file].regions[index],
                    segments: segments)
            }
        }
    }

    /// Edits the pieces and stores them; `consume` gets each one's number and bytes, in order.
    static func store(
        _ pieces: [Piece], of base: CheckpointReader, in transaction: StoreTransaction, threads: Int,
        _ transform: @escaping @Sendable (TensorSegment, UnsafeMutableRawBufferPointer) throws -> Bool,
        consume: (Int, UnsafeRawBufferPointer) throws -> Void
    ) throws -> [Outcome] {
        let pipeline = OrderedPipeline<[Int], Outcome>(
            count: pieces.count, threads: threads, slotSize: ChunkPlan.grid,
            fill: { index, slot in
                let piece = pieces[index]
                let bytes = UnsafeMutableRawBufferPointer(rebasing: slot[..<piece.region.size])
                try base.decode(piece.region, into: bytes)
                return (bytes.count, try piece.apply(transform, to: bytes))
            },
            work: { index, bytes, touched in
                let piece = pieces[index]
                if touched.isEmpty { return Outcome(id: piece.region.id, changed: []) }
                let id = try transaction.put(bytes, kind: .chunk, dtype: piece.dtype).id
                return Outcome(id: id, changed: id == piece.region.id ? [] : touched)
            })
        return try pipeline.run(consume: consume)
    }

    private static func attach(
        _ path: String, _ bytes: [UInt8], in transaction: StoreTransaction
    ) throws -> Manifest.File {
        let plan = ChunkPlan(blobOfSize: bytes.count)
        let regions = try plan.regions.map { region in
            let part = bytes[region.offset..<region.offset + region.size]
            let id = try part.withUnsafeBytes {
                try transaction.put($0, kind: region.kind, dtype: region.dtype).id
            }
            return Manifest.Region(id: id, size: region.size)
        }
        return Manifest.File(
            path: path, mode: 0o644, size: bytes.count, sha256: ContentHash.of(bytes), planner: plan.name,
            regions: regions)
    }

    /// What became of a piece.
    struct Outcome: Sendable {
        var id: Digest
        /// Which of the piece's segments changed.
        var changed: [Int]
    }

    /// One region and the tensors in it.
    struct Piece: Sendable {
        var file: Int
        var index: Int
        var region: Manifest.Region
        var segments: [TensorSegment]

        /// The type of all its tensors, if it is one.
        var dtype: DType? {
            let types = Set(segments.map(\.tensor.dtype))
            return types.count == 1 ? types.first : nil
        }

        /// Edits the segments; returns those whose bytes are not what they were. A segment that fills the
        /// region needs no comparing: its new object's name will tell.
        func apply(
            _ transform: (TensorSegment, UnsafeMutableRawBufferPointer) throws -> Bool,
            to bytes: UnsafeMutableRawBufferPointer
        ) throws -> [Int] {
            var touched: [Int] = []
            for (index, segment) in segments.enumerated() {
                let part = UnsafeMutableRawBufferPointer(rebasing: bytes[segment.place])
                if segment.place.count == bytes.count {
                    if try transform(segment, part) { touched.append(index) }
                } else {
                    let before = Array(part)
                    let said = try transform(segment, part)
                    let same = before.withUnsafeBytes { equal($0, UnsafeRawBufferPointer(part)) }
                    if said, !same { touched.append(index) }
                }
            }
            return touched
        }
    }
}
