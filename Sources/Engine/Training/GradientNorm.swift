// SPDX-License-Identifier: Apache-2.0

import CKernels

extension ComputeContext {
    /// Values of one piece of work.
    private static let block = 1 << 16

    /// The 2-norm of the values of `ranges`; a function of them alone, whatever the threads.
    package func norm(_ values: FloatStorage, _ ranges: [Range<Int>]) -> Double {
        var sum = 0.0
        for range in ranges {
            let blocks = (range.count + Self.block - 1) / Self.block
            let sums = [Double](unsafeUninitializedCapacity: blocks) { buffer, count in
                count = blocks
                nonisolated(unsafe) let target = buffer
                forBlocks(of: Self.block, in: range.count) { block, _ in
                    target.baseAddress?.advanced(by: block.lowerBound / Self.block).initialize(
                        to: kernels.pointee.sum_of_squares(
                            values.base + range.lowerBound + block.lowerBound, block.count))
                }
            }
            sum = sums.reduce(sum, +)
        }
        return sum.squareRoot()
    }

    /// Multiplies the values of `ranges` by `factor`.
    package func scale(_ values: FloatStorage, _ ranges: [Range<Int>], by factor: Float) {
        for range in ranges {
            let base = values.base + range.lowerBound
            forBlocks(of: Self.block, in: range.count) { block, _ in
                kernels.pointee.scale(
                    base + block.lowerBound, base + block.lowerBound, factor, block.count)
            }
        }
    }

    /// Scales gradients down to `limit` where their norm is larger, and returns the norm they had: what
    /// torch.nn.utils.clip_grad_norm_ does, with the norm summed in double.
    ///
    /// - Parameter ranges: Those that this rank owns, where there are several.
    package func clip(
        _ gradients: FloatStorage, _ ranges: [Range<Int>], to limit: Double, ranks: Ranks = .alone
    ) throws -> Double {
        var norm = norm(gradients, ranges)
        if !ranks.isAlone { norm = try ranks.sum(norm * norm).squareRoot() }
        let factor = limit / (norm + 1e-6)
        // A norm that is not a number leaves gradients that are none, as in PyTorch: the run ends by that.
        if !(factor >= 1) { scale(gradients, ranges, by: Float(factor)) }
        return norm
    }
}
