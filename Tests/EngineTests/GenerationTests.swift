// SPDX-License-Identifier: Apache-2.0

import Engine
import Foundation
import Protocol
import Testing

@Suite struct `Generation` {
    /// Prompts of several lengths, some of them twice.
    private func prompts(_ golden: GoldenModel, _ count: Int) -> [[Int32]] {
        var random = RandomSource(seed: 4)
        let vocabulary = UInt64(golden.configuration.vocabularySize)
        return (0..<count).map { index in
            (0..<(1 + index * 5 % 13)).map { _ in Int32(random.below(vocabulary)) }
        }
    }

    @Test(arguments: GoldenModel.all)
    func `a text's logits have the same bits beside any others`(name: String) throws {
        let golden = try GoldenModel(name)
        let prompts = prompts(golden, 16)
        // Each alone, then 2, 7 and 16 together, on one to three threads.
        var alone: [[UInt32]] = []
        for (threads, group) in [(1, 1), (2, 2), (3, 7), (2, 16)] {
            let model = try golden.load(threads: threads)
            let vocabulary = golden.configuration.vocabularySize
            for start in stride(from: 0, to: prompts.count, by: group) {
                let part = Array(prompts[start..<min(start + group, prompts.count)])
                let cache = try KeyValueCache(golden.configuration, rows: part.count, capacity: 20)
                for (row, prompt) in part.enumerated() {
                    _ = try model.logits(continuing: [.init(row: row, tokens: prompt)], cache)
                }
                for token: Int32 in [3, 1, 4] {
                    let logits = try model.logits(
                        continuing: part.indices.map { .init(row: $0, tokens: [token]) }, cache)
                    for row in part.indices {
                        let bits = logits[row * vocabulary..<(row + 1) * vocabulary].map(\.bitPattern)
                        if group == 1 {
                            alone.append(bits)
                        } else {
                            let step = token == 3 ? 0 : token == 1 ? 1 : 2
                            #expect(bits == alone[3 * (start + row) + step], "row \(row) of \(group)")
                        }
                    }
                }
            }
        }
    }

    @Test func `an evaluation's continuations are what each row's would be alone`() throws {
        let golden = try GoldenModel("llama-tied")
        var prompts = prompts(golden, 40)
        prompts[3] = []
        let end = Int32(7)
        var done: [Int] = []
        let together = try Continuations(golden.load(), ends: [end]).greedy(prompts, maximum: 12) {
            done.append($0)
        }
        #expect(done.reduce(0, +) == 39, "each prompt is counted once")
        #expect(done.allSatisfy { $0 >= 0 })
        #expect(together[3].isEmpty)
        let generator = Generator(try golden.load(threads: 1), ends: [end])
        for (prompt, tokens) in zip(prompts, together) where !prompt.isEmpty {
            #expect(try generator.continuation(of: prompt, maximum: 12).tokens == tokens)
        }
    }

