// SPDX-License-Identifier: Apache-2.0

/// Learning: loss = mean negative log-likelihood over the batch's labelled tokens (`finetune`).
package final class FinetuneObjective: Objective {
    package init() {}

    package func accumulate(_ step: StepBatches, _ model: Transformer, into gradients: FloatStorage) throws
        -> StepLosses
    {
        guard let batch = step.retain?.last(of: step) else { return StepLosses(loss: .nan) }
        let loss = try batch.accumulateGradients(model, scale: 1, into: gradients)
        return StepLosses(loss: loss, retain: loss)
    }
}
