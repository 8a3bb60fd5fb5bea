// SPDX-License-Identifier: Apache-2.0

/// The processes that do one job together, and what they tell each other.
///
/// Every call but those on rows is made by all ranks, in the same order. Sums are taken in the order of the ranks, in
/// our own code, so that the same number of ranks gives the same bits, whatever carries the bytes.
package final class Ranks: Sendable {
    /// One process by itself.
    package static let alone = Ranks()

    /// Values of all ranks' pieces that are in memory while values are summed: 8 MiB.
    static let scratch = 1 << 21

    /// This process, counted from 0; the first one speaks for all.
    package let rank: Int
    /// How many there are.
    package let count: Int
    let transport: (any RankTransport)?

    private init() { (rank, count, transport) = (0, 1, nil) }

    /// The ranks that `transport` connects.
    package init(_ transport: any RankTransport) {
        (rank, count, self.transport) = (transport.rank, transport.count, transport)
    }

    package var isFirst: Bool { rank == 0 }
    package var isAlone: Bool { count == 1 }
    var others: [Int] { (0..<count).filter { $0 != rank } }

    /// The rows of a batch that this rank computes: a run of them, one more or less than another rank's.
    package func share(_ rows: [Int]) -> [Int] {
        Array(rows[rows.count * rank / count..<rows.count * (rank + 1) / count])
    }

    /// The most rows of a batch of `rows` that any rank computes.
    package static func rowsPerRank(_ rows: Int, count: Int) -> Int { (rows + count - 1) / count }

    // MARK: Small things

    /// The bytes of each rank, in order; all have as many.
    package func gather(_ own: [UInt8]) throws -> [[UInt8]] {
        guard let transport else { return [own] }
        var all = [UInt8](repeating: 0, count: own.count * count)
        all.replaceSubrange(rank * own.count..<(rank + 1) * own.count, with: own)
        try all.withUnsafeMutableBytes { buffer in
            let parts = (0..<count).map {
                UnsafeMutableRawBufferPointer(rebasing: buffer[$0 * own.count..<($0 + 1) * own.count])
            }
            try transport.exchange(
                sends: others.map { ($0, UnsafeRawBufferPointer(parts[rank])) },
                receives: others.map { ($0, parts[$0]) })
        }
        return (0..<count).map { Array(all[$0 * own.count..<($0 + 1) * own.count]) }
    }

    /// The number of each rank, in order.
    package func gather(_ own: Double) throws -> [Double] {
        try gather(withUnsafeBytes(of: own.bitPattern.littleEndian) { Array($0) }).map { bytes in
            Double(bitPattern: bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) })
        }
    }

    /// The sum over the ranks.
    package func sum(_ own: Double) throws -> Double {
        guard !isAlone else { return own }
        return try gather(own).reduce(0, +)
    }

    /// What the first rank says.
    package func firstSays(_ own: Bool) throws -> Bool { try gather([own ? 1 : 0])[0] == [1] }

    /// The bytes of the first rank, whatever the others have.
    package func fromFirst(_ own: [UInt8]) throws -> [UInt8] {
        guard let transport else { return own }
        let size = Int(try gather(Double(own.count))[0])
        var bytes = isFirst ? own : [UInt8](repeating: 0, count: size)
        try bytes.withUnsafeMutableBytes { buffer in
            try transport.exchange(
                sends: isFirst ? others.map { ($0, UnsafeRawBufferPointer(buffer)) } : [],
                receives: isFirst ? [] : [(0, buffer)])
        }
        return bytes
    }

    /// Waits until all ranks are here.
    package func meet() throws { _ = try gather([0]) }

    /// The losses of the whole step, of which each rank has the summands of its rows.
    func sum(_ own: StepLosses) throws -> StepLosses {
        guard !isAlone else { return own }
        var losses = own
        losses.loss = try sum(own.loss)
        losses.forget = try own.forget.map { try sum($0) }
        losses.retain = try own.retain.map { try sum($0) }
        for (name, value) in own.figures.sorted(by: { $0.key < $1.key }) {
            losses.figures[name] = try sum(value)
        }
        return losses
    }

    // MARK: Buffers

    /// Sums the ranks' values of each slice where its owner has them; elsewhere they are left as they are.
    func reduce(_ values: FloatStorage, _ slices: RankSlices, _ context: ComputeContext) throws {
        guard let transport else { return }
        let size = Self.scratch / count
        let pieces = (0..<count).map { slices.pieces(of: $0, size: size) }
        let scratch = try FloatStorage(count: size * count)
        for round in 0..<(pieces.map(\.count).max() ?? 0) {
            let own = pieces[rank].indices.contains(round) ? pieces[rank][round] : 0..<0
            try context.timed(.exchange) {
                try transport.exchange(
                    sends: others.compactMap { owner in
                        guard pieces[owner].indices.contains(round) else { return nil }
                        return (owner, UnsafeRawBufferPointer(values.bytes(pieces[owner][round])))
                    },
                    receives: own.isEmpty
                        ? [] : others.map { ($0, scratch.bytes($0 * size..<$0 * size + own.count)) })
            }
            context.forBlocks(of: 1 << 15, in: own.count, as: .exchange) { block, _ in
                let target = values.base + own.lowerBound + block.lowerBound
                (scratch.base + rank * size + block.lowerBound).update(from: target, count: block.count)
                target.update(from: scratch.base + block.lowerBound, count: block.count)
                for source in 1..<count {
                    let summand = scratch.base + source * size + block.lowerBound
                    for index in 0..<block.count { target[index] += summand[index] }
                }
            }
        }
    }

    /// Hands the values of each slice from its owner to all others.
    func spread(_ values: FloatStorage, _ slices: RankSlices) throws {
        guard let transport else { return }
        let pieces = (0..<count).map { slices.pieces(of: $0, size: Self.scratch) }
        for round in 0..<(pieces.map(\.count).max() ?? 0) {
            let own = pieces[rank].indices.contains(round) ? pieces[rank][round] : nil
            try transport.exchange(
                sends: own.map { own in others.map { ($0, UnsafeRawBufferPointer(values.bytes(own))) } }
                    ?? [],
                receives: others.compactMap { owner in
                    pieces[owner].indices.contains(round)
                        ? (owner, values.bytes(pieces[owner][round])) : nil
                })
        }
    }

    /// Sums the ranks' values in all ranks.
    func sumEverywhere(_ values: FloatStorage, _ ranges: [Range<Int>], _ context: ComputeContext) throws {
        let slices = RankSlices(ranges, count: count)
        try reduce(values, slices, context)
        try spread(values, slices)
    }

    /// Brings the values of `range` from their owners to the first rank.
    ///
    /// - Parameter target: Where they go there, as many as `range` has; the other ranks do not use it.
    func collect(
        _ values: FloatStorage, _ range: Range<Int>, _ slices: RankSlices, into target: FloatStorage
    ) throws {
        guard isFirst else {
            try transport?.exchange(
                sends: slices.owned(by: rank, of: range).map {
                    (0, UnsafeRawBufferPointer(values.bytes($0)))
                },
                receives: [])
            return
        }
        func place(_ part: Range<Int>) -> Range<Int> {
            part.lowerBound - range.lowerBound..<part.upperBound - range.lowerBound
        }
        for part in slices.owned(by: 0, of: range) {
            target.bytes(place(part)).copyMemory(from: UnsafeRawBufferPointer(values.bytes(part)))
        }
        try transport?.exchange(
            sends: [],
            receives: others.flatMap { owner in
                slices.owned(by: owner, of: range).map { (owner, target.bytes(place($0))) }
            })
    }
}

extension FloatStorage {
    /// The bytes of the values of `range`.
    func bytes(_ range: Range<Int>) -> UnsafeMutableRawBufferPointer {
        UnsafeMutableRawBufferPointer(
            start: base + range.lowerBound, count: range.count * MemoryLayout<Float>.stride)
    }
}
