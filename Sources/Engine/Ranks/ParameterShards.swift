// SPDX-License-Identifier: Apache-2.0

import Synchronization

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Parameters of which each rank keeps a slice of every block; a block is whole only while it is computed
/// (`--shard-parameters`).
///
/// The flat buffer keeps its address space, and pages come and go: before a block is computed the slices of the others are
/// fetched to their places, and when another block needs room they are given back. Ranks are not in step (they have different
/// rows, batches and texts), so a rank asks the owners, and a thread of each one answers. Values change only inside of
/// ``change(_:)``, which all ranks enter together; a request says which change it comes after, and is answered when the owner
/// has made that.
package final class ParameterShards: @unchecked Sendable {
    /// How long it asks without a pause; then ever longer ones follow.
    private static let eager = Duration.milliseconds(1)

    private struct State {
        /// Blocks that are whole, or the transfers by which they become so.
        var blocks: [Int: [RankTransfer]] = [:]
        var letters: RankLetters
        /// What others want of this rank.
        var wanted: [(rank: Int, range: Range<Int>, after: Int)] = []
        var answers: [RankTransfer] = []
        /// Changes that this rank has made.
        var changes = 0
        /// Others that want nothing any more.
        var departed = 0
        var gradients: ShardedGradients?
        var failure: (any Error)?
        var isEnding = false
    }

    /// Who keeps what.
    package let plan: ShardPlan
    private let ranks: Ranks
    private let transport: any RankTransport
    private let parameters: FloatStorage
    private let context: ComputeContext
    /// What this rank does not keep of each block.
    private let missing: [[Range<Int>]]
    /// Held while the state is used.
    private let lock = Mutex(())
    private var state: State
    private let first = pthread_self()
    private var thread: ServiceThread?

    /// Shares out the parameters of a model, which are to be loaded by ``change(_:)``.
    ///
    /// - Throws: ``EngineError`` with `.unsupportedMachine` where only one thread may talk to the other ranks,
    ///   `.resources` without a thread.
    init(
        _ ranks: Ranks, _ table: ParameterTable, _ parameters: FloatStorage, _ context: ComputeContext
    ) throws(EngineError) {
        guard let transport = ranks.transport, transport.allowsThreads else {
            throw EngineError(
                .unsupportedMachine,
                ranks.isAlone
                    ? "one process has nobody to share its parameters with"
                    : "this MPI lets one thread alone call it, and sharded parameters are handed out by a thread of their own",
                hint:
                    "Leave --shard-parameters out, or use an OpenMPI with MPI_THREAD_SERIALIZED and --ranks.")
        }
        self.ranks = ranks
        self.transport = transport
        self.parameters = parameters
        self.context = context
        let plan = ShardPlan(table, ranks: ranks.count)
        self.plan = plan
        missing = plan.blocks.map { plan.missing(in: ranks.rank, of: $0) }
        state = State(letters: RankLetters(transport, on: .requests))
        do { for rank in ranks.others { try state.letters.ask(rank) } } catch { throw failure(error) }
        thread = try ServiceThread(of: self, that: "hands out parameters") { $0.serve() }
    }

    deinit { end() }

    // MARK: Reading

    /// Makes a block whole, and lets `next` begin to come while it is computed; others are given up.
    ///
    /// - Throws: ``EngineError`` with `.rankFailure`; see ``cause``.
    func need(_ layer: Int, next: Int? = nil) throws(EngineError) {
        do {
            try locked { state in
                // First what is needed no more makes room.
                for (other, transfers) in state.blocks where other != layer && other != next {
                    guard try isDone(transfers) else { continue }
                    release(other)
                    state.blocks[other] = nil
                }
                try fetch(layer, &state)
            }
            try wait { state in
                guard let transfers = state.blocks[layer] else { return true }
                guard try isDone(transfers) else { return false }
                state.blocks[layer] = []
                return true
            }
            if let next, plan.blocks.indices.contains(next) { try locked { try fetch(next, &$0) } }
        } catch {
            throw failure(error)
        }
    }

    /// Copies the values of `range` to `target`, wherever they are. Several threads may do so at the same time.
    ///
    /// - Throws: What the transport has to say when a rank or the way to it is gone.
    package func read(_ range: Range<Int>, into target: UnsafeMutablePointer<Float>) throws {
        for part in plan.kept(by: ranks.rank, of: range) {
            (target + part.lowerBound - range.lowerBound).update(
                from: parameters.base + part.lowerBound, count: part.count)
        }
        let transfers = try locked { try ask(range, into: target, &$0) }
        try wait { _ in try isDone(transfers) }
    }

    /// Whether this rank keeps all values of `range`.
    func keeps(_ range: Range<Int>) -> Bool { plan.missing(in: ranks.rank, of: range).isEmpty }

    /// What this rank keeps of `range`.
    package func kept(of range: Range<Int>) -> [Range<Int>] { plan.kept(by: ranks.rank, of: range) }

    // MARK: Changing

    /// Runs `body`, which changes values that this rank keeps: all ranks call it, when none reads any more.
    package func change<Result>(_ body: () throws -> Result) throws -> Result {
        try drop()
        try ranks.meet()
        let result = try body()
        for layer in plan.blocks.indices { release(layer) }
        withState { $0.changes += 1 }
        return result
    }

    /// Runs `body` on one whole block after the other, which it may change: all ranks change it to the same values.
    func changeBlocks(_ body: (_ layer: Int) -> Void) throws {
        for layer in plan.blocks.indices {
            try need(layer)
            // All have the block as it was.
            try ranks.meet()
            body(layer)
        }
        try change {}
    }

    /// Gives up all blocks.
    package func drop() throws {
        try wait { state in
            for (layer, transfers) in state.blocks {
                guard try isDone(transfers) else { return false }
                release(layer)
                state.blocks[layer] = nil
            }
            return true
        }
    }

    /// Parts from the other ranks, which call it too: the parameters can be used no more.
    package func close() throws {
        try drop()
        try locked { state in
            for rank in ranks.others {
                try state.letters.send(RankLetters.Words(first: 0, second: 0), to: rank)
            }
        }
        try wait { state in
            state.departed == ranks.count - 1 && state.letters.isIdle && state.answers.isEmpty
        }
        end()
        // Where it was not parted from the others, one of their letters may still come there: that memory stays.
        state.letters.free()
    }

    // MARK: Gradients

    /// Lets the blocks' gradients of every backward pass into `sums` be summed by their owners, in `sums`.
    func sum(into sums: FloatStorage, of trainable: Trainable) throws(EngineError) {
        guard trainable.ranges.contains(where: { range in plan.blocks.contains { $0.overlaps(range) } })
        else { return }
        let gradients = try ShardedGradients(ranks, transport, plan, trainable, into: sums)
        withState { $0.gradients = gradients }
    }

    /// Ends what ``sum(into:of:)`` began.
    func stopSums() {
        let gradients = withState { state in
            defer { state.gradients = nil }
            return state.gradients
        }
        gradients?.free()
    }

    /// The sums of the passes that add to a buffer, if blocks' gradients are summed there.
    func sums(at base: UnsafeMutablePointer<Float>) -> ShardedGradients? {
        withState { $0.gradients.flatMap { $0.sums.base == base ? $0 : nil } }
    }

    /// Begins a backward pass.
    func beginPass(_ gradients: ShardedGradients?) {
        withState { _ in gradients?.beginPass() }
    }

    /// Begins a step, whose sums are zero.
    func beginStep() throws {
        try locked { try $0.gradients?.begin() }
    }

    /// Where a backward pass adds the gradients of a block, as a place for the beginning of the flat buffer; zeros. Waits while
    /// the gradients of other blocks are not taken yet.
    ///
    /// - Returns: `nil` where nothing of the block is trained.
    func place(of layer: Int, _ gradients: ShardedGradients) throws(EngineError)
        -> UnsafeMutablePointer<Float>?
    {
        guard gradients.trains(layer) else { return nil }
        var storage: FloatStorage?
        do {
            try wait { _ in
                storage = gradients.reserve(layer)
                return storage != nil
            }
        } catch {
            throw failure(error)
        }
        guard let storage else { return nil }
        context.clear(storage, [0..<plan.blocks[layer].count])
        return storage.base - plan.blocks[layer].lowerBound
    }

    /// Hands the gradients of a block to the owners of its slices.
    func hand(over layer: Int, _ gradients: ShardedGradients) throws(EngineError) {
        do {
            try locked { state in
                try gradients.hand(over: layer)
                _ = try advance(&state)
            }
        } catch {
            throw failure(error)
        }
    }

    /// Tells the others that this rank has no more passes in this step: they may have.
    func endPasses() throws {
        try locked { try $0.gradients?.end() }
    }

    /// Waits until this rank's slices have the step's sums of all ranks.
    func finishStep() throws {
        try wait { $0.gradients?.isFinished ?? true }
    }

    // MARK: The way to the others

    /// What ended the exchange, where something did.
    package var cause: (any Error)? { withState { $0.failure } }

    private func failure(_ error: any Error) -> EngineError {
        EngineError(
            .rankFailure, "the parameters of another rank cannot be had: \(error)", hint: "Retry the job.")
    }

    private func isDone(_ transfers: [RankTransfer]) throws -> Bool {
        // All are asked, also behind one that is not done: asking moves them on.
        try transfers.reduce(true) { try transport.isDone($1) && $0 }
    }

    private func release(_ layer: Int) {
        for range in missing[layer] { parameters.release(range) }
    }

    /// Begins to fetch a block, unless it is there or on its way.
    private func fetch(_ layer: Int, _ state: inout State) throws {
        guard state.blocks[layer] == nil else { return }
        let range = plan.blocks[layer]
        state.blocks[layer] = try ask(range, into: parameters.base + range.lowerBound, &state)
    }

    /// Asks the owners for their parts of `range`, and receives them at their places from `target` on.
    private func ask(
        _ range: Range<Int>, into target: UnsafeMutablePointer<Float>, _ state: inout State
    ) throws -> [RankTransfer] {
        try ranks.others.compactMap { owner in
            let parts = plan.slices.owned(by: owner, of: range)
            guard !parts.isEmpty else { return nil }
            let transfer = try transport.begin(
                on: .answers, sends: [],
                receives: parts.map { part in
                    let place = target + part.lowerBound - range.lowerBound
                    return (
                        owner,
                        UnsafeMutableRawBufferPointer(
                            start: place, count: part.count * MemoryLayout<Float>.stride)
                    )
                })
            try state.letters.send(
                RankLetters.Words(first: range.lowerBound, second: range.upperBound, third: state.changes),
                to: owner)
            return transfer
        }
    }

    /// Answers what was asked, and moves everything on.
    ///
    /// - Returns: Whether anything happened.
    private func advance(_ state: inout State) throws -> Bool {
        var moved = false
        for rank in ranks.others {
            while let words = try state.letters.take(rank) {
                moved = true
                guard words.first < words.second else {
                    state.departed += 1
                    break
                }
                state.wanted.append((rank, words.first..<words.second, words.third))
                try state.letters.ask(rank)
            }
        }
        var waiting: [(rank: Int, range: Range<Int>, after: Int)] = []
        for item in state.wanted {
            guard item.after <= state.changes else {
                waiting.append(item)
                continue
            }
            moved = true
            for part in plan.slices.owned(by: ranks.rank, of: item.range) {
                state.answers.append(
                    try transport.begin(
                        on: .answers,
                        sends: [(item.rank, UnsafeRawBufferPointer(parameters.bytes(part)))], receives: []))
            }
        }
        state.wanted = waiting
        let answers = state.answers.count
        state.answers = try state.answers.filter { try !transport.isDone($0) }
        if state.answers.count < answers { moved = true }
        try state.letters.clean()
        if let gradients = state.gradients, try gradients.advance() { moved = true }
        return moved
    }

    private func withState<Result: Sendable>(_ body: (inout State) throws -> Result) rethrows -> Result {
        try lock.withLock { _ in try body(&state) }
    }

    /// Runs `body` on the state; what it throws ends the exchange.
    private func locked<Result: Sendable>(_ body: (inout State) throws -> Result) throws -> Result {
        try withState { state in
            if let failure = state.failure { throw failure }
            do { return try body(&state) } catch {
                state.failure = error
                throw error
            }
        }
    }

    private func wait(_ isDone: (inout State) throws -> Bool) throws {
        let began = ContinuousClock.now
        var pause: UInt32 = 20
        try context.timed(.exchange) {
            while true {
                let isDone = try locked { state in
                    _ = try advance(&state)
                    return try isDone(&state)
                }
                if isDone { return }
                if ContinuousClock.now - began < Self.eager {
                    sched_yield()
                    continue
                }
                usleep(pause)
                pause = min(2 * pause, 500)
                guard pthread_equal(pthread_self(), first) != 0 else { continue }
                do { try transport.lookForFailures() } catch {
                    withState { $0.failure = error }
                    throw error
                }
            }
        }
    }

    // MARK: The thread

    private func serve() {
        var pause: UInt32 = 20
        while true {
            let (isEnding, moved) = withState { state -> (Bool, Bool) in
                guard !state.isEnding, state.failure == nil else { return (state.isEnding, false) }
                do { return (false, try advance(&state)) } catch {
                    state.failure = error
                    return (false, false)
                }
            }
            if isEnding { return }
            pause = moved ? 20 : min(2 * pause, 500)
            usleep(pause)
        }
    }

    private func end() {
        guard let thread else { return }
        withState { $0.isEnding = true }
        thread.join()
        self.thread = nil
    }
}
