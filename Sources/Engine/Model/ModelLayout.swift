// SPDX-License-Identifier: Apache-2.0

import Protocol

/// The network's parts, each with the places of its parameters in the flat buffer.
///
/// Built from a configuration and its architecture's ``TensorNames``.
struct ModelLayout: Sendable {
    /// One decoder block; a norm that the configuration does not place is `nil`.
    struct Block: Sendable {
        var attentionNorm: Norm?
        /// Projections into the row of queries, keys and values, each with its first column there.
        var inputs: [Placed]
        /// One norm for all heads, or one for each.
        var queryNorms: [Norm]
        var keyNorms: [Norm]
        var output: Linear
        var outputNorm: Norm?
        var feedForwardNorm: Norm?
        /// Projections into the row before the activation.
        var up: [Placed]
        var down: Linear
        var downNorm: Norm?
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
    private(set) var finalNorm = Norm()
    private(set) var head: Linear

    init(_ c: ModelConfiguration) throws(EngineError) {
        let names = TensorNames(c.architecture)
        var aliases: [String: String] = [:]
        let embedding = names.prefix + names.tokenEmbedding + ".weight"
        for head in [names.head, names.otherHead].compactMap(\.self) where c.tiedHead {
            aliases[head + ".weight"] = embedding
        }
        table = ParameterTable(
            prefix: names.prefix, aliases: aliases,
            synonyms: c.tiedHead
                ? [:] : names.otherHead.map { [$0 + ".weight": names.head + ".weight"] } ?? [:],
            derivedSuffixes: names.derivedSuffixes)
        let normal = ParameterTable.Initial.normal(deviation: c.initializerRange)
        head = Linear(
            weight: 0, bias: nil, inputs: c.hiddenSize, outputs: c.vocabularySize, layout: .outputsFirst)
        tokenEmbedding = try table.add(embedding, [c.vocabularySize, c.hiddenSize], normal)
        if c.positions == .learned {
            positionEmbedding = try table.add(
                names.prefix + names.positionEmbedding + ".weight", [c.contextLength, c.hiddenSize], normal)
        }
        for layer in 0..<c.layers {
            try blocks.append(block(c, names, names.prefix + names.blocks + "\(layer)."))
        }
        finalNorm = try norm(names.prefix + names.finalNorm, c.normalization, c.hiddenSize)
        head.weight =
            c.tiedHead
            ? tokenEmbedding
            : try table.add(names.head + ".weight", [c.vocabularySize, c.hiddenSize], normal)
        if c.headBias { head.bias = try table.add(names.head + ".bias", [c.vocabularySize], .zero) }
    }

    /// Adds a block's parameters, in the order in which they are used.
    private mutating func block(
        _ c: ModelConfiguration, _ names: TensorNames, _ name: String
    ) throws(EngineError) -> Block {
        let before = c.normPlacement != .after
        let after = c.normPlacement != .before
        // Radford et al. 2019: what GPT-2 adds to the residual stream is scaled by the number of additions.
        let residual = ParameterTable.Initial.normal(
            deviation: c.initializerRange
                / (c.architecture == .gpt2 ? Double(2 * c.layers).squareRoot() : 1))
        let attentionNorm =
            before ? try norm(name + names.attentionNorm, c.normalization, c.hiddenSize) : nil
        let inputs = try placed(
            names.queryKeyValue, name, c, widths: [c.attentionWidth, c.keyWidth, c.keyWidth],
            bias: c.queryKeyValueBias, names)
        let queryNorms = try headNorms(name + names.queryNorm, c, heads: c.heads)
        let keyNorms = try headNorms(name + names.keyNorm, c, heads: c.keyValueHeads)
        let output = try linear(
            name + names.attentionOutput, c.attentionWidth, c.hiddenSize, c.attentionOutputBias, names,
            residual)
        let outputNorm =
            after ? try norm(name + names.attentionOutputNorm, c.normalization, c.hiddenSize) : nil
        let feedForwardNorm =
            before && c.residual != .parallelSharedNorm
            ? try norm(name + names.feedForwardNorm, c.normalization, c.hiddenSize) : nil
        let up = try placed(
            names.up, name, c, widths: [Int](repeating: c.intermediateSize, count: c.isGated ? 2 : 1),
            bias: c.feedForwardBias, names)
        let down = try linear(
            name + names.down, c.intermediateSize, c.hiddenSize, c.feedForwardBias, names, residual)
        let downNorm =
            after ? try norm(name + names.feedForwardOutputNorm, c.normalization, c.hiddenSize) : nil
        return Block(
            attentionNorm: attentionNorm, inputs: inputs, queryNorms: queryNorms, keyNorms: keyNorms,
            output: output, outputNorm: outputNorm, feedForwardNorm: feedForwardNorm, up: up, down: down,
            downNorm: downNorm)
    }

