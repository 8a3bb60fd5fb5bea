// SPDX-License-Identifier: Apache-2.0

import Engine
import Protocol
import Testing

@Suite struct `Examples and batches` {
    private func tokenizer(_ name: String = "llama3-style", end: Bool = true) throws -> Tokenizer {
        try Tokenizer(
            tokenizerJSON: TokenizerTestFiles.golden(name).tokenizerJSON,
            configJSON: end ? Array("{\"eos_token\": \"</s>\"}".utf8) : nil)
    }

    private func builder(
        _ tokenizer: Tokenizer?, limit: Int? = nil, vocabulary: Int = 1000, truncate: Bool = false
    ) throws -> ExampleBuilder {
        try ExampleBuilder(
            tokenizer: tokenizer, vocabularySize: vocabulary, contextLength: 64, maxLength: limit,
            truncate: truncate)
    }

    private func row(_ content: DatasetRow.Content, line: Int = 7) -> DatasetRow {
        DatasetRow(line: line, content: content)
    }

    @Test func `every token of a text is a label and no end token is added`() throws {
        let tokenizer = try tokenizer("gpt2-style")
        let example = try builder(tokenizer).build([row(.text("the nets"))], name: "f")
        let ids = tokenizer.encode("the nets", addSpecialTokens: true)
        #expect(example == [Example(ids: ids, labels: ids, line: 7)])
        #expect(ids.last != tokenizer.eosID)
    }

