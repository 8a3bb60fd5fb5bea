// SPDX-License-Identifier: Apache-2.0

import CKernels

/// A LayerNorm (with beta) or RMSNorm (without) over rows of C values.
struct Norm: Sendable {
    var gamma: Int
    var beta: Int?

    /// What the forward pass keeps: mean(N), unused by RMSNorm, and 1/deviation(N).
    struct Statistics {
        var mean: UnsafeMutablePointer<Float>
        var rstd: UnsafeMutablePointer<Float>
    }

    private func mean(_ statistics: Statistics) -> UnsafeMutablePointer<Float>? {
        beta == nil ? nil : statistics.mean
    }

    /// y(N,C) = norm(x).
    func forward(
        _ context: ComputeContext, _ parameters: UnsafePointer<Float>, _ x: UnsafePointer<Float>, rows: Int,
        columns: Int, epsilon: Float, into y: UnsafeMutablePointer<Float>, _ statistics: Statistics
    ) {
        context.forRows(rows, width: columns) { block in
            let start = block.lowerBound
            context.kernels.pointee.norm_forward(
                y + start * columns, mean(statistics).map { $0 + start }, statistics.rstd + start,
                x + start * columns, parameters + gamma, beta.map { parameters + $0 }, block.count, columns,
                epsilon)
        }
    }

    /// dx(N,C) += the gradient for x; the gradients of gamma and beta are added to `gradients`
    /// where they are trained.
    func backward(
        _ context: ComputeContext, _ parameters: UnsafePointer<Float>,
        _ gradients: GradientTarget,
        dy: UnsafePointer<Float>, x: UnsafePointer<Float>, _ statistics: Statistics, rows: Int, columns: Int,
        into dx: UnsafeMutablePointer<Float>
    ) {
        context.forRows(rows, width: columns) { block in
            let start = block.lowerBound
            context.kernels.pointee.norm_backward_input(
                dx + start * columns, dy + start * columns, x + start * columns, parameters + gamma,
                mean(statistics).map { $0 + start }, statistics.rstd + start, block.count, columns)
        }
        let dGamma = gradients[gamma]
        let dBeta = gradients[beta]
        if dGamma == nil && dBeta == nil { return }
        context.forBlocks(of: 64, in: columns) { block, _ in
            let start = block.lowerBound
            // The kernel makes both: a frozen one goes to waste.
            withUnsafeTemporaryAllocation(of: Float.self, capacity: 64) { waste in
                guard let waste = waste.baseAddress else { return }
                waste.update(repeating: 0, count: 64)
                context.kernels.pointee.norm_backward_weight(
                    dGamma.map { $0 + start } ?? waste, dBeta.map { $0 + start }, dy + start, x + start,
                    mean(statistics), statistics.rstd, rows, block.count, columns)
            }
        }
    }
}

extension ComputeContext {
    /// Runs `body` over blocks of rows that are about 64 KiB each.
    func forRows(_ rows: Int, width: Int, _ body: (_ block: Range<Int>) -> Void) {
        forBlocks(of: max(1, 16384 / max(1, width)), in: rows) { block, _ in body(block) }
    }
}
