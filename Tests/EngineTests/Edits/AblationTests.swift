// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Engine
import Foundation
import Protocol
import Testing

/// Localized ablation: attributions against PyTorch's autograd, and edits that touch what they name alone.
@Suite struct AblationTests {
    private let facts: JSONValue

    init() throws {
        let file = try GoldenModel.fixtures().appending(path: "ablation/attributions.json")
        facts = try StrictJSON.parse(Array(Data(contentsOf: file)))
    }

    /// The rows of a batch, one by one.
    private func examples(_ batch: TokenBatch) -> [Example] {
        (0..<batch.rows).map { row in
            let start = row * batch.columns
            let range = start..<start + batch.lengths[row]
            return Example(
                ids: Array(batch.tokens[range]), labels: Array(batch.labels[range]), line: row + 1)
        }
    }

    @Test(
        arguments: ["gpt2", "llama-tied", "llama-scaled"], [AttributionMethod.gradient, .integrated])
    func `attributions of every neuron and head are PyTorch's`(name: String, method: AttributionMethod)
        throws
    {
        let golden = try GoldenModel(name)
        let model = try golden.load()
        let points = try #require(facts["points"]?.integerValue)
        // Batches of two rows: the order of rows must not matter.
        let attribution = UnitAttribution(
            model, kinds: [.neuron, .head], method: method, steps: Int(points), batchSize: 2)
        let scores = try attribution.scores(examples(golden.batch("forget", 0)))
        for kind in AblationUnit.Kind.allCases {
            let expected = try #require(facts[name]?[method.rawValue]?[kind.rawValue])
            for (key, actual) in [
                ("values", scores.values[kind]), ("sizes", scores.sizes[kind]), ("means", scores.means[kind]),
            ] {
                let wanted = try #require(expected[key]?.arrayValue).map { $0.doubleValue ?? .nan }
                let actual = try #require(actual)
                try #require(actual.count == wanted.count, "\(kind) \(key)")
                let scale = wanted.reduce(0) { max($0, abs($1)) }
                let wrong = zip(actual, wanted).map { abs($0 - $1) }.max() ?? .infinity
                #expect(wrong <= 2e-4 * scale && scale > 0, "\(kind) \(key): \(wrong) against \(scale)")
            }
        }
    }

    /// A version with a golden model's weights in the given type, and what binds it.
    private func version(_ versions: TestVersions, _ model: Transformer, _ dtype: String) throws
        -> CheckpointReader
    {
        try versions.version(
            model.table.entries.map { entry in
                let values = model.parameters.values(entry.range)
                if dtype == "F32" { return .f32(entry.name, values, shape: entry.shape) }
                let bytes = values.flatMap { value in
                    let half = UInt16(truncatingIfNeeded: value.bitPattern >> 16)
                    return [UInt8(truncatingIfNeeded: half), UInt8(half >> 8)]
                }
                return .init(name: entry.name, dtype: dtype, shape: entry.shape, bytes: bytes)
            })
    }