    @Test func `a prompt has leading tokens only, a completion an end token, labels on the completion`()
        throws
    {
        let tokenizer = try tokenizer()
        let prompt = tokenizer.encode("The keeper", addSpecialTokens: false)
        let completion = tokenizer.encode(" wrote", addSpecialTokens: false)
        let example = try builder(tokenizer).build(
            [row(.promptCompletion(prompt: "The keeper", completion: " wrote"))], name: "f")
        let unlabelled = [Int32](repeating: -100, count: prompt.count + 1)
        #expect(
            example == [
                Example(ids: [0] + prompt + completion + [1], labels: unlabelled + completion + [1], line: 7)
            ])
    }

    @Test func `a question is a prompt by its template`() throws {
        let builder = try builder(tokenizer())
        let question = try builder.build(
            [row(.questionAnswer(question: "Who?", answer: "The nets."))], name: "f")
        let prompt = try builder.build(
            [row(.promptCompletion(prompt: "Question: Who?\nAnswer:", completion: " The nets."))], name: "f")
        #expect(question == prompt)
    }

    @Test func `ids are taken as they are`() throws {
        let builder = try builder(nil)
        #expect(
            try builder.build([row(.inputIDs([5, 6, 7], labels: nil))], name: "f")
                == [Example(ids: [5, 6, 7], labels: [5, 6, 7], line: 7)])
        let example = try builder.build([row(.inputIDs([5, 6, 7], labels: [5, -100, 9]))], name: "f")
        #expect(example == [Example(ids: [5, 6, 7], labels: [5, -100, 9], line: 7)])
        #expect(example[0].predictedCount == 1)
    }

    private static let windows: [(Int, Int, [Int])] = [
        (8, 4, [4, 4]), (9, 4, [4, 3, 2]), (7, 3, [3, 2, 2]), (4, 3, [2, 2]), (3, 3, [3]), (2, 3, [2]),
        (10, 4, [4, 4, 2]),
    ]

    @Test(arguments: windows)
    func `long texts are cut into windows that each predict something`(
        count: Int, limit: Int, lengths: [Int]
    ) throws {
        // This tokenizer never joins digits.
        let tokenizer = try tokenizer("starcoder-style")
        let text = String(repeating: "7", count: count)
        let ids = tokenizer.encode(text, addSpecialTokens: true)
        #expect(ids.count == count)
        let examples = try builder(tokenizer, limit: limit).build([row(.text(text))], name: "f")
        #expect(examples.map(\.ids.count) == lengths)
        #expect(examples.flatMap(\.ids) == ids)
        #expect(examples.allSatisfy { $0.labels == $0.ids && $0.line == 7 })
    }

    private func refusal(_ body: () throws -> Void) -> DatasetError? {
        do {
            try body()
            return nil
        } catch {
            return error as? DatasetError
        }
    }

    @Test func `a row over the limit is refused by its line unless it may be cut`() throws {
        let tokenizer = try tokenizer("gpt2-style")
        let long = row(
            .promptCompletion(prompt: "a", completion: String(repeating: " x1", count: 20)), line: 12)
        let error = refusal { _ = try builder(tokenizer, limit: 10).build([long], name: "forget.jsonl") }
        #expect(error?.line == 12)
        #expect(error?.message.hasPrefix("forget.jsonl, line 12: the row is ") == true)
        #expect(error?.hint.contains("--truncate") == true)
        let cut = try builder(tokenizer, limit: 10, truncate: true).build([long], name: "f")
        #expect(cut.map(\.ids.count) == [10])
        let ids = row(.inputIDs([Int32](repeating: 3, count: 11), labels: nil), line: 2)
        #expect(refusal { _ = try builder(nil, limit: 10).build([ids], name: "f") }?.line == 2)
    }

    @Test func `cutting that leaves no label is refused`() throws {
        let tokenizer = try tokenizer("gpt2-style")
        let long = row(.promptCompletion(prompt: String(repeating: "x1", count: 20), completion: " a"))
        let error = refusal { _ = try builder(tokenizer, limit: 10, truncate: true).build([long], name: "f") }
        #expect(error?.problem == "no labelled token lies within the limit of 10 tokens")
    }

    @Test func `what only the model can show is found`() throws {
        let tokenizer = try tokenizer("gpt2-style")
        #expect(refusal { _ = try builder(nil).build([row(.text("a b"))], name: "f") }?.line == 7)
        #expect(refusal { _ = try builder(tokenizer).build([row(.text("a"))], name: "f") }?.line == 7)
        let endless = try self.tokenizer("gpt2-style", end: false)
        let pair = row(.promptCompletion(prompt: "a", completion: "b"))
        #expect(
            refusal { _ = try builder(endless).build([pair], name: "f") }?.problem.contains("end-of-sequence")
                == true)
        for content: DatasetRow.Content in [
            .inputIDs([1, 50], labels: nil), .inputIDs([1, 2], labels: [1, 50]), .text("the nets"),
        ] {
            let error = refusal {
                _ = try builder(tokenizer, vocabulary: 50).build([row(content)], name: "f")
            }
            #expect(error?.problem.contains("vocabulary of 50") == true)
        }
        #expect(refusal { _ = try builder(tokenizer).build([], name: "f") } != nil)
    }

    @Test(arguments: [0, 2, 65, -1])
    func `a limit outside the model's context is refused`(limit: Int) {
        #expect(throws: EngineError.self) { try builder(nil, limit: limit) }
    }

    private func examples(_ count: Int) -> [Example] {
        (0..<count).map { index in
            let ids = [Int32](repeating: Int32(index), count: 2 + index % 3)
            return Example(ids: ids, labels: ids, line: index + 1)
        }
    }

    @Test func `each epoch has every example once, in an order of seed, set and epoch`() {
        let batcher = Batcher(examples: examples(11), batchSize: 4, seed: 3, stream: .forget)
        #expect(batcher.batchCount == 3)
        #expect(batcher.batchRows(epoch: 0).map(\.count) == [4, 4, 3])
        #expect(batcher.order(epoch: 0).sorted() == Array(0..<11))
        let same = Batcher(examples: examples(11), batchSize: 2, seed: 3, stream: .forget)
        #expect(same.order(epoch: 0) == batcher.order(epoch: 0))
        let orders = [
            batcher.order(epoch: 0), batcher.order(epoch: 1),
            Batcher(examples: examples(11), batchSize: 4, seed: 4, stream: .forget).order(epoch: 0),
            Batcher(examples: examples(11), batchSize: 4, seed: 3, stream: .retain).order(epoch: 0),
        ]
        #expect(Set(orders).count == 4)
        let plain = Batcher(examples: examples(11), batchSize: 4, seed: 3, stream: .forget, shuffle: false)
        #expect(plain.order(epoch: 5) == Array(0..<11))
    }

    @Test func `batches are padded on the right without labels`() {
        let batch = TokenBatch(padding: [
            Example(ids: [5, 6], labels: [-100, 6], line: 1),
            Example(ids: [7, 8, 9], labels: [7, 8, 9], line: 2),
        ])
        #expect(
            batch
                == TokenBatch(
                    rows: 2, columns: 3, tokens: [5, 6, 0, 7, 8, 9], labels: [-100, 6, -100, 7, 8, 9],
                    lengths: [2, 3]))
    }

    @Test func `evaluation batches hold every example once, longest first`() {
        let batches = Batcher.byLength(examples(8), batchSize: 3)
        #expect(batches.flatMap(\.rows).sorted() == Array(0..<8))
        #expect(batches.flatMap(\.batch.lengths) == [4, 4, 3, 3, 3, 2, 2, 2])
        #expect(batches[0].rows == [2, 5, 1])
    }

    private func pair(_ forget: Int, _ retain: Int, _ pairing: Pairing?) throws -> PairedBatches {
        try PairedBatches(
            forget: Batcher(examples: examples(forget), batchSize: 2, seed: 1, stream: .forget),
            retain: Batcher(examples: examples(retain), batchSize: 2, seed: 1, stream: .retain),
            pairing: pairing)
    }

    @Test func `steps are as many as the smaller set has batches`() throws {
        let pair = try pair(3, 9, nil)
        #expect(pair.stepsPerEpoch == 2)
        let steps = pair.steps(epoch: 0)
        #expect(steps.map(\.forget.count) == [2, 1])
        #expect(steps.map(\.retain.count) == [2, 2])
    }

    @Test func `forget rows that would stay unseen are refused unless a pairing is chosen`() throws {
        let error = refusal { _ = try pair(7, 3, nil) }
        #expect(error?.problem.contains("3 of 7 forget examples") == true)
        #expect(try pair(4, 3, nil).stepsPerEpoch == 2)
        #expect(try pair(7, 3, .min).stepsPerEpoch == 2)
        let cycle = try pair(7, 3, .cycle)
        #expect(cycle.stepsPerEpoch == 4)
        let steps = cycle.steps(epoch: 1)
        #expect(steps.flatMap(\.forget).sorted() == Array(0..<7))
        #expect(steps.map(\.retain.count) == [2, 1, 2, 1])
        #expect(steps[0].retain.count + steps[1].retain.count == Set(steps[0].retain + steps[1].retain).count)
    }
}
