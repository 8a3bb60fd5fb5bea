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
    ///   - progress: Called on this thread with bytes done and in all; throwing cancels.
    /// - Throws: ``CheckpointError``: `.missing`, `.corrupt`, `.storageFull`, `.ioFailure`; and what `transform`
    ///   and `progress` throw.
    package static func rewrite(
        base: CheckpointReader, threads: Int = 2, provenance: JSONObject = JSONObject(), parent: Digest?,
        attachments: [String: [UInt8]] = [:],
        progress: (_ done: Int, _ total: Int) throws -> Void = { _, _ in },
        transform: @escaping @Sendable (TensorSegment, UnsafeMutableRawBufferPointer) throws -> Bool
    ) throws -> Result {
        let manifest = base.manifest
        var pieces: [Piece] = []
        for file in Set(manifest.tensors.map(\.file)).sorted() {
            for (index, segments) in base.segments(file: file).enumerated() {
                pieces.append(
                    Piece(
                        file: file, index: index, region: manifest.files[file].regions[index],
                        segments: segments))
            }
        }
        let total = pieces.reduce(0) { $0 + $1.region.size }
        let transaction = try base.store.begin()
        defer { transaction.close() }
        let pipeline = OrderedPipeline<[Int], Outcome>(
            count: pieces.count, threads: threads, slotSize: ChunkPlan.grid,
            fill: { [pieces] index, slot in
                let piece = pieces[index]
                let bytes = UnsafeMutableRawBufferPointer(rebasing: slot[..<piece.region.size])
                try base.decode(piece.region, into: bytes)
                return (bytes.count, try piece.apply(transform, to: bytes))
            },
            work: { [pieces] index, bytes, touched in
                let piece = pieces[index]
                if touched.isEmpty { return Outcome(id: piece.region.id, changed: []) }
                let id = try transaction.put(bytes, kind: .chunk, dtype: piece.dtype).id
                return Outcome(id: id, changed: id == piece.region.id ? [] : touched)
            })
        var hashes = FileHashes(count: manifest.files.count)
        var done = 0
        try progress(0, total)
        let outcomes = try pipeline.run { [pieces] index, bytes in
            hashes.update(pieces[index].file, bytes)
            done += bytes.count
            try progress(done, total)
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
        for file in Set(pieces.map(\.file)) { files[file].sha256 = hashes.finish(file) }
        var result = Manifest(
            files: files, tensors: manifest.tensors, provenance: provenance, parent: parent)
        result.attachments = try attachments.sorted {
            $0.key.utf8.lexicographicallyPrecedes($1.key.utf8)
        }.map { try attach($0.key, $0.value, in: transaction) }
        let id = try transaction.commit(result)
        return Result(
            manifest: result, manifestID: id,
            changedTensors: manifest.tensors.map(\.name).filter(changed.contains), changedBytes: changedBytes,
            newObjects: transaction.written.objects, storedBytes: transaction.written.bytes)
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

    private struct Outcome: Sendable {
        var id: Digest
        /// Which of the piece's segments changed.
        var changed: [Int]
    }

    /// One region and the tensors in it.
    private struct Piece: Sendable {
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
