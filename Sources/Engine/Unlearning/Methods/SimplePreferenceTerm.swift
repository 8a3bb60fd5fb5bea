// SPDX-License-Identifier: Apache-2.0

/// SimNPO (`simnpo`): mean over rows of −(2/β) · ln σ(β · (S/T − δ)): like NPO, but a row's mean loss takes the place of
/// its distance from the base, so no base is needed and long rows do not count more (Fan et al., arXiv 2410.07163;
/// their TOFU code and OpenUnlearning's SimNPO, which call δ gamma and delta).
package final class SimplePreferenceTerm: LossTerm {
    private let loss: PreferenceLoss
    private let margin: Double

    /// - Parameter margin: δ, nats per token: the mean loss from which a row counts as forgotten.
    package init(beta: Double, margin: Double = 0) {
        loss = PreferenceLoss(beta: beta)
        self.margin = margin
    }

    package func accumulate(
        _ batch: StepBatch, at position: StepPosition, _ model: Transformer, scale: Double,
        into gradients: FloatStorage
    ) throws -> TermLoss {
        let rows = Double(batch.rows)
        var sums = (value: 0.0, likelihood: 0.0)
        for part in batch.parts {
            let scores = try model.accumulateWeightedGradients(
                part.batch, into: gradients,
                .all { losses in
                    losses.map { losses in
                        let tokens = Double(losses.count)
                        let slope = self.loss.slope(losses.preciseSum / tokens - self.margin)
                        return [Float](repeating: Float(scale * slope / tokens / rows), count: losses.count)
                    }
                })
            for scores in scores {
                sums.value += loss.value(scores.sum / Double(scores.count) - margin)
                sums.likelihood += scores.sum
            }
        }
        return TermLoss(value: sums.value / rows, likelihood: sums.likelihood / Double(batch.tokens))
    }
}
