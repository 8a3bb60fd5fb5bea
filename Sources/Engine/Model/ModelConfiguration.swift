// SPDX-License-Identifier: Apache-2.0

/// A decoder, described: sizes, and one choice for each thing in which architectures differ.
///
/// The network (``Transformer``) reads only this and never an architecture's name, so that a further
/// architecture is a further row of choices. Made from a `config.json` by `init(json:)`.
package struct ModelConfiguration: Sendable, Hashable {
    /// The architectures that can be computed, by the name that checkpoints give them.
    package enum Architecture: String, Sendable, Hashable, CaseIterable {
        case gpt2 = "GPT2LMHeadModel"
        case llama = "LlamaForCausalLM"
    }

    /// How activations are normalised before attention and feed-forward.
    package enum Normalization: Sendable, Hashable {
        /// Centred, scaled and shifted.
        case layerNorm
        /// Scaled only.
        case rmsNorm
    }

    /// The feed-forward network.
    package enum FeedForward: Sendable, Hashable {
        /// down(gelu(up(x))), gelu in its tanh approximation.
        case gelu
        /// down(silu(gate(x)) * up(x)).
        case swiglu
    }

    /// How a token's place enters the network.
    package enum Positions: Sendable, Hashable {
        /// A learned vector added to the embedding.
        case learned
        /// Queries and keys are rotated.
        case rotary(RotaryEmbedding)
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
    package var feedForward: FeedForward
    package var positions: Positions
    /// Whether the projections to queries, keys and values, and from heads, have biases.
    package var attentionBias: Bool
    /// Whether the feed-forward projections have biases.
    package var feedForwardBias: Bool
    /// What attention scores are multiplied by.
    package var attentionScale: Float
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
    /// Floats of one token before the activation of the feed-forward network.
    var preactivationWidth: Int { feedForward == .swiglu ? 2 * intermediateSize : intermediateSize }
}
