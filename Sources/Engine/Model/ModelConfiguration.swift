// SPDX-License-Identifier: Apache-2.0

/// A decoder, described: sizes, and one choice for each thing in which architectures differ.
///
/// The network (``Transformer``) reads only this and never an architecture's name, so that a further
/// architecture is a further row of choices. Made from a `config.json` by `init(json:)`; where a parameter has its
/// place and name is ``ModelLayout``'s business.
package struct ModelConfiguration: Sendable, Hashable {
    /// The architectures that can be computed, by the name that checkpoints give them.
    package enum Architecture: String, Sendable, Hashable, CaseIterable {
        case gpt2 = "GPT2LMHeadModel"
        case gptNeoX = "GPTNeoXForCausalLM"
        case llama = "LlamaForCausalLM"
        case mistral = "MistralForCausalLM"
        case qwen2 = "Qwen2ForCausalLM"
        case qwen3 = "Qwen3ForCausalLM"
        case phi = "PhiForCausalLM"
        case phi3 = "Phi3ForCausalLM"
        case olmo = "OlmoForCausalLM"
        case olmo2 = "Olmo2ForCausalLM"
        case gemma = "GemmaForCausalLM"
        case gemma2 = "Gemma2ForCausalLM"
        case gemma3 = "Gemma3ForCausalLM"
        case stableLM = "StableLmForCausalLM"
    }

    /// How a row of values is normalised.
    package enum Normalization: Sendable, Hashable {
        /// Centred, scaled and shifted.
        case layerNorm
        /// Centred and scaled, without a shift.
        case unshiftedLayerNorm
        /// Centred and divided by the deviation; nothing is learned.
        case plainLayerNorm
        /// Scaled only.
        case rmsNorm
        /// Scaled by 1 + weight.
        case offsetRMSNorm
    }

    /// Where a block normalises.
    package enum NormPlacement: Sendable, Hashable {
        /// What attention and feed-forward read: x + f(norm(x)).
        case before
        /// What they add to the stream: x + norm(f(x)).
        case after
        /// Both: x + norm(f(norm(x))).
        case around
    }

    /// What the feed-forward network of a block reads.
    package enum Residual: Sendable, Hashable {
        /// The stream with attention's output added.
        case sequential
        /// The stream that enters the block, as attention does, through a norm of its own.
        case parallel
        /// The same normalised stream that attention reads.
        case parallelSharedNorm
    }

    /// The feed-forward network.
    package enum FeedForward: Sendable, Hashable {
        /// down(gelu(up(x))), gelu in its tanh approximation.
        case gelu
        /// down(gelu(up(x))), gelu with the error function.
        case exactGELU
        /// down(silu(gate(x)) * up(x)).
        case swiglu
        /// down(gelu(gate(x)) * up(x)), gelu in its tanh approximation.
        case geglu
    }

    /// How a token's place enters the network.
    package enum Positions: Sendable, Hashable {
        /// A learned vector added to the embedding.
        case learned
        /// Queries and keys are rotated.
        case rotary(RotaryEmbedding)
    }

    /// What queries and keys are normalised by before they are rotated.
    package enum QueryKeyNorm: Sendable, Hashable {
        /// Each head by itself, all with the same weights (D).
        case head(Normalization)
        /// Each head by itself, each with its own weights (D).
        case eachHead(Normalization)
        /// All heads of a row together (H·D).
        case row(Normalization)
    }

    /// Attention of some layers to the last tokens alone.
    package struct SlidingWindow: Sendable, Hashable {
        /// How many tokens a token sees, itself among them.
        package var size: Int
        /// Whether each layer has the window.
        package var layers: [Bool]
        /// How queries and keys of these layers are rotated, where it is another way than that of the others.
        package var rotary: RotaryEmbedding?
    }

    package var architecture: Architecture
    /// V.
    package var vocabularySize: Int
    /// The longest row that the model takes.
    package var contextLength: Int
    /// C.
    package var hiddenSize: Int
    /// L.
    package var layers: Int
    /// H, the number of query heads.
    package var heads: Int
    /// How many key and value heads the query heads share.
    package var keyValueHeads: Int
    /// D, the size of one head.
    package var headSize: Int
    /// I, the inner size of the feed-forward network.
    package var intermediateSize: Int

    package var normalization: Normalization
    package var normalizationEpsilon: Float
    package var normPlacement = NormPlacement.before
    package var residual = Residual.sequential
    package var feedForward: FeedForward
    package var positions: Positions
    package var slidingWindow: SlidingWindow?

    /// Whether the projections to queries, keys and values have biases.
    package var queryKeyValueBias: Bool
    /// Whether the projection from the heads has a bias.
    package var attentionOutputBias: Bool
    /// Whether the feed-forward projections have biases.
    package var feedForwardBias: Bool
    /// Whether the projection to the logits has a bias.
    package var headBias = false
    /// Whether the one projection to queries, keys and values has the three of a head side by side, head by head.
    package var interleavesHeads = false

    package var queryKeyNorm: QueryKeyNorm?
    /// The largest magnitude that queries, keys and values are clipped to.
    package var queryKeyValueClip: Float?
    /// What attention scores are multiplied by.
    package var attentionScale: Float
    /// a in a·tanh(score/a), which scores pass through.
    package var attentionSoftCap: Float?
    /// a in a·tanh(logit/a), which logits pass through.
    package var finalSoftCap: Float?
    /// What embeddings are multiplied by.
    package var embeddingScale: Float?
    /// The token whose embedding gets no gradient where it is looked up (torch's `padding_idx`).
    package var paddingID: Int32?
    /// Whether the output matrix is the embedding matrix.
    package var tiedHead: Bool

    /// Standard deviation of newly made weights.
    package var initializerRange: Double
    /// Ids that end a text, the first one being the one that is appended to completions.
    package var endOfTextIDs: [Int32]
    /// The type in which the configuration says that weights are stored, if it does.
    package var storedType: String?

    /// Floats of one token's queries, keys and values, side by side.
    var qkvWidth: Int { (heads + 2 * keyValueHeads) * headSize }
    /// Floats of one token's attention output.
    var attentionWidth: Int { heads * headSize }
    /// Floats of one token's keys.
    var keyWidth: Int { keyValueHeads * headSize }
    /// Floats of one token's queries and keys (and values) that are kept as they were before clipping or norms.
    var keptWidth: Int {
        queryKeyValueClip != nil ? qkvWidth : queryKeyNorm != nil ? attentionWidth + keyWidth : 0
    }
    /// Norms of one token's queries and keys.
    var headStatistics: Int {
        switch queryKeyNorm {
        case nil: 0
        case .row: 2
        case .head, .eachHead: heads + keyValueHeads
        }
    }
    /// Floats of one token before the activation of the feed-forward network.
    var preactivationWidth: Int { isGated ? 2 * intermediateSize : intermediateSize }
    /// Whether the feed-forward network has a gate beside its up projection.
    var isGated: Bool { feedForward == .swiglu || feedForward == .geglu }

    /// How many tokens a token sees in `layer`, itself among them; `nil` if all before it.
    package func window(_ layer: Int) -> Int? {
        guard let slidingWindow, slidingWindow.layers[layer] else { return nil }
        return slidingWindow.size
    }

    /// How queries and keys of `layer` are rotated, if they are.
    package func rotary(_ layer: Int) -> RotaryEmbedding? {
        guard case .rotary(let embedding) = positions else { return nil }
        return window(layer) == nil ? embedding : slidingWindow?.rotary ?? embedding
    }
}
