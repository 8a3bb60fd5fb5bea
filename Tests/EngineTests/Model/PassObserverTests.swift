// SPDX-License-Identifier: Apache-2.0

import Engine
import Testing

/// What methods see of a pass and change in it, checked against differences of the loss.
@Suite struct PassObserverTests {
    private let golden: GoldenModel
    private let model: Transformer
    private let batch: TokenBatch

    init() throws {
        golden = try GoldenModel("llama-tied")
        model = try golden.load()
        batch = try golden.batch("forget", 0)
    }

    private func loss(_ observer: PassObserver?) throws -> Double {
        let scores = try model.score(batch, observer: observer).joined()
        return scores.reduce(0.0) { $0 + Double($1.nll) } / Double(scores.count)
    }

    private func values(_ rows: PassObserver.Rows) -> [Float] { Array(rows.buffer) }

    @Test(arguments: 0...2)
    func `the gradient of the residual stream is the slope of the loss`(blocks: Int) throws {
        var gradient: [Float] = []
        let observer = PassObserver(streamGradient: { if $0 == blocks { gradient = Array($1.buffer) } })
        _ = try model.accumulateGradients(batch, scale: 1, into: model.makeBuffer(), observer: observer)
        // Along the gradient itself the slope is its squared length.
        let length = gradient.reduce(0.0) { $0 + Double($1) * Double($1) }
        #expect(length > 0)
        func moved(_ step: Float) throws -> Double {
            try loss(
                PassObserver(stream: { passed, rows in
                    guard passed == blocks else { return }
                    for (index, slope) in gradient.enumerated() { rows.buffer[index] += step * slope }
                }))
        }
        let step: Float = 0.02 / Float(length.squareRoot())
        let slope = try (moved(step) - moved(-step)) / Double(2 * step)
        #expect(abs(slope - length) <= 0.01 * length, "\(slope) against \(length)")
    }

    @Test func `an injected gradient adds to that of the loss`() throws {
        let plain = try model.makeBuffer(), injected = try model.makeBuffer(), alone = try model.makeBuffer()
        let push: Float = 0.01
        _ = try model.accumulateGradients(batch, scale: 1, into: plain)
        _ = try model.accumulateGradients(
            batch, scale: 1, into: injected,
            observer: PassObserver(streamGradient: { blocks, rows in
                if blocks == 1 { for index in rows.buffer.indices { rows.buffer[index] += push } }
            }))
        // The same push as a loss of its own: the sum of the stream's values, times the push.
        let value = try model.accumulateStreamGradients(batch, after: 1, into: alone) { rows, gradient in
            gradient.buffer.update(repeating: push)
            return rows.buffer.reduce(0) { $0 + Double(push) * Double($1) }
        }
        var read = 0.0
        try model.readStream(batch, after: 1) { rows in
            read = rows.buffer.reduce(0) { $0 + Double(push) * Double($1) }
        }
        #expect(value == read && value != 0)
        let all = 0..<plain.count
        for ((plain, alone), injected) in zip(
            zip(plain.values(all), alone.values(all)), injected.values(all))
        {
            #expect(abs(plain + alone - injected) <= 1e-5 * max(1, abs(injected)))
        }
        // Blocks behind the place do not run, so theirs stays zero.
        let behind = try #require(model.table["model.layers.1.mlp.down_proj.weight"])
        #expect(alone.values(behind.range).allSatisfy { $0 == 0 })
        #expect(alone.values(0..<behind.offset).contains { $0 != 0 })
    }

    @Test func `the inner activations and heads come with their gradients, the same with checkpointing`()
        throws
    {
        let lean = try golden.load(checkpointing: true)
        var seen: [[String: [Float]]] = []
        for model in [model, lean] {
            var values: [String: [Float]] = [:]
            let gradients = try model.makeBuffer()
            let c = model.configuration
            let observer = PassObserver(
                inner: { layer, rows, gradient in
                    #expect(rows.width == c.intermediateSize && rows.count == gradient.count)
                    values["inner \(layer)"] = Array(rows.buffer)
                    values["inner gradient \(layer)"] = Array(gradient.buffer)
                },
                heads: { layer, rows, gradient in
                    #expect(rows.width == c.heads * c.headSize)
                    #expect(rows.sequences.map(\.row) == [0, 1, 2])
                    values["heads \(layer)"] = Array(rows.buffer)
                    values["heads gradient \(layer)"] = Array(gradient.buffer)
                })
            _ = try model.accumulateGradients(batch, scale: 1, into: gradients, observer: observer)
            seen.append(values)
            // A down projection's gradient is dyᵀ · x, and x's is dy · W: so Σ W ∘ dW = Σ x ∘ dx for each.
            for (name, key) in [
                ("model.layers.1.mlp.down_proj.weight", "inner"),
                ("model.layers.0.self_attn.o_proj.weight", "heads"),
            ] {
                let entry = try #require(model.table[name])
                let layer = name.dropFirst("model.layers.".count).first.map(String.init) ?? ""
                let x = try #require(values["\(key) \(layer)"])
                let dx = try #require(values["\(key) gradient \(layer)"])
                let ofWeights = zip(model.parameters.values(entry.range), gradients.values(entry.range))
                    .reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
                let ofInputs = zip(x, dx).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
                #expect(abs(ofWeights - ofInputs) <= 1e-4 * abs(ofWeights) && ofWeights != 0, "\(name)")
            }
        }
        #expect(seen[0].count == 8 && seen[0] == seen[1])
    }
}
