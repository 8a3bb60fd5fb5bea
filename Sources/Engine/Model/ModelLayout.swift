// SPDX-License-Identifier: Apache-2.0

/// The network's parts, each with the places of its parameters in the flat buffer.
///
/// Built from a configuration; the names of an architecture's tensors appear here and nowhere else.
struct ModelLayout: Sendable {
    /// One decoder block.
    struct Block: Sendable {
        var attentionNorm: Norm
        /// Projections into the row of queries, keys and values, each with its first column there.
        var inputs: [Placed]
        var output: Linear
        var feedForwardNorm: Norm
        /// Projections into the row before the activation.
        var up: [Placed]
        var down: Linear
    }

    /// A projection that writes to a part of a wider row.
    struct Placed: Sendable {
        var linear: Linear
        var column: Int
    }

    private(set) var table: ParameterTable
    private(set) var tokenEmbedding = 0
    private(set) var positionEmbedding: Int?
    private(set) var blocks: [Block] = []
    private(set) var finalNorm = Norm(gamma: 0, beta: nil)
    private(set) var head: Linear

    init(_ configuration: ModelConfiguration) throws(EngineError) {
        switch configuration.architecture {
        case .gpt2: try self.init(gpt2: configuration)
        case .llama: try self.init(llama: configuration)
        }
    }

    private init(gpt2 c: ModelConfiguration) throws(EngineError) {
        table = ParameterTable(
            prefix: "transformer.", aliases: c.tiedHead ? ["lm_head.weight": "transformer.wte.weight"] : [:],
            derivedSuffixes: [".attn.bias", ".attn.masked_bias"])
        let normal = ParameterTable.Initial.normal(deviation: c.initializerRange)
        // Radford et al. 2019: what is added to the residual stream is scaled by the number of additions.
        let residual = ParameterTable.Initial.normal(
            deviation: c.initializerRange / Double(2 * c.layers).squareRoot())
        head = Linear(
            weight: 0, bias: nil, inputs: c.hiddenSize, outputs: c.vocabularySize, layout: .outputsFirst)
        tokenEmbedding = try table.add("transformer.wte.weight", [c.vocabularySize, c.hiddenSize], normal)
        positionEmbedding = try table.add("transformer.wpe.weight", [c.contextLength, c.hiddenSize], normal)
        for layer in 0..<c.layers {
            let name = "transformer.h.\(layer)."
            let attentionNorm = try norm(name + "ln_1", c)
            let qkv = try conv(name + "attn.c_attn", c.hiddenSize, 3 * c.hiddenSize, normal)
            let output = try conv(name + "attn.c_proj", c.hiddenSize, c.hiddenSize, residual)
            let feedForwardNorm = try norm(name + "ln_2", c)
            let up = try conv(name + "mlp.c_fc", c.hiddenSize, c.intermediateSize, normal)
            let down = try conv(name + "mlp.c_proj", c.intermediateSize, c.hiddenSize, residual)
            blocks.append(
                Block(
                    attentionNorm: attentionNorm, inputs: [Placed(linear: qkv, column: 0)], output: output,
                    feedForwardNorm: feedForwardNorm, up: [Placed(linear: up, column: 0)], down: down))
        }
        finalNorm = try norm("transformer.ln_f", c)
        try addHead(c, normal)
    }

    private init(llama c: ModelConfiguration) throws(EngineError) {
        table = ParameterTable(
            prefix: "model.", aliases: c.tiedHead ? ["lm_head.weight": "model.embed_tokens.weight"] : [:],
            derivedSuffixes: ["rotary_emb.inv_freq"])
        let normal = ParameterTable.Initial.normal(deviation: c.initializerRange)
        let queries = c.heads * c.headSize
        let keys = c.keyValueHeads * c.headSize
        head = Linear(
            weight: 0, bias: nil, inputs: c.hiddenSize, outputs: c.vocabularySize, layout: .outputsFirst)
        tokenEmbedding = try table.add("model.embed_tokens.weight", [c.vocabularySize, c.hiddenSize], normal)
        for layer in 0..<c.layers {
            let name = "model.layers.\(layer)."
            let attention = name + "self_attn."
            let attentionNorm = try norm(name + "input_layernorm", c)
            let q = try linear(attention + "q_proj", c.hiddenSize, queries, c.attentionBias, normal)
            let k = try linear(attention + "k_proj", c.hiddenSize, keys, c.attentionBias, normal)
            let v = try linear(attention + "v_proj", c.hiddenSize, keys, c.attentionBias, normal)
            let output = try linear(attention + "o_proj", queries, c.hiddenSize, c.attentionBias, normal)
            let feedForwardNorm = try norm(name + "post_attention_layernorm", c)
            let gate = try linear(
                name + "mlp.gate_proj", c.hiddenSize, c.intermediateSize, c.feedForwardBias, normal)
            let up = try linear(
                name + "mlp.up_proj", c.hiddenSize, c.intermediateSize, c.feedForwardBias, normal)
            let down = try linear(
                name + "mlp.down_proj", c.intermediateSize, c.hiddenSize, c.feedForwardBias, normal)
            blocks.append(
                Block(
                    attentionNorm: attentionNorm,
                    inputs: [
                        Placed(linear: q, column: 0), Placed(linear: k, column: queries),
                        Placed(linear: v, column: queries + keys),
                    ], output: output, feedForwardNorm: feedForwardNorm,
                    up: [Placed(linear: gate, column: 0), Placed(linear: up, column: c.intermediateSize)],
                    down: down))
        }
        finalNorm = try norm("model.norm", c)
        try addHead(c, normal)
    }

