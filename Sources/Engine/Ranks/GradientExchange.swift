// SPDX-License-Identifier: Apache-2.0

import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The sums of a step's gradients over the ranks, each slice in its owner, begun block by block while the backward pass is
/// still at earlier blocks.
///
/// Gradients are cut into buckets in the order in which the pass is done with them: the blocks from the last to the first,
/// then all others. Every rank begins its buckets in this order, each when it is ready, and a value is summed in the order of
/// the ranks when all have sent it: the time of that is left to chance, the bits are not. A thread of its own moves the bytes
/// and sums where the transport lets it; without one that happens between blocks. Memory is bounded by
/// ``Ranks/scratch``, whatever is on its way.
final class GradientExchange: @unchecked Sendable {
    /// Pieces of which bytes may arrive at the same time; fewer where they would be of less than ``least`` values.
    private static let mostSlots = 4
    private static let least = 1 << 13
    /// How long ``finish()`` asks without a pause; then ever longer ones follow, as another rank may have longer rows.
    private static let eager = Duration.milliseconds(20)

    /// Values of one slice, in one message.
    private struct Piece {
        var owner: Int
        var range: Range<Int>
    }

    /// A piece of this rank's slice that the others send.
    private struct Reception {
        var range: Range<Int>
        var slot: Int
        var transfer: RankTransfer
    }

    private struct State {
        /// Buckets that were begun in this step.
        var begun = 0
        var sends: [RankTransfer] = []
        /// This rank's pieces of the buckets that were begun, and how many of them the others were asked for.
        var pieces: [Range<Int>] = []
        var asked = 0
        var receptions: [Reception] = []
        /// Places in the scratch memory that are free.
        var free: [Int] = []
        var failure: (any Error)?
        /// Whether the thread has anything to do.
        var isUnderWay = false
        var isEnding = false
    }

    private let ranks: Ranks
    private let transport: any RankTransport
    private let gradients: FloatStorage
    private let context: ComputeContext
    /// The pieces of each bucket.
    private let buckets: [[Piece]]
    /// How many buckets are begun when a block is done, by block.
    private let begunAfter: [Int]
    private let size: Int
    private let scratch: FloatStorage
    private let state = Mutex(State())
    private let wake: UnsafeMutablePointer<sem_t>
    private var thread: ServiceThread?

    /// The exchange of a model's gradients; `nil` where there is nobody to exchange with.
    ///
    /// - Throws: ``EngineError`` with `.resources`.
    init?(_ ranks: Ranks, _ slices: RankSlices, _ gradients: FloatStorage, of model: Transformer)
        throws(EngineError)
    {
        guard let transport = ranks.transport else { return nil }
        self.ranks = ranks
        self.transport = transport
        self.gradients = gradients
        context = model.context
        let slots = max(1, min(Self.mostSlots, Ranks.scratch / (Self.least * ranks.count)))
        let size = Ranks.scratch / (slots * ranks.count)
        self.size = size
        scratch = try FloatStorage(count: slots * ranks.count * size)
        state.withLock { $0.free = Array(0..<slots) }
        var blocks = [[Range<Int>]](repeating: [], count: model.configuration.layers)
        var rest: [Range<Int>] = []
        let entries = model.table.entries
        for (index, entry) in entries.enumerated() {
            // With the gap behind it, which is nothing but zeros.
            let end = index + 1 < entries.count ? entries[index + 1].offset : model.table.count
            let parts = model.trainable.ranges.compactMap { range in
                let part = range.clamped(to: entry.offset..<end)
                return part.isEmpty ? nil : part
            }
            if let layer = entry.layer, blocks.indices.contains(layer) {
                blocks[layer].append(part: parts)
            } else {
                rest.append(part: parts)
            }
        }
        buckets = (blocks.reversed() + [rest]).map { ranges in
            (0..<ranks.count).flatMap { owner in
                ranges.flatMap { slices.owned(by: owner, of: $0) }.flatMap { range in
                    stride(from: range.lowerBound, to: range.upperBound, by: size).map {
                        Piece(owner: owner, range: $0..<min($0 + size, range.upperBound))
                    }
                }
            }
        }
        begunAfter = blocks.indices.map { blocks.count - $0 }
        wake = .allocate(capacity: 1)
        sem_init(wake, 0, 0)
        if transport.allowsThreads {
            thread = try ServiceThread(of: self, that: "exchanges gradients") { $0.serve() }
        }
    }

    deinit {
        if let thread {
            state.withLock { $0.isEnding = true }
            sem_post(wake)
            thread.join()
        }
        sem_destroy(wake)
        wake.deallocate()
    }

    // MARK: A step

    /// The gradients of a block and of all behind it are what they will be.
    func blockDone(_ layer: Int) { begin(begunAfter[layer]) }

