// SPDX-License-Identifier: Apache-2.0

import Engine
import Foundation
import Protocol
import Testing

/// Selective synaptic dampening against PyTorch's gradients.
@Suite struct DampeningTests {
    private let golden: GoldenModel
    private let model: Transformer

    init() throws {
        golden = try GoldenModel("llama-tied")
        model = try golden.load()
    }

    private func batches(_ names: [String]) throws -> [TokenBatch] {
        try names.flatMap { name in try (0..<2).map { try golden.batch(name, $0) } }
    }

    @Test(arguments: [
        ("forget", ["forget"], false), ("all", ["forget", "retain"], false), ("free", ["forget"], true),
    ])
    func `importances are PyTorch's`(key: String, names: [String], labelFree: Bool) throws {
        let fixture = try SafetensorsFixture(
            GoldenModel.fixtures().appending(path: "dampen/importances.safetensors"))
        let actual = try SynapticDampening(labelFree: labelFree).importances(model, batches(names))
        for entry in model.table.entries {
            let a = actual.values(entry.range)
            let e = try fixture.values("\(key)/\(entry.name)")
            let wrong = zip(a, e).reduce(0.0) { $0 + pow(Double($1.0) - Double($1.1), 2) }.squareRoot()
            let size = e.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
            #expect(wrong <= 2e-4 * size && size > 0, "\(entry.name): \(wrong) against \(size)")
        }
    }

    @Test func `weights become smaller by the rule, and no others change`() throws {
        let dampening = SynapticDampening(ratio: 1.5, strength: 0.9)
        let forget = try dampening.importances(model, batches(["forget"]))
        let all = try dampening.importances(model, batches(["forget", "retain"]))
        let before = model.weights
        let count = dampening.dampen(model, forget: forget, all: all)
        let after = model.weights
        var chosen = 0
        for index in before.indices {
            let (own, whole) = (
                Double(forget.values(index..<index + 1)[0]), Double(all.values(index..<index + 1)[0])
            )
            if own > 1.5 * whole {
                #expect(after[index] == Float(Double(before[index]) * min(1, 0.9 * whole / own)))
                chosen += 1
            } else {
                #expect(after[index].bitPattern == before[index].bitPattern)
            }
        }
        #expect(chosen == count && count > 100 && count < model.table.parameterCount / 2)
        #expect(SynapticDampening(ratio: 1e9).dampen(model, forget: forget, all: all) == 0)
    }

    private func examples(_ batch: TokenBatch) -> [Example] {
        (0..<batch.rows).map { row in
            let start = row * batch.columns
            let range = start..<start + batch.lengths[row]
            return Example(
                ids: Array(batch.tokens[range]), labels: Array(batch.labels[range]), line: row + 1)
        }
    }

    // MARK: Masks

    @Test(arguments: [MaskKind.saliency, .wagle])
    func `a mask holds the weights that score highest, and training changes no other bit`(kind: MaskKind)
        throws
    {
        let forget = try examples(golden.batch("forget", 0))
        let retain = try examples(golden.batch("retain", 0))
        let mask = try WeightMask.choose(
            kind, model, forget: forget, retain: retain, ratio: 0.2, batchSize: 2
        ) { _, _ in }
        let total = model.table.parameterCount
        #expect(mask.count == Int(0.2 * Double(total)))
        // The scores again, from the golden gradients of the whole batch.
        let gradient = try model.makeBuffer(), kept = try model.makeBuffer()
        _ = try model.accumulateGradients(golden.batch("forget", 0), scale: 1, into: gradient)
        _ = try model.accumulateGradients(golden.batch("retain", 0), scale: 1, into: kept)
        let (g, r, w) = (
            gradient.values(0..<gradient.count), kept.values(0..<kept.count), model.weights
        )
        func score(_ index: Int) -> Float {
            kind == .saliency ? abs(g[index]) : abs((w[index] - r[index] / 1e-6) * g[index])
        }
        let places = model.table.entries.flatMap { Array($0.range) }
        let least = places.filter(mask.contains).map(score).min() ?? .nan
        let largest = places.filter { !mask.contains($0) }.map(score).max() ?? .nan
        #expect(least >= largest * (1 - 1e-3), "\(least) kept, \(largest) left out")

        let trainer = try Trainer(
            model,
            data: .learning(Batcher(examples: forget, batchSize: 2, seed: 1, stream: .training)),
            objective: FinetuneObjective(),
            settings: Trainer.Settings(epochs: 2, learningRate: 1e-2, clipNorm: 1), mask: mask)
        _ = try trainer.run { _ in
        } epoch: { _ in
        }
        let after = model.weights
        #expect(places.allSatisfy { mask.contains($0) || after[$0].bitPattern == w[$0].bitPattern })
        // Decay alone moves a weight; a few are zero.
        #expect(places.count { mask.contains($0) && after[$0] != w[$0] } > mask.count * 9 / 10)
    }
}
