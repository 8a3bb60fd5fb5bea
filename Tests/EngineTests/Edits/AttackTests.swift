// SPDX-License-Identifier: Apache-2.0

import Engine
import Foundation
import Protocol
import Testing

/// Attacks: rounding and layer probes against NumPy and PyTorch, soft prompts, relearning, and what they say together.
@Suite struct AttackTests {
    private let facts: JSONValue

    init() throws {
        let file = try GoldenModel.fixtures().appending(path: "attacks/attacks.json")
        facts = try StrictJSON.parse(Array(Data(contentsOf: file)))
    }

    private func numbers(_ value: JSONValue?) throws -> [Float] {
        try #require(value?.arrayValue).map { Float($0.doubleValue ?? .nan) }
    }

    private func examples(_ batch: TokenBatch) -> [Example] {
        (0..<batch.rows).map { row in
            let start = row * batch.columns
            let range = start..<start + batch.lengths[row]
            return Example(
                ids: Array(batch.tokens[range]), labels: Array(batch.labels[range]), line: row + 1)
        }
    }

    @Test(arguments: QuantizationFormat.allCases, [true, false])
    func `weights are rounded to NumPy's bits in both layouts`(
        format: QuantizationFormat, inputsFirst: Bool
    ) throws {
        let (outputs, inputs) = (5, 70)
        let weights = try numbers(facts["weights"])
        let expected = try numbers(facts[format.rawValue])
        func place(_ output: Int, _ input: Int) -> Int {
            inputsFirst ? input * outputs + output : output * inputs + input
        }
        var stored = [Float](repeating: 0, count: weights.count)
        for output in 0..<outputs {
            for input in 0..<inputs { stored[place(output, input)] = weights[output * inputs + input] }
        }
        stored.withUnsafeMutableBufferPointer { buffer in
            guard let base = buffer.baseAddress else { return }
            WeightQuantizer.quantize(
                base, outputs: outputs, inputs: inputs, inputsFirst: inputsFirst, to: format)
        }
        for output in 0..<outputs {
            for input in 0..<inputs {
                #expect(stored[place(output, input)] == expected[output * inputs + input])
            }
        }
    }

    @Test func `only the projections of the blocks are rounded`() throws {
        let model = try GoldenModel("gpt2").load()
        let before = model.weights
        let backup = try WeightBackup(model)
        WeightQuantizer.quantize(model, to: .int4)
        let after = model.weights
        for entry in model.table.entries {
            let isProjection = entry.shape.count == 2 && entry.name.contains(".h.")
            let changed = entry.range.contains { before[$0] != after[$0] }
            #expect(changed == isProjection, "\(entry.name)")
        }
        backup.restore(model)
        #expect(model.weights == before)
    }

