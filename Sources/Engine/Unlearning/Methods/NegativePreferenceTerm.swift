// SPDX-License-Identifier: Apache-2.0

/// Negative preference optimisation (`npo`): mean over rows of −(2/β) · ln σ(β · (S − S_base)), S the sum of a row's
/// token losses, not normalised by length (Zhang et al., arXiv 2404.05868; their repository's and OpenUnlearning's form).
///
/// The gradient is that of ascent on S, times 2σ(−β · (S − S_base)) for each row: 1 at the base, 0 once forgotten.
package final class NegativePreferenceTerm: LossTerm {
    private let loss: PreferenceLoss
    private let examples: [Example]
    private var base: BaseSums?

    /// - Parameters:
    ///   - examples: The whole forget set, in the order that batches count by.
    package init(beta: Double, examples: [Example]) {
        loss = PreferenceLoss(beta: beta)
        self.examples = examples
    }

    package func begin(_ model: Transformer, progress: (_ done: Int, _ total: Int) throws -> Void) throws {
        var done = 0
        base = try BaseSums(model, examples) {
            done += $0
            try progress(done, examples.count)
        }
    }

    package func accumulate(
        _ batch: StepBatch, at position: StepPosition, _ model: Transformer, scale: Double,
        into gradients: FloatStorage
    ) throws -> TermLoss {
        guard let base else { preconditionFailure("the base was not scored") }
        let rows = Double(batch.rows)
        var sums = (value: 0.0, likelihood: 0.0)
        for part in batch.parts {
            let scores = try model.accumulateWeightedGradients(
                part.batch, into: gradients,
                .all { losses in
                    zip(part.rows, losses).map { row, losses in
                        let slope = self.loss.slope(losses.preciseSum - base[row])
                        return [Float](repeating: Float(scale * slope / rows), count: losses.count)
                    }
                })
            for (row, scores) in zip(part.rows, scores) {
                sums.value += loss.value(scores.sum - base[row])
                sums.likelihood += scores.sum
            }
        }
        return TermLoss(value: sums.value / rows, likelihood: sums.likelihood / Double(batch.tokens))
    }
}