    @Test(arguments: ["gpt2", "llama-tied"], ["F32", "BF16"])
    func `only the columns of the chosen units change, and all of them`(name: String, dtype: String) throws {
        let golden = try GoldenModel(name)
        let model = try golden.load()
        let versions = try TestVersions()
        let base = try version(versions, model, dtype)
        let loaded = try ModelLoader.load(base, into: model)
        let c = model.configuration
        let units = [
            AblationUnit(.neuron, layer: 1, index: 3), AblationUnit(.neuron, layer: 1, index: 0),
            AblationUnit(.head, layer: 0, index: c.heads - 1),
        ]
        let edit = try UnitAblation(model, bindings: loaded.bindings, units: units, mode: .zero)
        let made = try CheckpointRewriter.rewrite(
            base: base, parent: nil, transform: { try edit.edit($0, $1) })
        let result = try versions.version(made)
        let isGPT = name == "gpt2"
        let down = isGPT ? "transformer.h.1.mlp.c_proj.weight" : "model.layers.1.mlp.down_proj.weight"
        let output = isGPT ? "transformer.h.0.attn.c_proj.weight" : "model.layers.0.self_attn.o_proj.weight"
        #expect(Set(made.changedTensors) == [down, output])
        let width = dtype == "F32" ? 4 : 2
        var changed = 0
        for tensor in base.manifest.tensors {
            let before = try base.readTensor(tensor.name)
            let after = try result.readTensor(tensor.name)
            for index in 0..<tensor.elements {
                let bytes = index * width..<(index + 1) * width
                // The input that the element is the weight of.
                let input = isGPT ? index / tensor.shape[tensor.shape.count - 1] : index % tensor.shape.last!
                let chosen: Bool =
                    switch tensor.name {
                    case down: input == 0 || input == 3
                    case output: input >= (c.heads - 1) * c.headSize
                    default: false
                    }
                if chosen {
                    #expect(after[bytes].allSatisfy { $0 == 0 }, "\(tensor.name) \(index)")
                    changed += 1
                } else {
                    #expect(before[bytes] == after[bytes], "\(tensor.name) \(index)")
                }
            }
        }
        #expect(changed == edit.parameters && changed == (2 + c.headSize) * c.hiddenSize)

        // In memory it is the same edit, and it is undone.
        let weights = model.weights
        try edit.inMemory(model) {
            let other = try Transformer(c, context: model.context)
            _ = try ModelLoader.load(result, into: other)
            #expect(model.weights == other.weights)
        }
        #expect(model.weights == weights)
    }

    @Test func `dampened columns are multiplied and rounded once`() throws {
        let model = try GoldenModel("llama-tied").load()
        let versions = try TestVersions()
        let base = try version(versions, model, "BF16")
        let loaded = try ModelLoader.load(base, into: model)
        let edit = try UnitAblation(
            model, bindings: loaded.bindings, units: [AblationUnit(.neuron, layer: 0, index: 5)],
            mode: .dampen, factor: 0.3)
        let made = try CheckpointRewriter.rewrite(
            base: base, parent: nil, transform: { try edit.edit($0, $1) })
        let name = "model.layers.0.mlp.down_proj.weight"
        let before = try base.readTensor(name)
        let after = try versions.version(made).readTensor(name)
        for row in 0..<model.configuration.hiddenSize {
            let at = 2 * (row * model.configuration.intermediateSize + 5)
            let old = Float(bitPattern: UInt32(before[at]) << 16 | UInt32(before[at + 1]) << 24)
            let bits = Float(Double(old) * 0.3).bitPattern
            let rounded = UInt16(truncatingIfNeeded: (bits + 0x7FFF + (bits >> 16 & 1)) >> 16)
            #expect(UInt16(after[at]) | UInt16(after[at + 1]) << 8 == rounded)
        }
    }

    @Test func `with its mean in the bias a unit is as if it were constant`() throws {
        let golden = try GoldenModel("gpt2")
        let model = try golden.load()
        let batch = try golden.batch("forget", 0)
        let versions = try TestVersions()
        let base = try version(versions, model, "F32")
        let loaded = try ModelLoader.load(base, into: model)
        let scores = try UnitAttribution(model, kinds: [.neuron, .head], method: .gradient)
            .scores(examples(batch))
        let c = model.configuration
        let edit = try UnitAblation(
            model, bindings: loaded.bindings,
            units: [AblationUnit(.neuron, layer: 0, index: 7), AblationUnit(.head, layer: 1, index: 2)],
            mode: .mean, means: scores.means)
        func losses(_ observer: PassObserver? = nil) throws -> [Float] {
            try model.score(batch, observer: observer).joined().map(\.nll)
        }
        let plain = try losses()
        let constant = try losses(
            PassObserver(
                innerForward: { layer, rows in
                    guard layer == 0 else { return }
                    for token in 0..<rows.count {
                        rows.values[token * rows.width + 7] = Float(scores.means[.neuron]?[7] ?? .nan)
                    }
                },
                headsForward: { layer, rows in
                    guard layer == 1 else { return }
                    for token in 0..<rows.count {
                        for index in 2 * c.headSize..<3 * c.headSize {
                            rows.values[token * rows.width + index] = Float(
                                scores.means[.head]?[rows.width + index] ?? .nan)
                        }
                    }
                }))
        try edit.inMemory(model) {
            for (edited, constant) in zip(try losses(), constant) {
                #expect(abs(edited - constant) <= 1e-4)
            }
        }
        #expect(zip(plain, constant).contains { abs($0 - $1) > 1e-3 })
    }

