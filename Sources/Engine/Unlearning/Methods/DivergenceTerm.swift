// SPDX-License-Identifier: Apache-2.0

import CKernels

/// Holding the model to what the base said (`--retain-loss kl`): mean over the labelled places of KL(p_base ‖ p).
///
/// As TOFU's and OpenUnlearning's KL term, but over labelled places alone: theirs also counts prompts and padding.
package final class DivergenceTerm: LossTerm {
    private let examples: [Example]
    private var base: BaseOutputs?
    package let runsOnCard = false
    package let copies: Int
    package let cachedBytes: Int

    /// - Parameter examples: The whole set, in the order that batches count by.
    package init(_ examples: [Example], _ configuration: ModelConfiguration) throws(EngineError) {
        self.examples = examples
        (copies, cachedBytes) = try BaseOutputs.size(configuration, examples)
    }

    package func begin(_ model: Transformer, progress: (_ done: Int, _ total: Int) throws -> Void) throws {
        base = try BaseOutputs(model, examples, progress: progress)
    }

    package func accumulate(
        _ batch: StepBatch, at position: StepPosition, _ model: Transformer, scale: Double,
        into gradients: FloatStorage
    ) throws -> TermLoss {
        guard let base else { preconditionFailure("the base was not kept") }
        let weight = Float(scale / Double(batch.tokens))
        let divergence = model.context.kernels.pointee.divergence
        var sum = 0.0
        for (index, part) in batch.parts.enumerated() {
            let losses = try batch.finishing(index, model) {
                try base.accumulateGradients(part, model, into: gradients) { place in
                    guard let logits = place.logits.baseAddress, let reference = place.reference.baseAddress
                    else {
                        return .nan
                    }
                    return divergence(logits, reference, place.logits.count, weight).loss
                }
            }
            sum += losses.joined().reduce(0) { $0 + Double($1) }
        }
        return TermLoss(value: sum / Double(batch.tokens), likelihood: nil)
    }
}
