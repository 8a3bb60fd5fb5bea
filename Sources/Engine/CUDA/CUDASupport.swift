// SPDX-License-Identifier: Apache-2.0

/// What of the engine there is for a card.
package enum CUDASupport {
    /// Refuses a model that has parts without a kernel for the card.
    ///
    /// GPT-2 and what is built like Llama: norms before attention and before the feed-forward network, one after the other.
    /// - Throws: ``EngineError`` with `.unsupportedModel` that names the parts.
    package static func require(_ c: ModelConfiguration) throws(EngineError) {
        var missing: [String] = []
        func refuse(_ condition: Bool, _ what: String) { if condition { missing.append(what) } }
        refuse(c.normPlacement != .before, "norms after attention and the feed-forward network")
        refuse(c.residual != .sequential, "attention beside the feed-forward network")
        refuse(c.queryKeyNorm != nil, "norms of queries and keys")
        refuse(c.queryKeyValueClip != nil, "clipped queries, keys and values")
        refuse(c.attentionSoftCap != nil || c.finalSoftCap != nil, "capped scores or logits")
        refuse(c.interleavesHeads, "queries, keys and values side by side for each head")
        refuse(c.headBias, "a bias of the logits")
        refuse(c.slidingWindow?.layers.contains(true) == true, "windows of attention")
        refuse(c.headSize > 128, "heads of more than 128 values")
        guard missing.isEmpty else {
            throw EngineError(
                .unsupportedModel,
                "\(c.architecture.rawValue) has what cannot be computed on a card yet: \(missing.joined(separator: ", "))",
                hint: "Compute with --device cpu.")
        }
    }

    /// Refuses adapters, which are trained on the processor alone.
    package static func require(_ model: Transformer) throws(EngineError) {
        try require(model.configuration)
        guard !model.hasAdapters else {
            throw EngineError(
                .unsupportedModel, "low-rank adapters cannot be trained on a card yet",
                hint: "Compute with --device cpu.")
        }
    }
}