    @Test(arguments: ["gpt2", "llama-tied", "llama-scaled"])
    func `each layer read through the head is PyTorch's`(name: String) throws {
        let golden = try GoldenModel(name)
        let model = try golden.load()
        let batch = try golden.batch("forget", 0)
        let layers = try model.scoreByLayer(batch)
        let expected = try #require(facts["lens"]?[name]?.arrayValue)
        #expect(layers.count == expected.count && layers.count == model.configuration.layers + 1)
        for (layer, wanted) in zip(layers, expected) {
            let wanted = try numbers(wanted)
            let actual = layer.joined().map(\.nll)
            try #require(actual.count == wanted.count)
            #expect(zip(actual, wanted).allSatisfy { abs($0 - $1) <= 2e-4 * max(1, abs($1)) })
        }
        #expect(try layers.last == model.score(batch))

        let probe = try LayerProbe.layers(of: model, examples(batch), batchSize: 2)
        let last = try model.score(batch).joined()
        #expect(
            abs(
                probe[model.configuration.layers].accuracy - Double(last.count(where: \.correct))
                    / Double(last.count)) < 1e-12)
    }

    @Test(arguments: ["gpt2", "llama-tied"])
    func `a soft prompt learns what the rows say, and nothing else changes`(name: String) throws {
        let golden = try GoldenModel(name)
        let model = try golden.load()
        let before = model.weights
        let prompt = try SoftPrompt(model, length: 4, seed: 1)
        let rows = prompt.prepared(examples(try golden.batch("forget", 1)))
        #expect(rows.count == 2 && rows.allSatisfy { $0.labels[..<5].allSatisfy { $0 == -100 } })
        let scratch = try model.makeBuffer()
        var losses: [Double] = []
        for _ in 0..<60 {
            losses.append(try prompt.learn(rows, learningRate: 0.05, scratch: scratch))
        }
        #expect(losses[59] < 0.7 * losses[0], "\(losses[0]) to \(losses[59])")
        let scores = try prompt.scores(rows)
        let loss = scores.reduce(0) { $0 + $1.nll } / Double(scores.reduce(0) { $0 + $1.tokens })
        #expect(loss < losses[59] + 0.1)
        #expect(model.weights == before)
    }

    @Test(arguments: ["gpt2", "llama-tied", "llama-scaled", "gemma"])
    func `the slopes by the tokens are PyTorch's`(name: String) throws {
        let golden = try GoldenModel(name)
        let model = try golden.load()
        let rows = examples(try golden.batch("forget", 1))
        let facts = try #require(facts["slopes"]?[name])
        let expected = try numbers(facts["values"])
        // In one batch and in two: the same sum.
        for batchSize in [8, 1] {
            let (loss, slopes) = try model.tokenSlopes(
                rows, starts: [1, 0], length: 2, batchSize: batchSize, scratch: model.makeBuffer())
            let goal = try #require(facts["loss"]?.doubleValue)
            #expect(abs(loss - goal) <= 1e-5 * goal, "\(loss) against \(goal)")
            try #require(
                slopes.count == expected.count && slopes.count == 2 * model.configuration.vocabularySize)
            let difference = zip(slopes, expected).reduce(0.0) { $0 + pow(Double($1.0 - $1.1), 2) }
            let size = expected.reduce(0.0) { $0 + pow(Double($1), 2) }
            #expect(size > 0 && difference <= 1e-8 * size, "\(difference) of \(size)")
        }
    }

    @Test(arguments: ["gpt2", "llama-tied"])
    func `a suffix is searched among what is allowed, and the loss never rises`(name: String) throws {
        let golden = try GoldenModel(name)
        let model = try golden.load()
        let before = model.weights
        let rows = examples(try golden.batch("forget", 0)).compactMap { PromptRow($0, ends: []) }
        let banned = Set(Int32(0)..<40)
        func found() throws -> (tokens: [Int32], losses: [Double]) {
            let search = try SuffixSearch(
                model, rows: rows, start: [50, 50, 50, 50], banned: banned, seed: 2,
                settings: .init(candidates: 24, top: 16), isTypable: { $0[0] % 2 == 0 })
            var losses: [Double] = []
            for _ in 0..<12 {
                let (before, after) = try search.step()
                if losses.isEmpty { losses.append(before) }
                losses.append(after)
            }
            #expect(try abs(search.loss(of: search.tokens) - (losses.last ?? 0)) < 1e-6)
            return (search.tokens, losses)
        }
        let (tokens, losses) = try found()
        #expect(zip(losses, losses.dropFirst()).allSatisfy { $1 <= $0 + 1e-6 })
        #expect(losses[12] < losses[0] - 0.1, "\(losses)")
        #expect(tokens.count == 4 && tokens.allSatisfy { $0 >= 40 && $0 < 97 } && tokens[0] % 2 == 0)
        #expect(try found().tokens == tokens, "the same seed finds the same")
        #expect(model.weights == before)
    }

    @Test func `relearning raises what it is given, step by step`() throws {
        let golden = try GoldenModel("llama-tied")
        let model = try golden.load()
        let rows = examples(try golden.batch("forget", 0))
        let settings = Relearning.Settings(
            steps: 7, learningRate: 1e-2, batchSize: 2, seed: 3, points: 3)
        #expect(settings.measured == [0, 2, 4, 7])
        var steps = 0
        let curve = try Relearning.curve(model, training: rows, watched: rows, settings: settings) {
            steps = max(steps, $0)
        }
        #expect(curve.map(\.step) == [0, 2, 4, 7] && steps == 7)
        #expect(zip(curve, curve.dropFirst()).allSatisfy { $0.probability < $1.probability })
    }

    // MARK: What they say together

    private func outcome(
        _ result: [Double?], kind: AttackKind = .relearn, reference: [Double?]? = nil,
        before: [Double?]? = nil
    ) -> AttackOutcome {
        AttackOutcome(
            kind, axis: "step", points: result.indices.map { "\($0)" }, measure: "forget_accuracy", start: 0,
            result: result, reference: reference, before: before)
    }

    @Test func `recovery beyond the reference's is suppression`() {
        let hidden = outcome([0.2, 0.5, 0.9, nil], reference: [0.25, 0.3, 0.35])
        #expect(abs((hidden.gap ?? 0) - 0.6) < 1e-12 && hidden.recovered == true)
        let learned = outcome([0.2, 0.5], reference: [0.2, 0.45])
        #expect(learned.recovered == false)
        #expect(AttackReport([learned, hidden]).verdict == .suppressed)
        #expect(AttackReport([learned]).verdict == .resistant)
        // Nothing to bring back: it never left.
        #expect(AttackReport([outcome([0.95, 0.96], reference: [0.2, 0.3])]).verdict == .known)
        #expect(AttackReport([outcome([0.95, 0.9])]).verdict == .known)
        #expect(AttackReport([outcome([0.5, 0.5], before: [0.52, nil])]).verdict == .known)
        #expect(AttackReport([outcome([0.4, 0.4], before: [0.9, nil])]).verdict == .resistant)
        // A fall is no recovery, and what was not measured says nothing.
        #expect(outcome([0.4, 0.1]).recovery == 0)
        #expect(outcome([nil, 0.9]).recovered == nil)
    }

    @Test func `the answer's tokens in order are what leaks`() {
        #expect(PromptRow.recall(of: [1, 2, 3, 4], in: [9, 1, 2, 7, 4]) == 0.75)
        #expect(PromptRow.recall(of: [1, 2, 3, 4], in: [4, 3, 2, 1]) == 0.25)
        #expect(PromptRow.recall(of: [1, 2], in: []) == 0)
        let row = PromptRow(
            Example(ids: [5, 6, 7, 8, 0], labels: [-100, -100, 7, 8, 0], line: 3), ends: [0])
        #expect(row?.prompt == [5, 6] && row?.answer == [7, 8] && row?.line == 3)
        let text = PromptRow(Example(ids: [5, 6, 7, 8], labels: [5, 6, 7, 8], line: 1), ends: [0])
        #expect(text?.prompt == [5, 6] && text?.answer == [7, 8])
    }
}
