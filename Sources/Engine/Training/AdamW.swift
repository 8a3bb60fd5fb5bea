// SPDX-License-Identifier: Apache-2.0

import CKernels

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// AdamW as torch.optim.AdamW computes it: decoupled decay on every parameter, then the bias-corrected step.
///
/// Loshchilov and Hutter 2019; epsilon is added after the bias correction. Results do not depend on the number
/// of threads.
package final class AdamW {
    /// The rates of a run; constant unless the caller changes them between steps.
    package struct Rates: Sendable, Hashable {
        package var learningRate: Double
        package var beta1: Double
        package var beta2: Double
        package var epsilon: Double
        package var weightDecay: Double

        /// PyTorch's defaults but for the learning rate.
        package init(
            learningRate: Double, beta1: Double = 0.9, beta2: Double = 0.999, epsilon: Double = 1e-8,
            weightDecay: Double = 0.01
        ) {
            self.learningRate = learningRate
            self.beta1 = beta1
            self.beta2 = beta2
            self.epsilon = epsilon
            self.weightDecay = weightDecay
        }
    }

    /// The rates of the next step.
    package var rates: Rates
    /// Which of the values may change, where not all may: the others keep their bits, decay included.
    package var mask: WeightMask?
    /// How many steps were taken.
    package private(set) var steps = 0
    private let context: ComputeContext
    private let ranges: [Range<Int>]
    private let first: FloatStorage
    private let second: FloatStorage

    /// An optimiser for buffers of `count` values, with zero moments.
    ///
    /// - Parameters:
    ///   - ranges: Which of the values it changes; all unless given. Only these moments take memory.
    ///   - pages: What holds them.
    /// - Throws: ``EngineError`` with `.resources`.
    package init(
        count: Int, ranges: [Range<Int>]? = nil, rates: Rates, context: ComputeContext,
        pages: FloatStorage.Pages = .large
    ) throws(EngineError) {
        self.rates = rates
        self.context = context
        self.ranges = ranges ?? [0..<count]
        first = try FloatStorage(count: count, pages: pages)
        second = try FloatStorage(count: count, pages: pages)
    }

    /// The two moments, by name.
    package var moments: [(name: String, storage: FloatStorage)] {
        [("first moment", first), ("second moment", second)]
    }

    /// Goes on after `steps` steps, whose moments are in ``moments``.
    package func resume(after steps: Int) { self.steps = steps }

    /// The numbers of one step, as PyTorch derives them.
    typealias Constants = ck_adamw_step

    /// Counts a step and returns its numbers: the step itself is whoever's who holds the moments.
    func advance() -> Constants {
        steps += 1
        let correction1 = 1 - pow(rates.beta1, Double(steps))
        let correction2 = 1 - pow(rates.beta2, Double(steps))
        return ck_adamw_step(
            decay: Float(1 - rates.learningRate * rates.weightDecay), one_minus_beta1: Float(1 - rates.beta1),
            beta2: Float(rates.beta2), one_minus_beta2: Float(1 - rates.beta2),
            bias_correction2_sqrt: Float(correction2.squareRoot()), epsilon: Float(rates.epsilon),
            negative_step_size: Float(-(rates.learningRate / correction1)))
    }

    /// Takes one step; `gradients` are left as they are.
    package func step(_ parameters: FloatStorage, _ gradients: FloatStorage) {
        precondition(
            parameters.count == first.count && gradients.count == first.count,
            "the optimiser has \(first.count) moments, not \(parameters.count)")
        let constants = advance()
        for range in ranges {
            context.forBlocks(of: 1 << 16, in: range.count, as: .optimizer) { block, _ in
                let start = range.lowerBound + block.lowerBound
                func move() {
                    withUnsafePointer(to: constants) {
                        context.kernels.pointee.adamw(
                            parameters.base + start, gradients.base + start, first.base + start,
                            second.base + start,
                            block.count, $0)
                    }
                }
                if let mask { mask.protect(parameters, start..<start + block.count, move) } else { move() }
            }
        }
    }
}
