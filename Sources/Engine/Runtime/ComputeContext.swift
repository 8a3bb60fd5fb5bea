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
    private nonisolated(unsafe) let table: UnsafePointer<ck_kernels>

    /// The vector kernels in use.
    var kernels: UnsafePointer<ck_kernels> { table }

    /// Starts the threads and chooses the kernels.
    ///
    /// - Parameters:
    ///   - threads: How many threads compute, the caller among them; at most ``maximumThreads`` are used.
    ///   - level: The instruction level of the kernels (`CK_LEVEL_…`); `nil` is the best one here.
    /// - Throws: ``EngineError`` with `.unsupportedMachine` or `.resources`.
    package init(threads: Int, level: Int32? = nil) throws(EngineError) {
        guard let table = ck_kernels_at(level ?? ck_best_level()) else {
            throw EngineError(
                .unsupportedMachine, "this processor lacks kernel level \(level ?? 0)",
                hint: "Use level \(ck_best_level()) or lower.")
        }
        self.table = table
        pool = try ThreadPool(threads: min(threads, Self.maximumThreads))
        environment = try NumericEnvironment.current(kernels: table, threads: pool.threads)
    }

    /// Runs `body` over `0..<count` in blocks of `block`; the cut depends on the two numbers alone.
    func forBlocks(of block: Int, in count: Int, _ body: (_ range: Range<Int>, _ worker: Int) -> Void) {
        let blocks = (count + block - 1) / block
        pool.parallel(blocks) { tile, worker in
            body(tile * block..<min(count, (tile + 1) * block), worker)
        }
    }
}
