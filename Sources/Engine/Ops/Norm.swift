// SPDX-License-Identifier: Apache-2.0

import CKernels

/// A LayerNorm (centred) or RMSNorm over rows of C values: y = (x − mean) / deviation · (offset + gamma) + beta.
struct Norm: Sendable {
    /// Places of the factors and the shift in the parameters; without gamma the factors are 1.
    var gamma: Int?
    var beta: Int?
    var isCentred = true
    /// What is added to gamma.
    var offset: Float = 0

    /// What the forward pass keeps: mean(N), unused by RMSNorm, and 1/deviation(N).
    struct Statistics {
        var mean: UnsafeMutablePointer<Float>
        var rstd: UnsafeMutablePointer<Float>

        /// The same from `row` on.
        func rows(from row: Int) -> Statistics { Statistics(mean: mean + row, rstd: rstd + row) }
    }

    private func mean(_ statistics: Statistics) -> UnsafeMutablePointer<Float>? {
        isCentred ? statistics.mean : nil
    }

    /// y(N,C) = norm(x).
    func forward(
        _ context: ComputeContext, _ parameters: UnsafePointer<Float>, _ x: UnsafePointer<Float>, rows: Int,
        columns: Int, epsilon: Float, into y: UnsafeMutablePointer<Float>, _ statistics: Statistics
    ) {
        context.forRows(rows, width: columns, as: .normalization) { block in
            let start = block.lowerBound
            forward(
                context.kernels, parameters, x + start * columns, rows: block.count, columns: columns,
                epsilon: epsilon, into: y + start * columns, statistics.rows(from: start))
        }
    }

    /// The same on the calling thread; y may be x.
    func forward(
        _ kernels: UnsafePointer<ck_kernels>, _ parameters: UnsafePointer<Float>, _ x: UnsafePointer<Float>,
        rows: Int, columns: Int, epsilon: Float, into y: UnsafeMutablePointer<Float>, _ statistics: Statistics
    ) {
        kernels.pointee.norm_forward(
            y, mean(statistics), statistics.rstd, x, gamma.map { parameters + $0 }, offset,
            beta.map { parameters + $0 }, rows, columns, epsilon)
    }

    /// dx(N,C) += the gradient for x; the gradients of gamma and beta are added to `gradients`
    /// where they are trained.
    func backward(
        _ context: ComputeContext, _ parameters: UnsafePointer<Float>,
        _ gradients: GradientTarget, dy: UnsafePointer<Float>, x: UnsafePointer<Float>,
        _ statistics: Statistics, rows: Int, columns: Int, into dx: UnsafeMutablePointer<Float>
    ) {
        context.forRows(rows, width: columns, as: .normalization) { block in
            let start = block.lowerBound
            backwardInput(
                context.kernels, parameters, dy: dy + start * columns, x: x + start * columns,
                statistics.rows(from: start), rows: block.count, columns: columns, into: dx + start * columns)
        }
        if gradients[gamma] == nil && gradients[beta] == nil { return }
        context.forBlocks(of: 64, in: columns, as: .normalization) { block, _ in
            backwardWeight(
                context.kernels, gradients, dy: dy, x: x, statistics, rows: rows, columns: block,
                stride: columns)
        }
    }

    /// dx += the gradient for x, on the calling thread.
    func backwardInput(
        _ kernels: UnsafePointer<ck_kernels>, _ parameters: UnsafePointer<Float>, dy: UnsafePointer<Float>,
        x: UnsafePointer<Float>, _ statistics: Statistics, rows: Int, columns: Int,
        into dx: UnsafeMutablePointer<Float>
    ) {
        kernels.pointee.norm_backward_input(
            dx, dy, x, gamma.map { parameters + $0 }, offset, mean(statistics), statistics.rstd, rows, columns
        )
    }

    /// Adds the gradients of some columns of gamma and beta, as far as they are trained, on the calling thread; at
    /// most 64 columns.
    func backwardWeight(
        _ kernels: UnsafePointer<ck_kernels>, _ gradients: GradientTarget, dy: UnsafePointer<Float>,
        x: UnsafePointer<Float>, _ statistics: Statistics, rows: Int, columns: Range<Int>, stride: Int
    ) {
        let dGamma = gradients[gamma]
        let dBeta = gradients[beta]
        if dGamma == nil && dBeta == nil { return }
        let start = columns.lowerBound
        // The kernel makes both: a frozen one goes to waste.
        withUnsafeTemporaryAllocation(of: Float.self, capacity: 64) { waste in
            guard let waste = waste.baseAddress else { return }
            waste.update(repeating: 0, count: 64)
            kernels.pointee.norm_backward_weight(
                dGamma.map { $0 + start } ?? waste, dBeta.map { $0 + start }, dy + start, x + start,
                mean(statistics), statistics.rstd, rows, columns.count, stride)
        }
    }
}

extension ComputeContext {
    /// Runs `body` over blocks of rows that are about 64 KiB each.
    func forRows(
        _ rows: Int, width: Int, as part: Profile.Part? = nil, _ body: (_ block: Range<Int>) -> Void
    ) {
        forBlocks(of: max(1, 16384 / max(1, width)), in: rows, as: part) { block, _ in body(block) }
    }
}
