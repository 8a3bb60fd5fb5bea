// SPDX-License-Identifier: Apache-2.0

/// The sums of a step's gradients of sharded blocks: after each block of each backward pass every rank hands what it has to
/// the owners of the block's slices, and takes the memory for another block.
///
/// Ranks may have different passes, so each one's contributions are a stream of its own: an owner adds what comes first by
/// number of the pass, then from the last block to the first, then by rank. So the same number of ranks gives the same bits.
/// No rank is more than ``places`` blocks ahead of what its contributions are taken to. For use under the lock of
/// ``ParameterShards``.
final class ShardedGradients: @unchecked Sendable {
    /// Blocks whose gradients a rank holds at the same time: one that is computed, and one that is on its way.
    static let places = 2
    /// Pieces of which bytes may arrive at the same time; fewer where they would be of less than ``least`` values.
    private static let mostSlots = 4
    private static let least = 1 << 13

    /// What a contribution is ordered by.
    private struct Key: Hashable, Comparable {
        var pass: Int
        var layer: Int

        static func < (a: Key, b: Key) -> Bool { (a.pass, b.layer) < (b.pass, a.layer) }
    }

    /// Memory for the gradients of one block.
    private struct Place {
        let storage: FloatStorage
        /// The block that has it.
        var layer: Int?
        var sends: [RankTransfer] = []
        /// Whether the backward pass is adding to it.
        var isComputed = false
        /// Whether this rank's own slice of it is still to be added.
        var isHeld = false
    }

    /// What is being added: pieces of one block's slice.
    private struct Merge {
        var key: Key
        /// Ascending.
        var contributors: [Int]
        /// Pieces that the others were asked for, and that were added.
        var asked = 0
        var added = 0
        var receptions: [(piece: Int, slot: Int, transfer: RankTransfer)] = []
    }

    /// Where the sums go: the trainer's gradients, of which only this rank's slices are used.
    let sums: FloatStorage
    private let ranks: Ranks
    private let transport: any RankTransport
    private let plan: ShardPlan
    /// The pieces of each rank's slice of each block.
    private let pieces: [[[Range<Int>]]]
    private let size: Int
    private let scratch: FloatStorage
    /// Places in the scratch memory that are free.
    private var slots: [Int]
    private var held: [Place]
    private var headers: RankLetters
    /// The next contribution of each rank, as far as it is known.
    private var heads: [Int: Key] = [:]
    /// This rank's own, with their places.
    private var own: [(key: Key, place: Int)] = []
    /// Ranks that have no more passes in this step.
    private var ended: Set<Int> = []
    private var pass = 0
    private var merge: Merge?

    /// - Throws: ``EngineError`` with `.resources`.
    init(
        _ ranks: Ranks, _ transport: any RankTransport, _ plan: ShardPlan, _ trainable: Trainable,
        into sums: FloatStorage
    ) throws(EngineError) {
        self.ranks = ranks
        self.transport = transport
        self.plan = plan
        self.sums = sums
        let slots = max(1, min(Self.mostSlots, Ranks.scratch / (Self.least * ranks.count)))
        let size = Ranks.scratch / (slots * ranks.count)
        self.size = size
        scratch = try FloatStorage(count: slots * ranks.count * size)
        self.slots = Array(0..<slots)
        pieces = plan.blocks.map { block in
            (0..<ranks.count).map { rank in
                plan.slices.owned(by: rank, of: block).flatMap { slice in
                    trainable.ranges.map { $0.clamped(to: slice) }.flatMap { part in
                        stride(from: part.lowerBound, to: part.upperBound, by: size).map {
                            $0..<min($0 + size, part.upperBound)
                        }
                    }
                }
            }
        }
        let longest =
            zip(plan.blocks, pieces).lazy.filter { !$1.joined().isEmpty }.map { $0.0.count }.max() ?? 0
        var held: [Place] = []
        for _ in 0..<Self.places { held.append(Place(storage: try FloatStorage(count: longest))) }
        self.held = held
        headers = RankLetters(transport, on: .headers)
    }

    /// Gives back what no other rank can write to any more: after a step.
    func free() {
        if headers.isIdle { headers.free() }
    }

    /// Whether anything of a block is trained.
    func trains(_ layer: Int) -> Bool { !pieces[layer].joined().isEmpty }

    // MARK: What this rank has

    /// Begins a step: the others may send.
    func begin() throws {
        (pass, ended) = (0, [])
        for rank in ranks.others { try headers.ask(rank) }
    }

    /// Begins a backward pass.
    func beginPass() { pass += 1 }

    /// Memory for a block's gradients, if there is any that is free.
    func reserve(_ layer: Int) -> FloatStorage? {
        guard let index = held.firstIndex(where: { $0.layer == nil }) else { return nil }
        (held[index].layer, held[index].isComputed) = (layer, true)
        return held[index].storage
    }

