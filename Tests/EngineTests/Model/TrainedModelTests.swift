// SPDX-License-Identifier: Apache-2.0

import Engine
import Foundation
import Protocol
import Testing

/// A small model that PyTorch trained: text in, figures out, against PyTorch's own.
@Suite(.enabled(if: TokenizerTestFiles.sharedIsMissing == nil, "the trained models are not there"))
struct TrainedModelTests {
    private let tokenizer: Tokenizer
    private let model: Transformer
    private let reference: JSONValue
    private let folder = TokenizerTestFiles.shared.appending(path: "models/tofu-tiny")

    init() throws {
        tokenizer = try TokenizerTestFiles.sharedTokenizer("models/tofu-tiny/full")
        let configuration = try ModelConfiguration(
            json: TokenizerTestFiles.read(folder.appending(path: "full/config.json")))
        model = try Transformer(configuration, context: ComputeContext(threads: 2))
        let file = try SafetensorsFixture(folder.appending(path: "full/model.safetensors"))
        for binding in try model.table.bind(file.entries.map { ($0.key, $0.value.shape) }) {
            let entry = model.table.entries[binding.entry]
            let values = try file.values(binding.tensor)
            (model.parameters.base + entry.offset).update(from: values, count: values.count)
        }
        reference = try #require(
            try StrictJSON.parse(TokenizerTestFiles.read(folder.appending(path: "reference.json")))["full"])
    }

    @Test(arguments: ["forget", "holdout"])
    func `loss and accuracies are PyTorch's`(name: String) throws {
        let rows = try DatasetParser.parse(
            TokenizerTestFiles.read(folder.appending(path: "data/\(name).jsonl")), name: name)
        let examples = try ExampleBuilder(
            tokenizer: tokenizer, vocabularySize: model.configuration.vocabularySize,
            contextLength: model.configuration.contextLength
        ).build(rows, name: name)
        var scores = [[PositionScore]](repeating: [], count: examples.count)
        for (rows, batch) in Batcher.byLength(examples, batchSize: 16) {
            for (row, score) in zip(rows, try model.score(batch)) { scores[row] = score }
        }
        let expected = try #require(reference[name])
        func figure(_ key: String) throws -> Double { try #require(expected[key]?.doubleValue) }
        let all = scores.flatMap(\.self)
        #expect(try Double(all.count) == figure("tokens"))
        #expect(try Double(examples.count) == figure("rows"))
        let loss = all.reduce(0.0) { $0 + Double($1.nll) } / Double(all.count)
        #expect(try abs(loss - figure("loss")) <= 1e-4 * figure("loss"))
        // One label in ten thousand may tip over between two nearly equal logits.
        let accuracy = Double(all.count(where: \.correct)) / Double(all.count)
        #expect(try abs(accuracy - figure("token_accuracy")) <= 1e-4)
        let right = scores.count { $0.allSatisfy(\.correct) }
        #expect(try abs(Double(right) / Double(scores.count) - figure("row_accuracy")) <= 0.0026)
    }

    @Test func `greedy continuations are PyTorch's, token for token`() throws {
        let generator = Generator(model)
        let cases = try #require(reference["greedy"]?.arrayValue)
        #expect(!cases.isEmpty)
        for expected in cases {
            let prompt = tokenizer.encode(
                try #require(expected["prompt"]?.stringValue), addSpecialTokens: false)
            var ids = (expected["ids"]?.arrayValue ?? []).compactMap(\.integerValue).map(Int32.init)
            let result = try generator.continuation(of: prompt, maximum: 24)
            if result.ending == .endOfText { #expect(ids.popLast() == 0) }
            #expect(result.tokens == ids)
        }
    }
}
