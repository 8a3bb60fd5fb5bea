// SPDX-License-Identifier: Apache-2.0

import CKernels
import Engine
import Testing

/// Same inputs, same bits.
@Suite struct DeterminismTests {
    /// The weights' bits after three steps of ascent with `threads` threads.
    private func trained(_ golden: GoldenModel, threads: Int, level: Int32? = nil) throws -> [UInt32] {
        let model = try golden.load(threads: threads, level: level)
        let gradients = try model.makeBuffer()
        let optimizer = try AdamW(
            count: model.table.count, rates: AdamW.Rates(learningRate: 1e-3), context: model.context)
        for step in 0..<3 {
            gradients.clear()
            _ = try model.accumulateGradients(golden.batch("forget", step % 2), scale: -0.5, into: gradients)
            _ = try model.accumulateDivergenceGradients(
                golden.batch("retain", step % 2), reference: golden.load().parameters, scale: 0.5,
                into: gradients)
            optimizer.step(model.parameters, gradients)
        }
        return model.parameters.values(0..<model.table.count).map(\.bitPattern)
    }

    @Test(arguments: GoldenModel.names)
    func `one, two and three threads give the same bits`(name: String) throws {
        let golden = try GoldenModel(name)
        let one = try trained(golden, threads: 1)
        let two = try trained(golden, threads: 2)
        let three = try trained(golden, threads: 3)
        #expect(one == two)
        #expect(one == three)
    }

    @Test(arguments: GoldenModel.names)
    func `all vector levels give the same bits`(name: String) throws {
        let golden = try GoldenModel(name)
        let best = ck_best_level()
        try #require(best > 0, "this processor has no vector kernels")
        let expected = try trained(golden, threads: 2, level: best)
        for level in 1..<best {
            let actual = try trained(golden, threads: 2, level: level)
            #expect(actual == expected, "level \(level)")
        }
    }

    @Test func `a larger model on tiles of several sizes gives the same bits for any number of threads`()
        throws
    {
        let golden = try GoldenModel("llama-tied")
        var configuration = golden.configuration
        configuration.hiddenSize = 208
        configuration.intermediateSize = 530
        configuration.headSize = 52
        configuration.vocabularySize = 1111
        configuration.contextLength = 300
        if case .rotary(var rotary) = configuration.positions {
            rotary.size = 52
            configuration.positions = .rotary(rotary)
        }
        var random = RandomSource(seed: 3)
        let tokens = (0..<4 * 170).map { _ in Int32(random.below(1111)) }
        let batch = TokenBatch(
            rows: 4, columns: 170, tokens: tokens, labels: tokens, lengths: [170, 170, 170, 170])
        var results: [[UInt32]] = []
        for threads in [1, 2, 3, 5] {
            let model = try Transformer(configuration, context: ComputeContext(threads: threads))
            ParameterInitializer.fill(model.parameters, model.table, seed: 11, context: model.context)
            let gradients = try model.makeBuffer()
            _ = try model.accumulateGradients(batch, scale: 1, into: gradients)
            results.append(gradients.values(0..<gradients.count).map(\.bitPattern))
        }
        #expect(results.allSatisfy { $0 == results[0] })
    }
}
