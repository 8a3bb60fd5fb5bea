// SPDX-License-Identifier: Apache-2.0

/// Direct preference optimisation of another answer over the forgotten one (`dpo`, `idk` by dpo, `altpo`): mean over
/// rows of −(2/β) · ln σ(β · [(S_base(win) − S(win)) − (S_base(lose) − S(lose))]).
///
/// Rafailov et al. (arXiv 2305.18290) with the factor 2/β that Zhang et al. and OpenUnlearning give it, so that `gamma`
/// weighs it as it weighs NPO; TOFU's code has none. AltPO is this with answers that the model gave itself (Mekala et
/// al., arXiv 2409.13474).
package final class PreferenceTerm: LossTerm {
    private let loss: PreferenceLoss
    private let lose: [Example]
    private var win: Alternatives?
    private let sampler: AnswerSampler?
    private var base: (lose: BaseSums, win: BaseSums)?

    /// - Parameters:
    ///   - lose: The whole forget set, in the order that batches count by.
    ///   - win: What is preferred to each of them.
    package init(beta: Double, lose: [Example], win: Alternatives) {
        loss = PreferenceLoss(beta: beta)
        self.lose = lose
        self.win = win
        sampler = nil
    }

    /// - Parameters:
    ///   - lose: The whole forget set, in the order that batches count by.
    ///   - sampler: What draws the answers that are preferred, from the base.
    package init(beta: Double, lose: [Example], sampler: AnswerSampler) {
        loss = PreferenceLoss(beta: beta)
        self.lose = lose
        self.sampler = sampler
    }

    /// The preferred answers, beside the forgotten ones.
    package var otherAnswers: RowSizes? {
        win.map { RowSizes([$0.examples]) } ?? sampler.map { $0.sizes(lose) }
    }

    package func begin(_ model: Transformer, progress: (_ done: Int, _ total: Int) throws -> Void) throws {
        var done = 0
        if let sampler {
            win = try sampler.alternatives(model, lose) { try progress($0, lose.count) }
        }
        guard let win else { return }
        let total = lose.count + win.examples.count
        func sums(_ examples: [Example]) throws -> BaseSums {
            try BaseSums(model, examples) {
                done += $0
                try progress(done, total)
            }
        }
        base = (try sums(lose), try sums(win.examples))
    }

    package func accumulate(
        _ batch: StepBatch, at position: StepPosition, _ model: Transformer, scale: Double,
        into gradients: FloatStorage
    ) throws -> TermLoss {
        guard let base, let win else { preconditionFailure("the base was not scored") }
        let rows = Double(batch.rows)
        var sums = (value: 0.0, likelihood: 0.0)
        for part in batch.parts {
            let answers = part.rows.map { win.place($0, epoch: position.epoch) }
            let count = part.rows.count
            /// x of each row, from the sums of the lost rows and, after them, of the won ones.
            func margins(_ own: [Double]) -> [Double] {
                (0..<count).map { index in
                    (base.win[answers[index]] - own[count + index])
                        - (base.lose[part.rows[index]] - own[index])
                }
            }
            let both = TokenBatch(padding: part.rows.map { lose[$0] } + answers.map { win.examples[$0] })
            let scores = try model.accumulateWeightedGradients(
                both, into: gradients,
                .all { losses in
                    let slopes = margins(losses.map(\.preciseSum)).map { scale * self.loss.slope($0) / rows }
                    return losses.enumerated().map { index, losses in
                        // x grows with the loss of what is lost and falls with that of what wins.
                        let weight = index < count ? slopes[index] : -slopes[index - count]
                        return [Float](repeating: Float(weight), count: losses.count)
                    }
                })
            let own = scores.map(\.sum)
            sums.value += margins(own).reduce(0) { $0 + loss.value($1) }
            sums.likelihood += own.prefix(count).reduce(0, +)
        }
        return TermLoss(value: sums.value / rows, likelihood: sums.likelihood / Double(batch.tokens))
    }
}
