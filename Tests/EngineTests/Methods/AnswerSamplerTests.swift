// SPDX-License-Identifier: Apache-2.0

import Engine
import Foundation
import Testing

/// What altpo prefers to the forgotten answers.
struct AnswerSamplerTests {
    /// The term's loss at the base, which depends on the answers once the model has moved.
    private func loss(
        _ golden: MethodGolden, seed: UInt64, maximum: Int = 5, given: [Int: Example] = [:]
    ) throws -> Double {
        let examples = try golden.examples("forget").filter { $0.labels[0] == -100 }
        #expect(examples.count >= 2)
        let term = PreferenceTerm(
            beta: 0.5, lose: examples,
            sampler: AnswerSampler(count: 2, maximum: maximum, seed: seed, given: given))
        try term.begin(golden.load("base")) { _, _ in }
        let model = try golden.load("weights")
        let rows = Array(examples.indices)
        let step = StepBatch(parts: [.init(rows: rows, batch: TokenBatch(padding: examples))])
        return try term.accumulate(
            step, at: StepPosition(number: 1, total: 1, epoch: 1, stepsPerEpoch: 1), model, scale: 1,
            into: model.makeBuffer()
        ).value
    }

    @Test func `answers are a function of the seed, and given ones are taken`() throws {
        let golden = try MethodGolden(try #require(MethodGoldenTests.folders.first))
        let first = try loss(golden, seed: 1)
        #expect(try first == loss(golden, seed: 1) && first != loss(golden, seed: 2))
        let rows = try golden.examples("win").prefix(5).enumerated().map { ($0.offset, $0.element) }
        let given = Dictionary(uniqueKeysWithValues: rows)
        #expect(try loss(golden, seed: 1, given: given) == loss(golden, seed: 2, given: given))
    }

    @Test func `an answer that runs to the end of the context fits it`() throws {
        let golden = try MethodGolden(try #require(MethodGoldenTests.folders.first))
        let context = try golden.load("base").configuration.contextLength
        #expect(try loss(golden, seed: 1, maximum: context).isFinite)
    }

    @Test func `a row to which there is no other answer is an error`() throws {
        let golden = try MethodGolden(try #require(MethodGoldenTests.folders.first))
        // The end comes first and may not stand alone: with no tokens to make, nothing else can be said.
        let example = try #require(try golden.examples("forget").first { $0.labels[0] == -100 })
        let term = PreferenceTerm(
            beta: 0.5, lose: [example], sampler: AnswerSampler(count: 1, maximum: 0, seed: 1, given: [:]))
        let error = #expect(throws: EngineError.self) { try term.begin(golden.load("base")) { _, _ in } }
        #expect(error?.hint.contains("replacement") == true)
    }
}
