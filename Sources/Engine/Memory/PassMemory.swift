// SPDX-License-Identifier: Apache-2.0

/// How much memory passes through a model take beside its weights.
struct PassMemory {
    var configuration: ModelConfiguration
    var threads: Int
    var checkpointing = false

    /// The plan that a batch's buffers are cut by.
    func plan(_ batch: RowSizes.Batch, training: Bool) -> Activations.Plan {
        Activations.Plan(
            configuration,
            size: Activations.Size(
                tokens: max(1, batch.tokens), predictors: max(1, batch.predictors),
                longest: max(1, batch.longest),
                training: training, checkpointing: checkpointing),
            threads: threads)
    }

    /// Floats that a pass over `batch` touches: the logits of a reference only where there is one.
    func floats(_ batch: RowSizes.Batch, training: Bool, reference: Bool = false) -> Int {
        let plan = plan(batch, training: training)
        return plan.total - (reference ? 0 : plan.logitRows * configuration.vocabularySize)
    }
}
