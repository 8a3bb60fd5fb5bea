// SPDX-License-Identifier: Apache-2.0

import CKernels
import Synchronization

/// Products by ``OneDNN`` on all threads: one thread a call, over our own tiles, so that the bits do not depend on threads.
final class NativeBrainProduct: Sendable {
    /// Memory for the rounded operands; grows to the largest product. Whoever has the lock has it alone.
    private final class Memory: @unchecked Sendable {
        private var base: UnsafeMutablePointer<UInt16>?
        private var capacity = 0

        func reserve(_ count: Int) -> UnsafeMutablePointer<UInt16> {
            if let base, count <= capacity { return base }
            base?.deallocate()
            let made = UnsafeMutablePointer<UInt16>.allocate(capacity: count)
            base = made
            capacity = count
            return made
        }

        deinit { base?.deallocate() }
    }

    private let library: OneDNN
    private let memory = Mutex(Memory())

    init(_ library: OneDNN) { self.library = library }

    /// c(m,n) = a(m,k) · b(k,n) + beta · c (+ bias(n)), operands rounded to bfloat16.
    func multiply(
        _ context: ComputeContext, _ m: Int, _ n: Int, _ k: Int, _ a: Operand, _ b: Operand, beta: Float,
        _ c: UnsafeMutablePointer<Float>, stride: Int, bias: UnsafePointer<Float>?
    ) {
        memory.withLock { memory in
            let left = memory.reserve(m * k + k * n)
            let right = left + m * k
            narrow(context, a, rows: a.transposed ? k : m, columns: a.transposed ? m : k, into: left)
            narrow(context, b, rows: b.transposed ? n : k, columns: b.transposed ? k : n, into: right)
            let (lda, ldb) = (a.transposed ? m : k, b.transposed ? k : n)
            let tiles = TileGrid(rows: m, columns: n)
            context.pool.parallel(tiles.count) { tile, _ in
                let (rows, columns) = tiles[tile]
                let target = c + rows.lowerBound * stride + columns.lowerBound
                let done = library.multiply(
                    rows.count, columns.count, k, left + rows.lowerBound * (a.transposed ? 1 : lda), lda,
                    transposed: a.transposed, right + columns.lowerBound * (b.transposed ? ldb : 1), ldb,
                    transposed: b.transposed, beta: beta, target, stride: stride)
                // It was tried when the library was opened: failing later means memory ran out inside it.
                precondition(done, "\(library.description) refused a product of \(m) x \(n) x \(k)")
                if let bias {
                    context.kernels.pointee.add_bias(
                        target, stride, bias + columns.lowerBound, rows.count, columns.count)
                }
            }
        }
    }

    /// The stored rows of an operand, rounded, without gaps.
    private func narrow(
        _ context: ComputeContext, _ x: Operand, rows: Int, columns: Int, into y: UnsafeMutablePointer<UInt16>
    ) {
        context.forRows(rows, width: columns) { block in
            for row in block {
                context.kernels.pointee.to_bf16(y + row * columns, x.base + row * x.stride, columns)
            }
        }
    }
}
