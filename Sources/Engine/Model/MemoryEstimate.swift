// SPDX-License-Identifier: Apache-2.0

/// How much memory work with a model takes at most, in bytes: what admission of jobs goes by.
package struct MemoryEstimate: Sendable, Hashable {
    /// One copy of the weights in f32.
    package let weights: Int
    /// Activations, gradients of activations and logits of the largest batch: what a ``Transformer`` maps for it.
    package let activations: Int
    /// Whether gradients and an optimiser's two moments are held as well.
    package let training: Bool

    /// All of it; the reference weights of a divergence are further ``weights``.
    package var total: Int { (training ? 4 : 1) * weights + activations }

    /// The estimate for batches of `rows` rows of up to `columns` tokens.
    ///
    /// - Parameter checkpointing: Whether training computes activations again instead of keeping them.
    /// - Throws: ``EngineError`` with `.invalidConfiguration` for sizes beyond reason.
    package init(
        _ configuration: ModelConfiguration, rows: Int, columns: Int, training: Bool,
        checkpointing: Bool = false,
        threads: Int
    ) throws(EngineError) {
        let table = try ModelLayout(configuration).table
        let tokens = max(1, rows) * max(1, columns)
        let plan = Activations.Plan(
            configuration,
            size: Activations.Size(
                tokens: tokens, predictors: tokens, longest: max(1, columns), training: training,
                checkpointing: checkpointing),
            threads: threads)
        let bytes = MemoryLayout<Float>.stride
        weights = table.count * bytes
        activations = plan.total * bytes
        self.training = training
    }
}