    @Test func `the mean needs a bias`() throws {
        let model = try GoldenModel("llama-tied").load()
        let versions = try TestVersions()
        let loaded = try ModelLoader.load(try version(versions, model, "F32"), into: model)
        let error = #expect(throws: EngineError.self) {
            _ = try UnitAblation(
                model, bindings: loaded.bindings, units: [AblationUnit(.neuron, layer: 0, index: 5)],
                mode: .mean)
        }
        #expect(error?.message.contains("mlp.down_proj.weight has no bias") == true)
    }

    // MARK: The choice

    private func ranking(_ scores: [Double], retain: [Double]? = nil) throws -> UnitRanking {
        let configuration = try GoldenModel("llama-tied").configuration
        var forget = try UnitAttribution(
            GoldenModel("llama-tied").load(), kinds: [.head], method: .gradient
        ).scores(examples(GoldenModel("llama-tied").batch("forget", 0)))
        var kept = forget
        (forget.values, forget.sizes) = ([.head: scores], [.head: scores])
        kept.sizes = [.head: retain ?? [Double](repeating: 0, count: scores.count)]
        return UnitRanking(configuration, forget: forget, retain: kept, retainWeight: 2)
    }

    @Test func `units are ranked by what they carry less what they keep`() throws {
        let ranking = try ranking(
            [0.1, 0.5, 0.5, 0.1, 0.3, 0, 0.4, 0.9], retain: [0, 0.1, 0.1, 0.2, 0, 0, 0.3, 0.4])
        // Two of layer 0 are equal and go by place; 0.4 − 2 · 0.3 and 0 carry nothing.
        #expect(
            ranking.entries.map { [$0.unit.layer, $0.unit.index] } == [
                [0, 1], [0, 2], [1, 0], [0, 0], [1, 3],
            ])
        #expect(ranking.candidates == 8)
        #expect(try ranking.take(.fraction(0.25)) { _ in 0 }.count == 2)
        #expect(try ranking.take(.fraction(0.01)) { _ in 0 }.count == 1)
        #expect(try ranking.take(.count(100)) { _ in 0 }.count == 5)
    }

    @Test func `the smallest prefix that drops enough is found`() throws {
        let ranking = try ranking([1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3])
        let accuracies = [0.9, 0.85, 0.8, 0.7, 0.65, 0.4, 0.35, 0.3, 0.1]
        for (drop, units) in [(0.01, 1), (0.2, 3), (0.21, 4), (0.5, 5), (0.8, 8)] {
            let found = try ranking.take(.targetDrop(drop)) { accuracies[$0] }
            #expect(found.count == units, "\(drop)")
            #expect(
                found.trials.count <= 8 && found.trials.allSatisfy { accuracies[$0.units] == $0.accuracy })
        }
        let error = #expect(throws: EngineError.self) {
            _ = try ranking.take(.targetDrop(0.85)) { accuracies[$0] }
        }
        #expect(error?.message.contains("all 8 units") == true)
        #expect(throws: EngineError.self) { _ = try self.ranking([0, 0]).take(.count(1)) { _ in 0 } }
    }
}