    private mutating func addHead(_ c: ModelConfiguration, _ initial: ParameterTable.Initial)
        throws(EngineError)
    {
        head.weight =
            c.tiedHead
            ? tokenEmbedding : try table.add("lm_head.weight", [c.vocabularySize, c.hiddenSize], initial)
    }

    private mutating func norm(_ name: String, _ c: ModelConfiguration) throws(EngineError) -> Norm {
        let gamma = try table.add(name + ".weight", [c.hiddenSize], .one)
        let beta = c.normalization == .layerNorm ? try table.add(name + ".bias", [c.hiddenSize], .zero) : nil
        return Norm(gamma: gamma, beta: beta)
    }

    /// GPT-2's Conv1D: the weight is (in, out).
    private mutating func conv(
        _ name: String, _ inputs: Int, _ outputs: Int, _ initial: ParameterTable.Initial
    ) throws(EngineError) -> Linear {
        let weight = try table.add(name + ".weight", [inputs, outputs], initial)
        let bias = try table.add(name + ".bias", [outputs], .zero)
        return Linear(weight: weight, bias: bias, inputs: inputs, outputs: outputs, layout: .inputsFirst)
    }

    private mutating func linear(
        _ name: String, _ inputs: Int, _ outputs: Int, _ hasBias: Bool, _ initial: ParameterTable.Initial
    ) throws(EngineError) -> Linear {
        let weight = try table.add(name + ".weight", [outputs, inputs], initial)
        let bias = hasBias ? try table.add(name + ".bias", [outputs], .zero) : nil
        return Linear(weight: weight, bias: bias, inputs: inputs, outputs: outputs, layout: .outputsFirst)
    }
}

extension ModelLayout {
    /// The projections of all blocks.
    var projections: [Linear] { blocks.flatMap { $0.projections } }

    /// Adds low-rank adapters to the projections that `settings` names; their parameters stand behind all others.
    ///
    /// - Throws: ``EngineError`` with `.tensorMismatch` for a target or a layer that the model lacks.
    mutating func attach(_ settings: AdapterSettings) throws(EngineError) {
        if let range = settings.layers?.ranges.first(where: { $0.upperBound >= blocks.count }) {
            throw EngineError(
                .tensorMismatch,
                "layer \(range.upperBound) is to get adapters, but the model has \(blocks.count) layers, from 0",
                hint: "Give --train-layers layers that there are.")
        }
        let names = Dictionary(
            table.entries.map { ($0.offset, String($0.name.dropLast(".weight".count))) }
        ) { first, _ in first }
        var found: Set<String> = []
        for layer in blocks.indices where settings.layers?.contains(layer) ?? true {
            var block = blocks[layer]
            try block.forEachProjection { (linear: inout Linear) throws(EngineError) in
                guard let module = names[linear.weight], let target = settings.target(of: module) else {
                    return
                }
                found.insert(target)
                let a = try table.add(
                    module + ".lora_A.weight", [settings.rank, linear.inputs],
                    .uniform(bound: 1 / Double(linear.inputs).squareRoot()), isAdapter: true)
                let b = try table.add(
                    module + ".lora_B.weight", [linear.outputs, settings.rank], .zero, isAdapter: true)
                linear.adapter = Linear.Adapter(a: a, b: b, rank: settings.rank, scale: settings.scale)
            }
            blocks[layer] = block
        }
        if let missing = settings.targets.first(where: { !found.contains($0) }) {
            let known = blocks.first?.projections.compactMap { names[$0.weight]?.split(separator: ".").last }
            throw EngineError(
                .tensorMismatch, "the model's blocks have no projection named \(missing)",
                hint: "Name some of \((known ?? []).joined(separator: ", ")), or all-linear.")
        }
    }
}

extension ModelLayout.Block {
    /// Its projections, in the order of the computation.
    var projections: [Linear] { inputs.map(\.linear) + [output] + up.map(\.linear) + [down] }

    /// Changes its projections, in the same order.
    mutating func forEachProjection(
        _ body: (inout Linear) throws(EngineError) -> Void
    ) throws(EngineError) {
        for index in inputs.indices { try body(&inputs[index].linear) }
        try body(&output)
        for index in up.indices { try body(&up[index].linear) }
        try body(&down)
    }
}