    /// Begins to hand over a block's gradients.
    func hand(over layer: Int) throws {
        guard trains(layer), let index = held.firstIndex(where: \.isComputed)
        else { return }
        let key = Key(pass: pass, layer: layer)
        let start = plan.blocks[layer].lowerBound
        for owner in ranks.others where !pieces[layer][owner].isEmpty {
            try headers.send(RankLetters.Words(first: pass, second: layer), to: owner)
            for piece in pieces[layer][owner] {
                let bytes = held[index].storage.bytes(piece.lowerBound - start..<piece.upperBound - start)
                held[index].sends.append(
                    try transport.begin(
                        on: .gradients, sends: [(owner, UnsafeRawBufferPointer(bytes))], receives: []))
            }
        }
        held[index].isComputed = false
        if !pieces[layer][ranks.rank].isEmpty {
            held[index].isHeld = true
            own.append((key, index))
        }
    }

    /// Tells the others that this rank has no more passes in this step.
    func end() throws {
        for rank in ranks.others { try headers.send(RankLetters.Words(first: -1, second: 0), to: rank) }
        ended.insert(ranks.rank)
    }

    // MARK: What all have

    /// Whether this rank's slices have all that the step gives, and the others have got what this one gave.
    var isFinished: Bool {
        ended.count == ranks.count && merge == nil && heads.isEmpty && own.isEmpty && headers.isIdle
            && held.allSatisfy { $0.layer == nil }
    }

    /// Adds what has come.
    ///
    /// - Returns: Whether anything happened.
    func advance() throws -> Bool {
        var moved = false
        for rank in ranks.others where heads[rank] == nil && !ended.contains(rank) {
            moved = try lookForHeader(rank) || moved
        }
        while let current = try nextMerge() {
            let (merge, isDone, hasMoved) = try advance(current)
            moved = moved || hasMoved
            self.merge = isDone ? nil : merge
            guard isDone else { break }
            moved = true
            for rank in merge.contributors where rank != ranks.rank {
                heads[rank] = nil
                try headers.ask(rank)
                _ = try lookForHeader(rank)
            }
            if merge.contributors.contains(ranks.rank) { held[own.removeFirst().place].isHeld = false }
        }
        for index in held.indices where held[index].layer != nil {
            held[index].sends = try held[index].sends.filter { try !transport.isDone($0) }
            if held[index].sends.isEmpty, !held[index].isHeld, !held[index].isComputed {
                held[index].layer = nil
                moved = true
            }
        }
        try headers.clean()
        return moved
    }

    private func lookForHeader(_ rank: Int) throws -> Bool {
        guard let words = try headers.take(rank) else { return false }
        if words.first < 0 {
            ended.insert(rank)
        } else {
            heads[rank] = Key(pass: words.first, layer: words.second)
        }
        return true
    }

    /// What is being added, or what comes next: that is known when the next contribution of every rank is.
    private func nextMerge() throws -> Merge? {
        if let merge { return merge }
        var next = heads
        next[ranks.rank] = own.first?.key
        guard let key = next.values.min(),
            (0..<ranks.count).allSatisfy({ next[$0] != nil || ended.contains($0) })
        else { return nil }
        return Merge(key: key, contributors: next.filter { $0.value == key }.keys.sorted())
    }

    private func advance(_ merge: Merge) throws -> (Merge, isDone: Bool, moved: Bool) {
        var merge = merge
        var moved = false
        let pieces = pieces[merge.key.layer][ranks.rank]
        let others = merge.contributors.filter { $0 != ranks.rank }
        while true {
            while merge.asked < pieces.count, let slot = slots.popLast() {
                let range = pieces[merge.asked]
                let transfer = try transport.begin(
                    on: .gradients, sends: [],
                    receives: others.map { rank in
                        (rank, scratch.bytes(start(slot, rank)..<start(slot, rank) + range.count))
                    })
                merge.receptions.append((merge.asked, slot, transfer))
                merge.asked += 1
            }
            var waiting: [(piece: Int, slot: Int, transfer: RankTransfer)] = []
            for reception in merge.receptions {
                guard try transport.isDone(reception.transfer) else {
                    waiting.append(reception)
                    continue
                }
                add(pieces[reception.piece], reception.slot, merge)
                slots.append(reception.slot)
                merge.added += 1
                moved = true
            }
            let isStuck = waiting.count == merge.receptions.count
            merge.receptions = waiting
            if isStuck || merge.asked == pieces.count { break }
        }
        return (merge, merge.added == pieces.count, moved)
    }

    private func start(_ slot: Int, _ rank: Int) -> Int { (slot * ranks.count + rank) * size }

    /// Adds a piece, in the order of the ranks.
    private func add(_ range: Range<Int>, _ slot: Int, _ merge: Merge) {
        let target = sums.base + range.lowerBound
        for rank in merge.contributors {
            let summand =
                rank == ranks.rank
                ? held[own[0].place].storage.base + range.lowerBound
                    - plan.blocks[merge.key.layer].lowerBound
                : scratch.base + start(slot, rank)
            for index in 0..<range.count { target[index] += summand[index] }
        }
    }
}
