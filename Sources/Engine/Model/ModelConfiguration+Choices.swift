// SPDX-License-Identifier: Apache-2.0

/// The choices that each architecture makes beyond its ``ArchitectureFamily``.
extension ModelConfiguration {
    mutating func choose(_ fields: ConfigurationFields) throws(EngineError) {
        try chooseActivation(fields)
        switch architecture {
        case .gpt2: break
        case .gptNeoX:
            try biased(fields)
            feedForwardBias = true
            interleavesHeads = true
            let isParallel = try fields.flag("use_parallel_residual", default: true)
            residual = isParallel ? .parallel : .sequential
        case .llama:
            try biased(fields)
            feedForwardBias = try fields.flag("mlp_bias", default: false)
        case .mistral:
            try windows(
                fields.isNull("sliding_window") ? nil : fields.size("sliding_window", default: 4096),
                [Bool](repeating: true, count: layers))
        case .qwen2:
            queryKeyValueBias = true
            try fields.refuse("use_mrope")
            try qwenWindows(fields)
        case .qwen3:
            try biased(fields)
            queryKeyNorm = .head(.rmsNorm)
            try qwenWindows(fields)
        case .phi:
            queryKeyValueBias = true
            attentionOutputBias = true
            feedForwardBias = true
            headBias = true
            residual = .parallelSharedNorm
            if try fields.flag("qk_layernorm", default: false) { queryKeyNorm = .head(.layerNorm) }
        case .phi3:
            try windows(
                fields.isPresent("sliding_window") ? fields.size("sliding_window", default: 1) : nil,
                [Bool](repeating: true, count: layers))
        case .olmo:
            try biased(fields)
            if fields.isPresent("clip_qkv") {
                queryKeyValueClip = try fields.positive("clip_qkv", default: 1)
            }
        case .olmo2:
            try biased(fields)
            queryKeyNorm = .row(.rmsNorm)
        case .gemma:
            try chooseGemma(fields)
        case .gemma2:
            try chooseGemma(fields)
            try chooseGemma2(fields, softCaps: (attention: 50, final: 30))
            try windows(
                fields.isNull("sliding_window") ? nil : fields.size("sliding_window", default: 4096),
                fields.slidingLayers(layers) ?? (0..<layers).map { $0.isMultiple(of: 2) })
        case .gemma3:
            try chooseGemma(fields)
            try chooseGemma2(fields, softCaps: (attention: nil, final: nil))
            queryKeyNorm = .head(.offsetRMSNorm)
            let pattern = try fields.size("sliding_window_pattern", default: 6)
            try windows(
                fields.isNull("sliding_window") ? nil : fields.size("sliding_window", default: 4096),
                fields.slidingLayers(layers) ?? (0..<layers).map { !($0 + 1).isMultiple(of: pattern) },
                rotary: fields.rotary(
                    headSize: headSize, context: contextLength, architecture, group: "sliding_attention"
                ).embedding)
        case .stableLM:
            queryKeyValueBias = try fields.flag("use_qkv_bias", default: false)
            if try fields.flag("qk_layernorm", default: false) {
                queryKeyNorm = .eachHead(.unshiftedLayerNorm)
            }
            if try fields.flag("use_parallel_residual", default: false) { residual = .parallelSharedNorm }
        }
    }

    /// Gated networks have one activation each; the others take gelu in either form.
    private mutating func chooseActivation(_ fields: ConfigurationFields) throws(EngineError) {
        let tanh = ["gelu_new", "gelu_pytorch_tanh", "gelu_fast"]
        switch feedForward {
        case .swiglu: try fields.require("hidden_act", oneOf: ["silu", "swish"], default: "silu")
        case .geglu:
            // Gemma's first configurations say "gelu" and mean the approximation; transformers reads it so.
            let key = fields.isPresent("hidden_activation") ? "hidden_activation" : "hidden_act"
            try fields.require(key, oneOf: ["gelu_pytorch_tanh", "gelu_new", "gelu"], default: "gelu")
        case .gelu, .exactGELU:
            try fields.require("hidden_act", oneOf: tanh + ["gelu"], default: tanh[0])
            if let name = try fields.string("hidden_act") {
                feedForward = name == "gelu" ? .exactGELU : .gelu
            }
        }
    }

    private mutating func biased(_ fields: ConfigurationFields) throws(EngineError) {
        queryKeyValueBias = try fields.flag("attention_bias", default: architecture == .gptNeoX)
        attentionOutputBias = queryKeyValueBias
    }

    private mutating func chooseGemma(_ fields: ConfigurationFields) throws(EngineError) {
        try biased(fields)
        try fields.refuse("use_bidirectional_attention")
        embeddingScale = Float(Double(hiddenSize).squareRoot())
    }

    private mutating func chooseGemma2(
        _ fields: ConfigurationFields, softCaps: (attention: Float?, final: Float?)
    ) throws(EngineError) {
        attentionScale = Float(
            1 / Double(try fields.positive("query_pre_attn_scalar", default: 256)).squareRoot())
        attentionSoftCap = try fields.optional("attn_logit_softcapping", default: softCaps.attention)
        finalSoftCap = try fields.optional("final_logit_softcapping", default: softCaps.final)
    }

    /// Qwen's windows begin at a layer and are off unless switched on.
    private mutating func qwenWindows(_ fields: ConfigurationFields) throws(EngineError) {
        guard try fields.flag("use_sliding_window", default: false), !fields.isNull("sliding_window") else {
            return
        }
        let first = try fields.count("max_window_layers", default: 28)
        try windows(
            fields.size("sliding_window", default: 4096),
            fields.slidingLayers(layers) ?? (0..<layers).map { $0 >= first })
    }

    /// A window as long as the context hides nothing.
    private mutating func windows(
        _ size: Int?, _ windowed: [Bool], rotary: RotaryEmbedding? = nil
    ) throws(EngineError) {
        guard windowed.contains(true) else { return }
        let size = size ?? contextLength
        guard size < contextLength || rotary != nil else { return }
        slidingWindow = SlidingWindow(size: min(size, contextLength), layers: windowed, rotary: rotary)
    }
}
