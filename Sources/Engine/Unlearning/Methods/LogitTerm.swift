// SPDX-License-Identifier: Apache-2.0

/// Methods whose loss is a function of each labelled place's logits: `undial`, `ceu`, `pdu`; the mean over the places
/// that count. See ``LogitLoss`` for the formulas.
package final class LogitTerm: LossTerm {
    /// Which loss.
    package enum Loss: Sendable, Hashable {
        /// UNDIAL; the base's logit of the label is lowered by `beta`.
        case selfDistillation(beta: Double)
        /// CE-U; the first labelled tokens of each row are left out, because an answer's beginning says little.
        case complement(skip: Int)
        /// PDU's spread. On the places that predict labels, as all other losses; OpenUnlearning's code takes the
        /// places of the labels themselves.
        case spread
    }

    private let loss: Loss
    private let examples: [Example]
    private var base: BaseOutputs?
    package let runsOnCard = false
    package let copies: Int
    package let cachedBytes: Int

    /// - Parameter examples: The whole set, in the order that batches count by.
    package init(_ loss: Loss, _ examples: [Example], _ configuration: ModelConfiguration) throws(EngineError)
    {
        self.loss = loss
        self.examples = examples
        if case .selfDistillation = loss {
            (copies, cachedBytes) = try BaseOutputs.size(configuration, examples)
        } else {
            (copies, cachedBytes) = (0, 0)
        }
    }

    package func begin(_ model: Transformer, progress: (_ done: Int, _ total: Int) throws -> Void) throws {
        guard case .selfDistillation = loss else { return }
        base = try BaseOutputs(model, examples, progress: progress)
    }

    /// Labelled tokens of each row that do not count.
    private var skipped: Int { if case .complement(let skip) = loss { skip } else { 0 } }

    package func accumulate(
        _ batch: StepBatch, at position: StepPosition, _ model: Transformer, scale: Double,
        into gradients: FloatStorage
    ) throws -> TermLoss {
        let counts = batch.parts.map { part in part.rows.map { examples[$0].predictedCount } }
        let counted = batch.places.reduce(0) { $0 + max(0, examples[$1].predictedCount - skipped) }
        let weight = Float(scale / Double(max(1, counted)))
        var sums = (value: 0.0, likelihood: 0.0)
        for (part, counts) in zip(batch.parts, counts) {
            var starts = [0]
            for count in counts { starts.append(starts[starts.count - 1] + count) }
            let likelihoods = try FloatStorage(count: starts[counts.count])
            let context = model.context
            let evaluate = { [loss, skipped] (place: LogitRow) -> Float in
                let nll = LogitLoss.likelihood(place.logits, target: place.target)
                likelihoods.base[starts[place.row] + place.place] = Float(nll)
                guard place.place >= skipped else {
                    place.logits.update(repeating: 0)
                    return 0
                }
                let value =
                    switch loss {
                    case .selfDistillation(let beta):
                        LogitLoss.selfDistillation(
                            place.logits, place.reference, target: place.target, beta: beta, scale: weight,
                            context)
                    case .complement:
                        LogitLoss.complement(place.logits, target: place.target, scale: weight)
                    case .spread: LogitLoss.spread(place.logits, scale: weight)
                    }
                return Float(value)
            }
            let losses =
                try base?.accumulateGradients(part, model, into: gradients, evaluate)
                ?? model.accumulateLogitGradients(part.batch, into: gradients, evaluate)
            sums.value += losses.joined().reduce(0) { $0 + Double($1) }
            sums.likelihood += likelihoods.values(0..<likelihoods.count).preciseSum
        }
        return TermLoss(
            value: sums.value / Double(max(1, counted)), likelihood: sums.likelihood / Double(batch.tokens))
    }
}
