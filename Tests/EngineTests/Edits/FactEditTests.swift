// SPDX-License-Identifier: Apache-2.0

import Engine
import Foundation
import Protocol
import Testing

/// Edits of facts: targets and changes against PyTorch in f64, and what they leave alone.
@Suite struct FactEditTests {
    private func facts(_ golden: GoldenModel) throws -> [Fact] {
        try golden.examples("forget").prefix(2).map { example in
            let first = try #require(
                example.labels.indices.dropFirst().first { example.labels[$0] != DatasetParser.unlabelled })
            return Fact(old: example, new: example, place: first - 1)
        }
    }

    private func distance(_ a: [Double], _ b: [Double]) -> Double {
        zip(a, b).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }.squareRoot()
    }

    @Test(arguments: ["gpt2", "llama-tied"])
    func `shifts and changes are PyTorch's, and nothing else changes`(name: String) throws {
        let file = try GoldenModel.fixtures().appending(path: "facts/facts.json")
        let wanted = try StrictJSON.parse(Array(Data(contentsOf: file)))
        func number(_ key: String) throws -> Double { try #require(wanted[key]?.doubleValue) }
        func list(_ value: JSONValue?) throws -> [Double] {
            try #require(value?.arrayValue).map { $0.doubleValue ?? .nan }
        }
        let golden = try GoldenModel(name)
        let model = try golden.load()
        let before = model.parameters.values(0..<model.parameters.count)
        var settings = FactEdit.Settings(layers: try list(wanted["layers"]).map { Int($0) })
        settings.steps = Int(try number("steps"))
        settings.learningRate = try number("rate")
        settings.decay = try number("decay")
        settings.clamp = try number("clamp")
        settings.threshold = 0
        settings.covarianceWeight = try number("weight")
        settings.ridge = try number("ridge")
        let outcomes = try FactEdit(model, settings).run(facts(golden), retain: golden.examples("retain"))
        for (index, outcome) in outcomes.enumerated() {
            let shift = try list(wanted[name]?["shifts"]?.arrayValue?[index])
            let zeros = [Double](repeating: 0, count: shift.count)
            #expect(distance(outcome.target.shift, shift) <= 1e-2 * distance(shift, zeros))
            #expect(outcome.new.after < outcome.new.before)
        }
        let isGPT = name == "gpt2"
        for entry in model.table.entries {
            let change = entry.range.map { Double(model.parameters.base[$0]) - Double(before[$0]) }
            guard
                let layer = settings.layers.first(where: {
                    entry.name.hasSuffix(
                        isGPT ? "h.\($0).mlp.c_proj.weight" : "layers.\($0).mlp.down_proj.weight")
                })
            else {
                #expect(change.allSatisfy { $0 == 0 }, "\(entry.name) changed")
                continue
            }
            let expected = try list(wanted[name]?["changes"]?.arrayValue?[layer])
            let (outputs, inputs) = (model.configuration.hiddenSize, model.configuration.intermediateSize)
            try #require(expected.count == outputs * inputs && expected.count == change.count)
            let turned =
                isGPT
                ? (0..<outputs * inputs).map { change[$0 % inputs * outputs + $0 / inputs] } : change
            let size = distance(expected, [Double](repeating: 0, count: expected.count))
            #expect(size > 0 && distance(turned, expected) <= 1e-2 * size, "\(entry.name)")
        }
    }

    @Test(arguments: ["gpt2", "neox-parallel", "phi", "stablelm", "qwen3"])
    func `any number of threads gives the same bits, and the answers become likely`(name: String) throws {
        let golden = try GoldenModel(name)
        func edited(_ threads: Int) throws -> ([Float], [FactEdit.Outcome]) {
            let model = try golden.load(threads: threads)
            var settings = FactEdit.Settings(layers: [0])
            settings.covarianceWeight = 1e-3
            let outcomes = try FactEdit(model, settings).run(
                facts(golden), retain: golden.examples("retain"))
            return (model.parameters.values(0..<model.parameters.count), outcomes)
        }
        let (one, outcomes) = try edited(1)
        #expect(try edited(3).0 == one)
        for outcome in outcomes {
            #expect(outcome.target.loss < outcome.new.before && outcome.new.after < outcome.new.before)
        }
    }

    @Test func `layers that are not there and normalised outputs are refused`() throws {
        let model = try GoldenModel("gpt2").load()
        #expect { try FactEdit(model, .init(layers: [2])) } throws: { "\($0)".contains("2 layers") }
        let other = try GoldenModel("gemma2").load()
        #expect { try FactEdit(other, .init(layers: [0])) } throws: { "\($0)".contains("normalises") }
    }
}