    @Test func `a continuation does not depend on what else is asked for`() throws {
        let golden = try GoldenModel("llama-tied")
        let prompts = prompts(golden, 24)
        let requests = prompts.flatMap { prompt in
            (0..<2).map { Generator.Request(prompt: prompt, sample: $0) }
        }
        let sampler = Sampler(temperature: 1.5, topK: 40, topP: 0.95, seed: 8)
        let end = Int32(7)
        let together = try Generator(golden.load(), ends: [end]).continuations(
            of: requests, maximum: 15, sampler: sampler)
        #expect(Set(together.map(\.ending)).count > 1)
        for (request, continuation) in zip(requests, together) {
            let alone = try Generator(golden.load(threads: 1), ends: [end]).continuations(
                of: [request], maximum: 15, sampler: sampler)
            #expect(alone == [continuation])
        }
        #expect(together[0] != together[1], "two samples of a prompt")
        let greedy = try Generator(golden.load(), ends: [end]).continuations(
            of: requests.reversed(), maximum: 15)
        for (request, continuation) in zip(requests.reversed(), greedy) {
            #expect(
                try Generator(golden.load(), ends: [end]).continuation(of: request.prompt, maximum: 15)
                    == continuation)
        }
    }

    @Test func `filters leave what transformers' warpers leave`() throws {
        let file = try GoldenModel.fixtures().appending(path: "sampling.json")
        let cases = try StrictJSON.parse(TokenizerTestFiles.read(file)).arrayValue ?? []
        #expect(cases.count > 60)
        for entry in cases {
            let logits = (entry["logits"]?.arrayValue ?? []).compactMap { $0.doubleValue.map { Float($0) } }
            let sampler = Sampler(
                temperature: try #require(entry["temperature"]?.doubleValue),
                topK: entry["top_k"]?.integerValue.map(Int.init), topP: entry["top_p"]?.doubleValue)
            let kept = sampler.distribution(logits)
            let settings = "\(sampler), logits \(logits.prefix(3))"
            var own = kept.map(\.probability)
            var expected = (entry["probabilities"]?.arrayValue ?? []).compactMap(\.doubleValue)
            if Set(logits).count < logits.count, sampler.topP != nil {
                // Which of equals goes first is left open by PyTorch's sort; how many go is not.
                own.sort()
                expected.sort()
            } else {
                #expect(kept.map(\.id) == TokenizerTestFiles.ids(entry["ids"]), "\(settings)")
            }
            if own.count != expected.count, let share = sampler.topP {
                // PyTorch sums in f32: where the sum meets the bound to the last bit, one token more or less is left.
                let all = Sampler(temperature: sampler.temperature, topK: sampler.topK).distribution(logits)
                let sum = all.map(\.probability).sorted(by: >).prefix(min(own.count, expected.count)).reduce(
                    0, +)
                #expect(
                    abs(own.count - expected.count) == 1 && abs(sum - share) < 1e-6, "\(settings): \(sum)")
                continue
            }
            #expect(own.count == expected.count, "\(settings)")
            for (left, right) in zip(own, expected) {
                #expect(abs(left - right) <= 1e-6 * right + 1e-12, "\(settings)")
            }
        }
    }

    @Test(arguments: [
        Sampler(seed: 1), Sampler(temperature: 0.6, seed: 2), Sampler(temperature: 2, topK: 6, seed: 3),
        Sampler(topP: 0.8, seed: 4),
    ])
    func `tokens are drawn as often as they are probable`(sampler: Sampler) {
        let logits: [Float] = [0.1, -1, 2.5, 0, 1.2, -3, 2.4, 0.7, -0.2, 1.9, -6, 0.1]
        let expected = sampler.distribution(logits)
        let draws = 40_000
        var counts: [Int32: Int] = [:]
        var random = RandomSource(seed: sampler.seed, stream: 77)
        for _ in 0..<draws { counts[sampler.draw(logits, &random), default: 0] += 1 }
        #expect(Set(counts.keys).isSubset(of: expected.map(\.id)))
        // Pearson's chi-square; 35 is beyond the 99.95 % point of 11 degrees of freedom, and the seeds are fixed.
        let statistic = expected.reduce(0.0) { sum, candidate in
            let mean = Double(draws) * candidate.probability
            let difference = Double(counts[candidate.id] ?? 0) - mean
            return sum + difference * difference / mean
        }
        #expect(statistic < 35, "\(statistic) with \(expected.count) tokens")
        #expect(statistic > 0)
    }

    @Test func `samples of a prompt follow the model's distribution`() throws {
        let golden = try GoldenModel("gpt2")
        let model = try golden.load()
        let prompt: [Int32] = [5, 2, 9]
        let logits = try model.logits(prompt, lastOnly: true)
        let sampler = Sampler(temperature: 1, topK: 8, seed: 21)
        let expected = sampler.distribution(logits)
        let count = 4000
        let made = try Generator(model, ends: []).continuations(
            of: (0..<count).map { Generator.Request(prompt: prompt, sample: $0) }, maximum: 1,
            sampler: sampler)
        let counts = Dictionary(made.map { ($0.tokens[0], 1) }) { $0 + $1 }
        let statistic = expected.reduce(0.0) { sum, candidate in
            let mean = Double(count) * candidate.probability
            let difference = Double(counts[candidate.id] ?? 0) - mean
            return sum + difference * difference / mean
        }
        // The 99.95 % point of 7 degrees of freedom is 26.
        #expect(statistic < 26, "\(statistic)")
        #expect(counts.values.reduce(0, +) == count)
    }
}