    /// All gradients are: returns when this rank's slice has the sums of all ranks.
    ///
    /// - Throws: What the transport has to say when a rank or the way to it is gone.
    func finish() throws {
        begin(buckets.count)
        let began = ContinuousClock.now
        var pause: UInt32 = 50
        try context.timed(.exchange) {
            while true {
                let isDone = try state.withLock { state -> Bool in
                    // From here on this thread does it: with the help of all others.
                    state.isUnderWay = false
                    if let failure = state.failure { throw failure }
                    return try advance(&state) { count, body in
                        context.forBlocks(of: 1 << 15, in: count) { block, _ in body(block) }
                    }
                }
                if isDone { break }
                if ContinuousClock.now - began < Self.eager {
                    sched_yield()
                } else {
                    usleep(pause)
                    pause = min(pause + pause / 8, 2000)
                    try transport.lookForFailures()
                }
            }
            state.withLock { ($0.begun, $0.pieces, $0.asked) = (0, [], 0) }
        }
    }

    /// Begins the buckets up to that number.
    private func begin(_ end: Int) {
        let isUnderWay = state.withLock { state -> Bool in
            guard state.begun < end, state.failure == nil else { return false }
            do {
                for piece in buckets[state.begun..<end].joined() {
                    if piece.owner == ranks.rank {
                        state.pieces.append(piece.range)
                    } else {
                        state.sends.append(
                            try transport.begin(
                                on: .sums,
                                sends: [
                                    (piece.owner, UnsafeRawBufferPointer(gradients.bytes(piece.range)))
                                ], receives: []))
                    }
                }
                state.begun = end
                _ = try advance(&state) { count, body in body(0..<count) }
            } catch {
                state.failure = error
            }
            state.isUnderWay = true
            return true
        }
        if isUnderWay, thread != nil { sem_post(wake) }
    }

    /// Asks for what there is room for, and sums what has come.
    ///
    /// - Parameter run: Does something with all indices below a number.
    /// - Returns: Whether all that was begun is done.
    private func advance(
        _ state: inout State, _ run: (_ count: Int, _ body: (Range<Int>) -> Void) -> Void
    ) throws -> Bool {
        while state.asked < state.pieces.count, let slot = state.free.popLast() {
            let range = state.pieces[state.asked]
            state.asked += 1
            let transfer = try transport.begin(
                on: .sums, sends: [],
                receives: ranks.others.map { rank in
                    (rank, scratch.bytes(place(slot, rank)..<place(slot, rank) + range.count))
                })
            state.receptions.append(Reception(range: range, slot: slot, transfer: transfer))
        }
        var waiting: [Reception] = []
        for reception in state.receptions {
            guard try transport.isDone(reception.transfer) else {
                waiting.append(reception)
                continue
            }
            run(reception.range.count) { sum(reception, $0) }
            state.free.append(reception.slot)
        }
        state.receptions = waiting
        state.sends = try state.sends.filter { try !transport.isDone($0) }
        return waiting.isEmpty && state.asked == state.pieces.count && state.sends.isEmpty
    }

    private func place(_ slot: Int, _ rank: Int) -> Int { (slot * ranks.count + rank) * size }

    /// Sums some values of a piece, in the order of the ranks.
    private func sum(_ reception: Reception, _ block: Range<Int>) {
        let target = gradients.base + reception.range.lowerBound + block.lowerBound
        func part(_ rank: Int) -> UnsafeMutablePointer<Float> {
            scratch.base + place(reception.slot, rank) + block.lowerBound
        }
        part(ranks.rank).update(from: target, count: block.count)
        target.update(from: part(0), count: block.count)
        for source in 1..<ranks.count {
            let summand = part(source)
            for index in 0..<block.count { target[index] += summand[index] }
        }
    }

    // MARK: The thread

    private func serve() {
        while true {
            sem_wait(wake)
            var pause: UInt32 = 50
            while true {
                let (isEnding, isUnderWay) = state.withLock { state -> (Bool, Bool) in
                    if state.isUnderWay, state.failure == nil {
                        let asked = state.asked
                        do {
                            if try advance(&state, { count, body in body(0..<count) }) {
                                state.isUnderWay = false
                            }
                        } catch {
                            state.failure = error
                            state.isUnderWay = false
                        }
                        if state.asked > asked { pause = 50 }
                    }
                    return (state.isEnding, state.isUnderWay)
                }
                if isEnding { return }
                guard isUnderWay else { break }
                usleep(pause)
                pause = min(2 * pause, 1000)
            }
        }
    }
}

extension [Range<Int>] {
    /// Adds parts, the first of which may go on where the last range ends.
    fileprivate mutating func append(part parts: [Range<Int>]) {
        for part in parts {
            if let last = last, last.upperBound == part.lowerBound {
                self[count - 1] = last.lowerBound..<part.upperBound
            } else {
                append(part)
            }
        }
    }
}
