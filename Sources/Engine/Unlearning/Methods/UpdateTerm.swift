// SPDX-License-Identifier: Apache-2.0

/// An outdated fact replaced (`update`): NPO on the old answer, learning on the new one.
///
/// mean over rows of −(2/β) · ln σ(β · (S(old) − S_base(old))) + w · mean over tokens of ℓ(new). DPO would stop as soon as
/// the new answer is likelier than the old, however unlikely both are; here each side has a loss of its own, and that
/// of the old answer is bounded. After Zhang et al. (arXiv 2404.05868) and the replacement term of Yao et al. (arXiv
/// 2310.10683); the sum is our own choice.
package final class UpdateTerm: LossTerm {
    private let loss: PreferenceLoss
    private let old: [Example]
    private let new: Alternatives
    private let weight: Double
    private var base: BaseSums?

    /// - Parameters:
    ///   - old: The whole forget set, in the order that batches count by.
    ///   - new: The answers that replace them.
    ///   - weight: w, how much learning the new answer counts beside losing the old one.
    package init(beta: Double, old: [Example], new: Alternatives, weight: Double) {
        loss = PreferenceLoss(beta: beta)
        self.old = old
        self.new = new
        self.weight = weight
    }

    /// The new answers, beside the old ones.
    package var otherAnswers: RowSizes? { RowSizes([new.examples]) }

    package func begin(_ model: Transformer, progress: (_ done: Int, _ total: Int) throws -> Void) throws {
        var done = 0
        base = try BaseSums(model, old) {
            done += $0
            try progress(done, old.count)
        }
    }

    package func accumulate(
        _ batch: StepBatch, at position: StepPosition, _ model: Transformer, scale: Double,
        into gradients: FloatStorage
    ) throws -> TermLoss {
        guard let base else { preconditionFailure("the base was not scored") }
        let rows = Double(batch.rows)
        func answers(_ rows: [Int]) -> [Example] {
            rows.map { new.examples[new.place($0, epoch: position.epoch)] }
        }
        let tokens = Double(answers(batch.places).reduce(0) { $0 + $1.predictedCount })
        var sums = (old: 0.0, new: 0.0, likelihood: 0.0)
        for part in batch.parts {
            let count = part.rows.count
            let both = TokenBatch(padding: part.rows.map { old[$0] } + answers(part.rows))
            let scores = try model.accumulateWeightedGradients(
                both, into: gradients,
                .all { losses in
                    losses.enumerated().map { index, losses in
                        let slope =
                            index < count
                            ? self.loss.slope(losses.preciseSum - base[part.rows[index]]) / rows
                            : self.weight / tokens
                        return [Float](repeating: Float(scale * slope), count: losses.count)
                    }
                })
            for (index, scores) in scores.enumerated() {
                if index < count {
                    sums.old += loss.value(scores.sum - base[part.rows[index]])
                    sums.likelihood += scores.sum
                } else {
                    sums.new += scores.sum
                }
            }
        }
        return TermLoss(
            value: sums.old / rows + weight * sums.new / tokens,
            likelihood: sums.likelihood / Double(batch.tokens))
    }
}
