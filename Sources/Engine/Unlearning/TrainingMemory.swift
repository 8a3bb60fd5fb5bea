// SPDX-License-Identifier: Apache-2.0

/// How much memory a training run takes, before it begins.
package enum TrainingMemory {
    /// The peak of a run, bytes.
    ///
    /// Weights, gradients and AdamW's two moments in f32, a second set of weights for `kl`, what the backward pass
    /// keeps of one batch, the logits in flight (two blocks of 64 MiB), and 128 MiB for everything else.
    ///
    /// - Parameters:
    ///   - batch: Rows of one batch.
    ///   - length: Tokens of the longest row.
    ///   - keepsBase: Whether the weights at the beginning are kept (`kl`).
    package static func predict(
        _ configuration: ModelConfiguration, batch: Int, length: Int, threads: Int = 2,
        keepsBase: Bool = false
    ) throws(EngineError) -> Int {
        let values = try ModelLayout(configuration).table.count
        let c = configuration
        let tokens = batch * length
        let perBlock =
            4 * c.hiddenSize + c.qkvWidth + c.attentionWidth + c.heads + c.preactivationWidth
            + c.intermediateSize + 4
        let gradients =
            2 * c.hiddenSize + max(c.intermediateSize, c.attentionWidth)
            + max(c.preactivationWidth, c.qkvWidth)
        let scored = 3 * c.hiddenSize + 2
        let activations = tokens * (c.layers * perBlock + c.hiddenSize + gradients + scored)
        let logits = 2 * min(tokens * c.vocabularySize, max(1 << 24, 32 * c.vocabularySize))
        return 4 * (values * (keepsBase ? 5 : 4) + activations + logits) + 128 << 20
    }
}
