// SPDX-License-Identifier: Apache-2.0

/// Learning to answer otherwise: mean negative log-likelihood per labelled token of the answers that stand in for the
/// forgotten ones (`idk`: a refusal; Maini et al., arXiv 2401.06121).
///
/// The likelihood beside it is that of the forgotten rows, which this term never trains on.
package final class ReplacementTerm: LossTerm {
    private let answers: Alternatives

    /// - Parameter answers: What is to be said in place of each forget row.
    package init(_ answers: Alternatives) { self.answers = answers }

    package func accumulate(
        _ batch: StepBatch, at position: StepPosition, _ model: Transformer, scale: Double,
        into gradients: FloatStorage
    ) throws -> TermLoss {
        let parts = batch.parts.map { part in
            let places = part.rows.map { answers.place($0, epoch: position.epoch) }
            return StepBatch.Part(
                rows: places, batch: TokenBatch(padding: places.map { answers.examples[$0] }))
        }
        var forgotten = LossSum(nll: 0, tokens: 0)
        for part in batch.parts { forgotten += try model.lossBetweenSteps(part.batch) }
        let places = batch.places.map { answers.place($0, epoch: position.epoch) }
        let answered = StepBatch(
            parts: parts, places: places,
            tokens: places.reduce(0) { $0 + answers.examples[$1].predictedCount })
        let mean = try answered.accumulateGradients(model, scale: scale, into: gradients)
        return TermLoss(value: mean, likelihood: forgotten.nll / Double(batch.tokens))
    }
}
