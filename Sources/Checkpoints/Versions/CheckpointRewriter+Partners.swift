// SPDX-License-Identifier: Apache-2.0

import Protocol

/// The processes that make one version together, in a store that all of them see. All make the same calls, in the same order.
package protocol RewritePartners: Sendable {
    /// This one, counted from 0.
    var rank: Int { get }
    /// How many there are.
    var count: Int { get }

    /// The values of each piece of some work, in the order of the pieces, in all partners: piece i is done by partner
    /// i mod ``count``.
    ///
    /// - Parameter body: Gets the numbers of this one's pieces, and returns the values of each.
    func divide<Value: BitwiseCopyable>(_ pieces: Int, _ body: ([Int]) throws -> [[Value]]) throws
        -> [[Value]]
}

extension RewritePartners {
    /// What the first one finds; the others do not look.
    package func first(_ body: () throws -> Digest) throws -> Digest {
        let found = try divide(1) { own in try own.map { _ in try body().bytes } }
        return try CheckpointRewriter.digest(found[0])
    }

    /// The sums over all.
    func sum(_ own: (objects: Int, bytes: Int)) throws -> (objects: Int, bytes: Int) {
        let all = try divide(count) { $0.map { _ in [own.objects, own.bytes] } }
        return all.reduce((0, 0)) { ($0.0 + $1[0], $0.1 + $1[1]) }
    }
}

/// A rewrite by several processes: first every one edits and stores each count-th region, then the files whose bytes are new
/// are hashed from end to end, each by one of them, from the stored objects.
extension CheckpointRewriter {
    /// What became of every piece, and the hashes of all files that have pieces.
    static func share(
        _ pieces: [Piece], of base: CheckpointReader, _ partners: any RewritePartners,
        in transaction: StoreTransaction, threads: Int, progress: (_ done: Int, _ total: Int) throws -> Void,
        transform: @escaping @Sendable (TensorSegment, UnsafeMutableRawBufferPointer) throws -> Bool
    ) throws -> (outcomes: [Outcome], hashes: [Int: Digest]) {
        let total = pieces.reduce(0) { $0 + $1.region.size }
        // Storing is the first half, hashing the second; the others are taken to be as far as this one.
        func half(_ done: Int) -> Int { min(total, done * partners.count) / 2 }
        let made = try partners.divide(pieces.count) { own in
            let own = own.map { pieces[$0] }
            var done = 0
            let outcomes = try store(own, of: base, in: transaction, threads: threads, transform) {
                done += $1.count
                try progress(half(done), total)
            }
            // What the others read, and what the manifest will name, is durable by then.
            try transaction.sync()
            return outcomes.map { $0.id.bytes.map(Int32.init) + $0.changed.map(Int32.init) }
        }
        let outcomes = try made.map {
            Outcome(id: try digest($0.prefix(32).map(UInt8.init)), changed: $0.dropFirst(32).map(Int.init))
        }
        var regions: [Int: [Manifest.Region]] = [:]
        for (piece, outcome) in zip(pieces, outcomes) {
            regions[piece.file, default: []].append(
                Manifest.Region(id: outcome.id, size: piece.region.size))
        }
        let files = regions.keys.sorted()
        var done = 0
        let hashes = try partners.divide(files.count) { own in
            try own.map { index in
                let (file, regions) = (base.manifest.files[files[index]], regions[files[index]] ?? [])
                if regions.map(\.id) == file.regions.map(\.id) { return file.sha256.bytes }
                return try hash(regions, in: base, threads: threads) {
                    done += $0
                    try progress(total / 2 + half(done), total)
                }.bytes
            }
        }
        try progress(total, total)
        return (
            outcomes, Dictionary(uniqueKeysWithValues: try zip(files, hashes).map { ($0, try digest($1)) })
        )
    }

    /// The hash of a file of these regions.
    private static func hash(
        _ regions: [Manifest.Region], in base: CheckpointReader, threads: Int,
        progress: (_ bytes: Int) throws -> Void
    ) throws -> Digest {
        var hash = ContentHash()
        let pipeline = OrderedPipeline<Void, Void>(
            count: regions.count, threads: threads, slotSize: ChunkPlan.grid,
            fill: { index, slot in
                let size = regions[index].size
                try base.decode(regions[index], into: UnsafeMutableRawBufferPointer(rebasing: slot[..<size]))
                return (size, ())
            }, work: { _, _, _ in })
        _ = try pipeline.run { _, bytes in
            hash.update(bytes)
            try progress(bytes.count)
        }
        return hash.finish()
    }

    /// - Throws: ``CheckpointError`` for bytes that are no digest: a partner of another version.
    static func digest(_ bytes: [UInt8]) throws(CheckpointError) -> Digest {
        guard let digest = Digest(bytes: bytes) else {
            throw CheckpointError(.corrupt, "a partner sent \(bytes.count) bytes for a digest")
        }
        return digest
    }
}
