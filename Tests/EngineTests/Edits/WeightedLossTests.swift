// SPDX-License-Identifier: Apache-2.0

import Engine
import Foundation
import Protocol
import Testing

/// Weighted likelihoods and losses on logits, what objectives are made of, against PyTorch.
struct WeightedLossTests {
    private let golden: GoldenModel
    private let batch: TokenBatch

    init() throws {
        golden = try GoldenModel(GoldenModel.fixtures().appending(path: "training").path)
        batch = try golden.batch("forget", 0)
    }

    /// The model's weights, or those of `group` in its place.
    private func load(_ group: String? = nil) throws -> Transformer {
        let model = try golden.load()
        guard let group else { return model }
        for entry in model.table.entries {
            for (index, value) in try golden.values(group, entry.name).enumerated() {
                model.parameters.base[entry.offset + index] = value
            }
        }
        return model
    }

    private func fact(_ name: String) throws -> Double { try #require(golden.facts[name]?.doubleValue) }

    @Test func `weights that are known when all losses are give NPO's gradient`() throws {
        let beta: Float = 0.1
        func sums(_ rows: [[Float]]) -> [Float] { rows.map { $0.reduce(0, +) } }
        let base = sums(try load("reference").score(batch).map { $0.map(\.nll) })
        let model = try load()
        let gradients = try model.makeBuffer()
        let rows = Float(batch.rows)
        let scores = try model.accumulateWeightedGradients(
            batch, into: gradients,
            .all { losses in
                zip(losses, zip(sums(losses), base)).map { row, sums in
                    let weight = -2 / (1 + exp(beta * (sums.0 - sums.1))) / rows
                    return row.map { _ in weight }
                }
            })
        try golden.expect(gradients, equals: "npo", of: model, tolerance: 1e-4)
        let loss = zip(sums(scores.map { $0.map(\.nll) }), base).reduce(Float(0)) { sum, sums in
            sum + 2 / beta * log(1 + exp(-beta * (sums.0 - sums.1))) / rows
        }
        #expect(try abs(Double(loss) - fact("npo")) < 1e-4 * fact("npo"))
        #expect(try scores == model.score(batch))
    }

    @Test func `weights of a token's own loss give WGA's gradient`() throws {
        let model = try load()
        let gradients = try model.makeBuffer()
        let tokens = Float(batch.predictedCount)
        let scores = try model.accumulateWeightedGradients(
            batch, into: gradients, .each { -exp(-$0) / tokens })
        try golden.expect(gradients, equals: "wga", of: model, tolerance: 1e-4)
        let loss = scores.joined().reduce(0) { $0 - Double(exp(-$1.nll) * $1.nll) } / Double(tokens)
        #expect(try abs(loss - fact("wga")) < -1e-4 * fact("wga"))
    }

    @Test func `a loss on logits and a reference's gives UNDIAL's gradient`() throws {
        let model = try load()
        let gradients = try model.makeBuffer()
        let tokens = Float(batch.predictedCount)
        func softmax(_ row: UnsafeMutableBufferPointer<Float>) -> [Float] {
            let largest = row.max() ?? 0
            let sum = row.reduce(Float(0)) { $0 + exp($1 - largest) }
            return row.map { exp($0 - largest) / sum }
        }
        let losses = try model.accumulateLogitGradients(
            batch, reference: load("reference").parameters, into: gradients
        ) { place in
            place.reference[place.target] -= 3
            let (wanted, given) = (softmax(place.reference), softmax(place.logits))
            for index in wanted.indices { place.logits[index] = (given[index] - wanted[index]) / tokens }
            return -zip(wanted, given).reduce(Float(0)) { $0 + $1.0 * log($1.1) }
        }
        try golden.expect(gradients, equals: "undial", of: model, tolerance: 1e-4)
        #expect(losses.map(\.count) == (try model.score(batch)).map(\.count))
        let mean = losses.joined().reduce(0) { $0 + Double($1) } / Double(tokens)
        #expect(try abs(mean - fact("undial")) < 1e-4 * fact("undial"))
    }

    @Test func `equal weights are the plain gradient, and none is none`() throws {
        let model = try load()
        let plain = try model.makeBuffer()
        let weighted = try model.makeBuffer()
        let tokens = Float(batch.predictedCount)
        _ = try model.accumulateGradients(batch, scale: 0.7, into: plain)
        _ = try model.accumulateWeightedGradients(batch, into: weighted, .each { _ in 0.7 / tokens })
        #expect(plain.values(0..<plain.count) == weighted.values(0..<plain.count))
        weighted.clear()
        _ = try model.accumulateWeightedGradients(
            batch, into: weighted, .all { $0.map { $0.map { _ in 0.7 / tokens } } })
        #expect(plain.values(0..<plain.count) == weighted.values(0..<plain.count))
        weighted.clear()
        _ = try model.accumulateWeightedGradients(batch, into: weighted, .each { _ in 0 })
        #expect(weighted.values(0..<plain.count).allSatisfy { $0 == 0 })
    }

    /// Two groups of logits: what is chosen once all are known needs them a second time.
    @Test func `a vocabulary too large to keep all logits changes nothing`() throws {
        let configuration = try ModelConfiguration(
            json: Array(
                #"{"model_type": "gpt2", "vocab_size": 524288, "n_positions": 48, "n_embd": 4, "n_layer": 1, "n_head": 1}"#
                    .utf8))
        let model = try Transformer(configuration, context: ComputeContext(threads: 2))
        ParameterInitializer.fill(model.parameters, model.table, seed: 1, context: model.context)
        let tokens = (0..<48).map { Int32($0 * 10_000) }
        let batch = TokenBatch(rows: 1, columns: 48, tokens: tokens, labels: tokens, lengths: [48])
        let plain = try model.makeBuffer()
        let weighted = try model.makeBuffer()
        _ = try model.accumulateGradients(batch, scale: 1, into: plain)
        let scores = try model.accumulateWeightedGradients(
            batch, into: weighted, .all { $0.map { $0.map { _ in 1 / Float(47) } } })
        #expect(plain.values(0..<plain.count) == weighted.values(0..<plain.count))
        #expect(try scores == model.score(batch) && scores[0].count == 47)
    }
}
