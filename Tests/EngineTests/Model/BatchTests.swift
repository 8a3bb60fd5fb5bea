// SPDX-License-Identifier: Apache-2.0

import Engine
import Testing

/// What a model refuses, and what must not matter.
@Suite struct BatchTests {
    private let golden: GoldenModel
    private let model: Transformer

    init() throws {
        golden = try GoldenModel("gpt2")
        model = try golden.load()
    }

    private func refused(_ batch: TokenBatch) -> Bool {
        do throws(EngineError) {
            let gradients = try model.makeBuffer()
            _ = try model.accumulateGradients(batch, scale: 1, into: gradients)
            return false
        } catch { return error.code == .invalidBatch }
    }

    @Test func `hostile batches are refused`() {
        func batch(
            _ tokens: [Int32], _ labels: [Int32]? = nil, rows: Int = 1, columns: Int? = nil,
            lengths: [Int]? = nil
        ) -> TokenBatch {
            TokenBatch(
                rows: rows, columns: columns ?? tokens.count, tokens: tokens, labels: labels ?? tokens,
                lengths: lengths ?? [tokens.count])
        }
        #expect(!refused(batch([1, 2, 3])))
        #expect(refused(batch([1, 97, 3])))
        #expect(refused(batch([1, -1, 3])))
        #expect(refused(batch([1, 2, 3], [1, 2, 97])))
        #expect(refused(batch([1, 2, 3], [1, -2, 3])))
        #expect(refused(batch([1, 2, 3], [1, 2])))
        #expect(refused(batch([1, 2, 3], lengths: [4])))
        #expect(refused(batch([1, 2, 3], lengths: [-1])))
        #expect(refused(batch([1, 2, 3], lengths: [2])), "a label in the padding")
        #expect(refused(batch([1, 2, 3], lengths: [])))
        #expect(refused(batch([1, 2, 3], rows: Int.max, columns: Int.max)))
        #expect(refused(batch([], lengths: [0])))
        #expect(refused(batch([5])), "one token predicts nothing")
        #expect(refused(batch([1, 2, 3], [1, -100, -100])), "position 0 is never a label")
        #expect(refused(batch([Int32](repeating: 1, count: 41))), "longer than the context")
        #expect(!refused(batch([Int32](repeating: 1, count: 40))))
    }

    @Test func `what stands in the padding and after the last label does not matter`() throws {
        let batch = try golden.batch("forget", 0)
        var changed = batch
        for row in 0..<batch.rows {
            for column in batch.lengths[row]..<batch.columns {
                changed.tokens[row * batch.columns + column] = 50
            }
        }
        #expect(changed != batch)
        let first = try model.makeBuffer(), second = try model.makeBuffer()
        _ = try model.accumulateGradients(batch, scale: 1, into: first)
        _ = try model.accumulateGradients(changed, scale: 1, into: second)
        #expect(first.values(0..<first.count) == second.values(0..<first.count))
    }

    @Test func `gradients add up over calls and scale`() throws {
        let batch = try golden.batch("forget", 1)
        let once = try model.makeBuffer(), sum = try model.makeBuffer()
        _ = try model.accumulateGradients(batch, scale: -1, into: once)
        _ = try model.accumulateGradients(batch, scale: -0.25, into: sum)
        _ = try model.accumulateGradients(batch, scale: -0.75, into: sum)
        let largest = once.values(0..<once.count).map(abs).max() ?? 0
        #expect(largest > 0)
        #expect(
            zip(once.values(0..<once.count), sum.values(0..<sum.count)).allSatisfy {
                abs($0 - $1) <= 1e-5 * largest
            })
    }

    @Test func `a batch of another size in between changes nothing`() throws {
        let batch = try golden.batch("forget", 1), other = try golden.batch("retain", 0)
        let before = try model.score(batch)
        let buffer = try model.makeBuffer()
        _ = try model.accumulateGradients(other, scale: 1, into: buffer)
        _ = try model.score(other)
        #expect(try model.score(batch) == before)
    }

    @Test func `rows without labels have no scores`() throws {
        var batch = try golden.batch("forget", 0)
        for column in 0..<batch.columns { batch.labels[batch.columns + column] = -100 }
        let scores = try model.score(batch)
        #expect(scores.count == 3 && scores[1].isEmpty && !scores[0].isEmpty && !scores[2].isEmpty)
    }

    @Test func `broken weights show as a loss that is not finite`() throws {
        model.parameters.base[5] = .nan
        let batch = TokenBatch(rows: 1, columns: 3, tokens: [0, 0, 0], labels: [0, 0, 0], lengths: [3])
        let gradients = try model.makeBuffer()
        #expect(try !model.accumulateGradients(batch, scale: 1, into: gradients).nll.isFinite)
        #expect(try Generator(model, ends: []).continuation(of: [0], maximum: 3).ending == .notANumber)
    }

    @Test func `generation stops at the end of the context and refuses prompts that fill it`() throws {
        let prompt = [Int32](repeating: 3, count: 38)
        let result = try Generator(model, ends: []).continuation(of: prompt, maximum: 100)
        #expect(result.ending == .context && result.tokens.count == 3)
        #expect(throws: EngineError.self) {
            try Generator(model).continuation(of: [Int32](repeating: 3, count: 40), maximum: 1)
        }
        #expect(throws: EngineError.self) { try Generator(model).continuation(of: [], maximum: 1) }
        #expect(throws: EngineError.self) { try Generator(model).continuation(of: [97], maximum: 1) }
    }

    @Test func `sampling is a function of the seed`() throws {
        let generator = Generator(model, ends: [])
        func sample(_ seed: UInt64) throws -> [Int32] {
            try generator.continuation(of: [1, 2], maximum: 20, sampler: Sampler(temperature: 2, seed: seed))
                .tokens
        }
        #expect(try sample(1) == sample(1))
        #expect(try sample(1) != sample(2))
    }
}
