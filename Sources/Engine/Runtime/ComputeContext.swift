// SPDX-License-Identifier: Apache-2.0

import CKernels

/// Threads and kernels that operations run on. One for a process is enough.
package final class ComputeContext: Sendable {
    /// OpenBLAS ends the process when more threads than it was built for call it at once; Debian's build takes 64.
    package static let maximumThreads = 64

    /// The threads.
    package let pool: ThreadPool
    /// What the results depend on.
    package let environment: NumericEnvironment
    /// Where time goes, if somebody wants to know.
    package let profile = Profile()
    /// How operands of matrix products are rounded, if they are.
    package let brain: BrainProducts?
    /// The card that trains and measures models, if one does.
    package let card: CUDACard?
    let native: NativeBrainProduct?
    /// Matrix products by our own kernels.
    let panels: PanelProduct
    private nonisolated(unsafe) let table: UnsafePointer<ck_kernels>

    /// The vector kernels in use.
    var kernels: UnsafePointer<ck_kernels> { table }

    /// Starts the threads and chooses the kernels.
    ///
    /// - Parameters:
    ///   - threads: How many threads compute, the caller among them; at most ``maximumThreads`` are used.
    ///   - level: The instruction level of the kernels (`CK_LEVEL_…`); `nil` is the best one here.
    ///   - brain: Rounds the operands of matrix products to bfloat16; `nil` leaves them f32.
    ///   - card: Trains and measures models, in bfloat16; whatever else there is to compute stays here.
    /// - Throws: ``EngineError`` with `.unsupportedMachine` or `.resources`.
    package init(
        threads: Int, level: Int32? = nil, brain: BrainProducts? = nil, card: CUDACard? = nil
    ) throws(EngineError) {
        guard let table = ck_kernels_at(level ?? ck_best_level()) else {
            throw EngineError(
                .unsupportedMachine, "this processor lacks kernel level \(level ?? 0)",
                hint: "Use level \(ck_best_level()) or lower.")
        }
        self.table = table
        pool = try ThreadPool(threads: min(threads, Self.maximumThreads))
        self.brain = brain
        self.card = card
        if case .native(let library) = brain { native = NativeBrainProduct(library) } else { native = nil }
        panels = try PanelProduct(threads: pool.threads, kernels: Self.panels(brain, table.pointee))
        environment = try NumericEnvironment.current(
            kernels: table, threads: pool.threads, arithmetic: card?.description ?? brain?.description)
    }

    private static func panels(_ brain: BrainProducts?, _ table: ck_kernels) throws(EngineError)
        -> PanelKernels
    {
        guard case .paired = brain else { return PanelKernels(table, rounding: brain != nil) }
        guard let pairs = ck_pair_kernels_here() else {
            throw EngineError(
                .unsupportedMachine, "this processor multiplies no pairs of bfloat16",
                hint: "Compute in f32.")
        }
        return PanelKernels(pairs.pointee)
    }

    /// Runs `body`, whose time counts as `part` of the profile when one is taken.
    func timed<Result>(
        _ part: Profile.Part, operations: Int = 0, _ body: () throws -> Result
    ) rethrows -> Result {
        profile.isOn ? try profile.timed(part, operations: operations, body) : try body()
    }

    /// Runs `body` for the tiles `0..<count` on all threads; the time counts as `part`.
    func timedTiles(
        _ part: Profile.Part, _ count: Int, _ body: (_ tile: Int, _ worker: Int) -> Void
    ) {
        timed(part) { pool.parallel(count, body) }
    }

    /// Runs `body` over `0..<count` in blocks of `block`; the cut depends on the two numbers alone.
    ///
    /// - Parameter part: What the time counts as.
    func forBlocks(
        of block: Int, in count: Int, as part: Profile.Part? = nil,
        _ body: (_ range: Range<Int>, _ worker: Int) -> Void
    ) {
        let blocks = (count + block - 1) / block
        func run(_ tile: Int, _ worker: Int) {
            body(tile * block..<min(count, (tile + 1) * block), worker)
        }
        if let part { timedTiles(part, blocks, run) } else { pool.parallel(blocks, run) }
    }

    /// Sets the values of `ranges` to zero.
    func clear(_ storage: FloatStorage, _ ranges: [Range<Int>]) {
        for range in ranges {
            forBlocks(of: 1 << 20, in: range.count, as: .optimizer) { block, _ in
                (storage.base + range.lowerBound + block.lowerBound).update(repeating: 0, count: block.count)
            }
        }
    }

    /// The most f32 operations a second that all threads together do in registers: the best of some short runs,
    /// as whatever else the machine does slows some of them down.
    package func peakRate(runs: Int = 20) -> Double {
        let rounds = 200_000
        let operations = Double(pool.threads * rounds * kernels.pointee.spin_operations)
        return (0..<runs).map { _ in
            let began = ContinuousClock.now
            pool.parallel(pool.threads) { _, _ in _ = kernels.pointee.spin(rounds) }
            return operations / ((ContinuousClock.now - began) / .seconds(1))
        }.max() ?? 0
    }
}
