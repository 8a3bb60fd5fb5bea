// SPDX-License-Identifier: Apache-2.0

import Protocol

extension ModelConfiguration {
    /// Reads a `config.json` as transformers 4 or 5 writes it.
    ///
    /// - Throws: ``EngineError``: `.invalidConfiguration` for text that is no sound configuration,
    ///   `.unsupportedModel` for one that the engine cannot compute.
    package init(json: [UInt8]) throws(EngineError) {
        let value: JSONValue
        do throws(StrictJSON.Failure) {
            value = try StrictJSON.parse(json)
        } catch {
            throw EngineError(
                .invalidConfiguration, "config.json is not JSON: \(error)",
                hint: "Import the model again from a sound copy.")
        }
        let fields = try ConfigurationFields(value)
        let architecture = try Self.architecture(fields)
        if fields.isPresent("quantization_config") {
            throw EngineError(
                .unsupportedModel, "config.json has a quantization_config",
                hint: "Editing needs weights in f32, bf16 or f16: dequantise the model first.")
        }
        if architecture == .gpt2 {
            try self.init(gpt2: fields)
        } else {
            try self.init(architecture, fields)
        }
        try validate()
        try choose(fields)
    }

    private static func architecture(_ fields: ConfigurationFields) throws(EngineError) -> Architecture {
        let named = try fields.strings("architectures")
        let type = try fields.string("model_type")
        for name in named { if let architecture = Architecture(rawValue: name) { return architecture } }
        // A base model's name (GPT2Model) or none at all: the type decides.
        if named.allSatisfy({ $0.hasSuffix("Model") && !$0.hasSuffix("HeadModel") }), let type,
            let architecture = Architecture.allCases.first(where: { $0.family.type == type })
        {
            return architecture
        }
        let name = named.first ?? type ?? "of a config.json without architectures and model_type"
        let edits = "Methods that edit tensors by name, such as task-vector, work on any model."
        if ["num_local_experts", "num_experts", "n_routed_experts"].contains(where: fields.isPresent) {
            throw EngineError(
                .unsupportedModel,
                "the architecture \(name) is a mixture of experts, which cannot be trained or evaluated here",
                hint: edits)
        }
        let supported = Architecture.allCases.map(\.rawValue).joined(separator: ", ")
        throw EngineError(
            .unsupportedModel, "the architecture \(name) is not one that can be computed",
            hint: "Training, evaluation and generation support \(supported). \(edits)")
    }

    private init(gpt2 fields: ConfigurationFields) throws(EngineError) {
        let hidden = try fields.size("n_embd", default: 768)
        let heads = try fields.size("n_head", default: 12)
        try fields.require(
            "activation_function", oneOf: ["gelu_new", "gelu_pytorch_tanh", "gelu"], default: "gelu_new")
        try fields.refuse("scale_attn_by_inverse_layer_idx")
        try fields.refuse("add_cross_attention")
        guard hidden.isMultiple(of: heads) else {
            throw fields.notDivisible("n_embd", hidden, "n_head", heads)
        }
        let scaled = try fields.flag("scale_attn_weights", default: true)
        self.init(
            architecture: .gpt2, vocabularySize: try fields.size("vocab_size", default: 50257),
            contextLength: try fields.size("n_positions", default: 1024), hiddenSize: hidden,
            layers: try fields.size("n_layer", default: 12), heads: heads, keyValueHeads: heads,
            headSize: hidden / heads, intermediateSize: try fields.size("n_inner", default: 4 * hidden),
            normalization: .layerNorm,
            normalizationEpsilon: try fields.positive("layer_norm_epsilon", default: 1e-5),
            feedForward: try fields.string("activation_function") == "gelu" ? .exactGELU : .gelu,
            positions: .learned, queryKeyValueBias: true, attentionOutputBias: true, feedForwardBias: true,
            attentionScale: scaled ? 1 / Float(hidden / heads).squareRoot() : 1,
            tiedHead: try fields.flag("tie_word_embeddings", default: true),
            initializerRange: Double(try fields.positive("initializer_range", default: 0.02)),
            endOfTextIDs: try fields.identifiers("eos_token_id"), storedType: try fields.storedType())
    }

    /// What the rotary architectures have in common, with the choices of `architecture`.
    private init(_ architecture: Architecture, _ fields: ConfigurationFields) throws(EngineError) {
        let family = architecture.family
        let hidden = try fields.size("hidden_size", default: family.hiddenSize)
        let layers = try fields.size("num_hidden_layers", default: family.layers)
        let heads = try fields.size("num_attention_heads", default: family.heads)
        let keyValueHeads =
            family.sharesKeys
            ? try fields.size(
                "num_key_value_heads",
                default: fields.isNull("num_key_value_heads") ? heads : family.keyValueHeads ?? heads)
            : heads
        let named = family.readsHeadSize && fields.isPresent("head_dim") ? "head_dim" : nil
        if named == nil, family.headSize == nil, !hidden.isMultiple(of: heads) {
            throw fields.notDivisible("hidden_size", hidden, "num_attention_heads", heads)
        }
        let headSize =
            if let named { try fields.size(named, default: 1) } else {
                family.headSize ?? max(1, hidden / heads)
            }
        guard heads.isMultiple(of: keyValueHeads) else {
            throw fields.notDivisible("num_attention_heads", heads, "num_key_value_heads", keyValueHeads)
        }
        let context = try fields.size("max_position_embeddings", default: family.contextLength)
        let rotary = try fields.rotary(
            headSize: headSize, context: context, architecture, group: "full_attention")
        self.init(
            architecture: architecture,
            vocabularySize: try fields.size("vocab_size", default: family.vocabularySize),
            contextLength: rotary.context ?? context, hiddenSize: hidden, layers: layers, heads: heads,
            keyValueHeads: keyValueHeads, headSize: headSize,
            intermediateSize: try fields.size("intermediate_size", default: family.intermediateSize),
            normalization: family.normalization,
            normalizationEpsilon: try family.epsilonKey.map { key throws(EngineError) in
                try fields.positive(key, default: family.epsilon)
            } ?? family.epsilon, normPlacement: family.normPlacement, feedForward: family.feedForward,
            positions: .rotary(rotary.embedding), queryKeyValueBias: false, attentionOutputBias: false,
            feedForwardBias: false, attentionScale: 1 / Float(headSize).squareRoot(),
            tiedHead: try fields.flag("tie_word_embeddings", default: family.tiedHead),
            initializerRange: Double(try fields.positive("initializer_range", default: 0.02)),
            endOfTextIDs: try fields.identifiers("eos_token_id"), storedType: try fields.storedType())
        guard family.hasPaddingRow else { return }
        paddingID = try fields.padding(vocabulary: vocabularySize, default: family.paddingID)
    }

    /// Refuses sizes that no real model has before anything is multiplied or allocated.
    func validate() throws(EngineError) {
        let limits: [(String, Int, Int)] = [
            ("the vocabulary", vocabularySize, 1 << 24), ("the context", contextLength, 1 << 24),
            ("the hidden size", hiddenSize, 1 << 20), ("the number of layers", layers, 1 << 12),
            ("the number of heads", heads, 1 << 12), ("the head size", headSize, 1 << 14),
            ("the intermediate size", intermediateSize, 1 << 22),
        ]
        for (name, value, limit) in limits where value > limit {
            throw EngineError(
                .invalidConfiguration, "\(name) in config.json is \(value), more than \(limit)",
                hint: "Check config.json against the model's publisher.")
        }
    }
}
