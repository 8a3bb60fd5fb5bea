// SPDX-License-Identifier: Apache-2.0

/// What an architecture's `config.json` may leave unsaid, and what it cannot say: the defaults and fixed choices of
/// its configuration class in transformers.
struct ArchitectureFamily {
    /// `model_type`.
    var type: String
    var vocabularySize: Int
    var contextLength: Int
    var hiddenSize: Int
    var layers: Int
    var heads: Int
    var intermediateSize: Int

    /// Whether heads may share keys and values, and how many there are by default; `nil`: as many as queries.
    var sharesKeys = true
    var keyValueHeads: Int?
    /// Whether `head_dim` is read, and what it is by default; `nil`: hidden size / heads.
    var readsHeadSize = true
    var headSize: Int?

    var normalization = ModelConfiguration.Normalization.rmsNorm
    var normPlacement = ModelConfiguration.NormPlacement.before
    /// Where the norms' epsilon stands; `nil`: it is fixed.
    var epsilonKey: String? = "rms_norm_eps"
    var epsilon: Float = 1e-6
    var feedForward = ModelConfiguration.FeedForward.swiglu
    var tiedHead = false
    /// How much of a head is rotated.
    var rotaryShare = 1.0
    var rotaryTheta: Float = 10000

    /// Whether the embedding has a row for padding, and which by default.
    var hasPaddingRow = true
    var paddingID: Int32?
}

extension ModelConfiguration.Architecture {
    /// The defaults of transformers' configuration classes.
    var family: ArchitectureFamily {
        switch self {
        case .gpt2:
            // Its configuration has names of its own, read in one place with their defaults.
            ArchitectureFamily(
                type: "gpt2", vocabularySize: 50257, contextLength: 1024, hiddenSize: 768, layers: 12,
                heads: 12,
                intermediateSize: 3072, hasPaddingRow: false)
        case .gptNeoX:
            ArchitectureFamily(
                type: "gpt_neox", vocabularySize: 50432, contextLength: 2048, hiddenSize: 6144, layers: 44,
                heads: 64, intermediateSize: 24576, sharesKeys: false, readsHeadSize: false,
                normalization: .layerNorm, epsilonKey: "layer_norm_eps", epsilon: 1e-5,
                feedForward: .exactGELU,
                rotaryShare: 0.25, hasPaddingRow: false)
        case .llama:
            ArchitectureFamily(
                type: "llama", vocabularySize: 32000, contextLength: 2048, hiddenSize: 4096, layers: 32,
                heads: 32, intermediateSize: 11008)
        case .mistral:
            ArchitectureFamily(
                type: "mistral", vocabularySize: 32000, contextLength: 131_072, hiddenSize: 4096, layers: 32,
                heads: 32, intermediateSize: 14336, keyValueHeads: 8)
        case .qwen2:
            ArchitectureFamily(
                type: "qwen2", vocabularySize: 151_936, contextLength: 32768, hiddenSize: 4096, layers: 32,
                heads: 32, intermediateSize: 22016, keyValueHeads: 32)
        case .qwen3:
            ArchitectureFamily(
                type: "qwen3", vocabularySize: 151_936, contextLength: 32768, hiddenSize: 4096, layers: 32,
                heads: 32, intermediateSize: 22016, keyValueHeads: 32, headSize: 128)
        case .phi:
            ArchitectureFamily(
                type: "phi", vocabularySize: 51200, contextLength: 2048, hiddenSize: 2048, layers: 24,
                heads: 32,
                intermediateSize: 8192, normalization: .layerNorm, epsilonKey: "layer_norm_eps",
                epsilon: 1e-5,
                feedForward: .gelu, rotaryShare: 0.5)
        case .phi3:
            ArchitectureFamily(
                type: "phi3", vocabularySize: 32064, contextLength: 4096, hiddenSize: 3072, layers: 32,
                heads: 32, intermediateSize: 8192, epsilon: 1e-5, paddingID: 32000)
        case .olmo:
            ArchitectureFamily(
                type: "olmo", vocabularySize: 50304, contextLength: 2048, hiddenSize: 4096, layers: 32,
                heads: 32, intermediateSize: 11008, normalization: .plainLayerNorm, epsilonKey: nil,
                epsilon: 1e-5, paddingID: 1)
        case .olmo2:
            ArchitectureFamily(
                type: "olmo2", vocabularySize: 50304, contextLength: 2048, hiddenSize: 4096, layers: 32,
                heads: 32, intermediateSize: 11008, normPlacement: .after, epsilon: 1e-5, paddingID: 1)
        case .gemma:
            ArchitectureFamily(
                type: "gemma", vocabularySize: 256_000, contextLength: 8192, hiddenSize: 3072, layers: 28,
                heads: 16, intermediateSize: 24576, keyValueHeads: 16, headSize: 256,
                normalization: .offsetRMSNorm, feedForward: .geglu, tiedHead: true, paddingID: 0)
        case .gemma2:
            ArchitectureFamily(
                type: "gemma2", vocabularySize: 256_000, contextLength: 8192, hiddenSize: 2304, layers: 26,
                heads: 8, intermediateSize: 9216, keyValueHeads: 4, headSize: 256,
                normalization: .offsetRMSNorm, normPlacement: .around, feedForward: .geglu, tiedHead: true,
                paddingID: 0)
        case .gemma3:
            ArchitectureFamily(
                type: "gemma3_text", vocabularySize: 262_208, contextLength: 131_072, hiddenSize: 2304,
                layers: 26, heads: 8, intermediateSize: 9216, keyValueHeads: 4, headSize: 256,
                normalization: .offsetRMSNorm, normPlacement: .around, feedForward: .geglu, tiedHead: true,
                rotaryTheta: 1_000_000, paddingID: 0)
        case .stableLM:
            ArchitectureFamily(
                type: "stablelm", vocabularySize: 50304, contextLength: 4096, hiddenSize: 2560, layers: 32,
                heads: 32, intermediateSize: 6912, keyValueHeads: 32, readsHeadSize: false,
                normalization: .layerNorm, epsilonKey: "layer_norm_eps", epsilon: 1e-5, rotaryShare: 0.25)
        }
    }
}