    /// Projections side by side, one for each width, or one for all of them.
    private mutating func placed(
        _ parts: [String], _ block: String, _ c: ModelConfiguration, widths: [Int], bias: Bool,
        _ names: TensorNames
    ) throws(EngineError) -> [Placed] {
        let widths = parts.count == 1 ? [widths.reduce(0, +)] : widths
        var column = 0
        var placed: [Placed] = []
        for (part, width) in zip(parts, widths) {
            let linear = try linear(
                block + part, c.hiddenSize, width, bias, names, .normal(deviation: c.initializerRange))
            placed.append(Placed(linear: linear, column: column))
            column += width
        }
        return placed
    }

    private mutating func headNorms(
        _ name: String, _ c: ModelConfiguration, heads: Int
    ) throws(EngineError) -> [Norm] {
        switch c.queryKeyNorm {
        case nil: return []
        case .head(let kind): return [try norm(name, kind, c.headSize)]
        case .row(let kind): return [try norm(name, kind, heads * c.headSize)]
        case .eachHead(let kind):
            var norms: [Norm] = []
            for head in 0..<heads { norms.append(try norm("\(name).\(head)", kind, c.headSize)) }
            return norms
        }
    }

    private mutating func norm(
        _ name: String, _ kind: ModelConfiguration.Normalization, _ width: Int
    ) throws(EngineError) -> Norm {
        var norm = Norm(isCentred: kind != .rmsNorm && kind != .offsetRMSNorm)
        if kind == .offsetRMSNorm { norm.offset = 1 }
        if kind != .plainLayerNorm {
            norm.gamma = try table.add(name + ".weight", [width], kind == .offsetRMSNorm ? .zero : .one)
        }
        if kind == .layerNorm { norm.beta = try table.add(name + ".bias", [width], .zero) }
        return norm
    }

    private mutating func linear(
        _ name: String, _ inputs: Int, _ outputs: Int, _ hasBias: Bool, _ names: TensorNames,
        _ initial: ParameterTable.Initial
    ) throws(EngineError) -> Linear {
        let shape = names.inputsFirst ? [inputs, outputs] : [outputs, inputs]
        let weight = try table.add(name + ".weight", shape, initial)
        let bias = hasBias ? try table.add(name + ".bias", [outputs], .zero) : nil
        return Linear(
            weight: weight, bias: bias, inputs: inputs, outputs: outputs,
            layout: names.inputsFirst ? .inputsFirst : .outputsFirst)
    }
}

extension [ModelLayout.Placed] {
    /// The same projections with those as one whose matrices follow each other in memory, and their outputs in the row:
    /// fewer and larger products, the same bits.
    ///
    /// - Parameter belong: Whether two of them may become one.
    func joined(where belong: (Linear, Linear) -> Bool = { _, _ in true }) -> [ModelLayout.Placed] {
        reduce(into: []) { joined, next in
            guard let last = joined.last, last.column + last.linear.outputs == next.column,
                last.linear.isFollowed(by: next.linear), belong(last.linear, next.linear)
            else { return joined.append(next) }
            joined[joined.count - 1].linear.outputs += next.linear.outputs
        }
    }
}

extension Linear {
    /// Whether `next` would be the further outputs of one projection. Biases and adapters stand between.
    fileprivate func isFollowed(by next: Linear) -> Bool {
        layout == .outputsFirst && next.layout == .outputsFirst && inputs == next.inputs && bias == nil
            && next.bias == nil && adapter == nil && next.adapter == nil
            && weight + outputs * inputs == next.weight
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
