// SPDX-License-Identifier: Apache-2.0

import Engine
import Foundation
import Protocol
import Testing

/// The engine against PyTorch: tolerances as the project promises them, on padded batches.
@Suite struct ModelGoldenTests {
    @Test(arguments: GoldenModel.all)
    func `logits agree to 1e-4`(name: String) throws {
        let golden = try GoldenModel(name)
        let batch = try golden.batch("forget", 0)
        let actual = try golden.load().logits(Array(batch.tokens[0..<batch.lengths[0]]), lastOnly: false)
        let expected = try golden.logits
        let largest = expected.map(abs).max() ?? 0
        let difference = zip(actual, expected).map { abs($0 - $1) }.max() ?? .infinity
        #expect(actual.count == expected.count)
        #expect(difference <= 1e-4 * largest)
    }

    @Test(arguments: GoldenModel.all)
    func `the loss and every gradient agree to 1e-4`(name: String) throws {
        let golden = try GoldenModel(name)
        let model = try golden.load()
        let gradients = try model.makeBuffer()
        let loss = try model.accumulateGradients(golden.batch("forget", 0), scale: 1, into: gradients)
        let expected = try #require(golden.facts["loss"]?.doubleValue)
        #expect(abs(loss.mean - expected) <= 1e-5 * expected)
        try golden.expect(gradients, equals: "gradients", of: model, tolerance: 1e-4)
    }

    @Test(arguments: GoldenModel.all)
    func `ten steps of ascent move every tensor as PyTorch moves it`(name: String) throws {
        let golden = try GoldenModel(name)
        let model = try golden.load()
        let gradients = try model.makeBuffer()
        let rate = try #require(golden.facts["learning_rate"]?.doubleValue)
        let alpha = Float(try #require(golden.facts["alpha"]?.doubleValue))
        let optimizer = try AdamW(
            count: model.table.count, rates: AdamW.Rates(learningRate: rate), context: model.context)
        for (step, expected) in try #require(golden.facts["steps"]?.arrayValue).enumerated() {
            gradients.clear()
            let forget = try model.accumulateGradients(
                golden.batch("forget", step % 2), scale: -alpha, into: gradients)
            let retain = try model.accumulateGradients(
                golden.batch("retain", step % 2), scale: 1 - alpha, into: gradients)
            optimizer.step(model.parameters, gradients)
            #expect(abs(forget.mean - (expected["forget"]?.doubleValue ?? .nan)) <= 1e-3)
            #expect(abs(retain.mean - (expected["retain"]?.doubleValue ?? .nan)) <= 1e-3)
        }
        try golden.expect(
            model.parameters, equals: "trained", of: model, tolerance: 1e-2, relativeTo: "weights")
    }

    @Test(arguments: GoldenModel.all)
    func `divergence from a reference and its gradients agree`(name: String) throws {
        let golden = try GoldenModel(name)
        let model = try golden.load()
        let reference = try golden.load().parameters
        for entry in model.table.entries {
            for (index, value) in try golden.values("trained", entry.name).enumerated() {
                model.parameters.base[entry.offset + index] = value
            }
        }
        let gradients = try model.makeBuffer()
        let loss = try model.accumulateDivergenceGradients(
            golden.batch("retain", 0), reference: reference, scale: 1, into: gradients)
        let expected = try #require(golden.facts["divergence"]?.doubleValue)
        #expect(abs(loss.mean - expected) <= 1e-4 * expected)
        // Differences of nearly equal distributions: what f32 leaves of them is less than of a likelihood.
        try golden.expect(gradients, equals: "divergence", of: model, tolerance: 1e-3)
    }

    @Test(arguments: GoldenModel.all)
    func `each label is scored as PyTorch scores it`(name: String) throws {
        let golden = try GoldenModel(name)
        let scores = try golden.load().score(golden.batch("forget", 0))
        let expected = try #require(golden.facts["scores"]?.arrayValue)
        #expect(scores.count == expected.count)
        for (row, wanted) in zip(scores, expected) {
            let nll = (wanted["nll"]?.arrayValue ?? []).compactMap(\.doubleValue)
            #expect(row.map(\.correct) == (wanted["correct"]?.arrayValue ?? []).compactMap(\.boolValue))
            #expect(row.count == nll.count && zip(row, nll).allSatisfy { abs(Double($0.nll) - $1) <= 1e-4 })
        }
    }

    @Test(arguments: GoldenModel.all)
    func `greedy continuation with a cache gives the same tokens`(name: String) throws {
        let golden = try GoldenModel(name)
        let greedy = try #require(golden.facts["greedy"])
        func ids(_ key: String) -> [Int32] {
            (greedy[key]?.arrayValue ?? []).compactMap(\.integerValue).map(Int32.init)
        }
        let generator = Generator(try golden.load(), ends: [])
        let result = try generator.continuation(of: ids("prompt"), maximum: 12)
        #expect(result.tokens == ids("tokens") && result.tokens.count == 12)
        #expect(result.ending == .maximum)
        let stopped = try Generator(golden.load(), ends: [ids("tokens")[3]]).continuation(
            of: ids("prompt"), maximum: 12)
        #expect(
            stopped.ending == .endOfText
                && stopped.tokens == Array(ids("tokens").prefix(stopped.tokens.count)))
    }
}
