// SPDX-License-Identifier: Apache-2.0

import Engine
import Foundation
import Testing

/// New models of every architecture.
@Suite struct InitializationTests {
    @Test(arguments: GoldenModel.names)
    func `a new model knows nothing, and norms leave values as they are`(name: String) throws {
        let golden = try GoldenModel(name)
        var configuration = golden.configuration
        configuration.initializerRange = 0.02
        let model = try Transformer(configuration, context: ComputeContext(threads: 2))
        ParameterInitializer.fill(model.parameters, model.table, seed: 5, context: model.context)
        let gradients = try model.makeBuffer()
        let loss = try model.accumulateGradients(golden.batch("forget", 0), scale: 1, into: gradients)
        let uniform = log(Double(configuration.vocabularySize))
        #expect(abs(loss.mean - uniform) < 0.1 * uniform, "\(loss.mean) against \(uniform)")
        for entry in model.table.entries {
            let values = model.parameters.values(entry.range)
            if entry.name.hasSuffix(".bias") {
                #expect(values.allSatisfy { $0 == 0 }, "\(entry.name)")
            } else if entry.shape.count == 1 {
                // Gemma's factors are 1 + weight.
                let one: Float = name.hasPrefix("gemma") ? 0 : 1
                #expect(values.allSatisfy { $0 == one }, "\(entry.name)")
            } else {
                let square = values.reduce(0) { $0 + Double($1) * Double($1) } / Double(values.count)
                #expect(square.squareRoot() > 0.005 && square.squareRoot() < 0.025, "\(entry.name)")
            }
        }
        #expect(gradients.values(0..<gradients.count).allSatisfy { $0.isFinite })
    }

    @Test(arguments: GoldenModel.names)
    func `the names are those that transformers gives a checkpoint`(name: String) throws {
        let golden = try GoldenModel(name)
        let table = try ParameterTable(golden.configuration)
        #expect(Set(table.entries.map(\.name)) == golden.weightNames)
    }
}
