// SPDX-License-Identifier: Apache-2.0

import Engine
import Testing

/// Computing activations again instead of keeping them.
@Suite struct CheckpointingTests {
    private func gradients(_ golden: GoldenModel, checkpointing: Bool) throws -> [UInt32] {
        let model = try golden.load(checkpointing: checkpointing)
        let gradients = try model.makeBuffer()
        _ = try model.accumulateGradients(golden.batch("forget", 0), scale: -0.5, into: gradients)
        _ = try model.accumulateDivergenceGradients(
            golden.batch("retain", 0), reference: golden.load().parameters, scale: 0.5,
            into: gradients)
        _ = try model.accumulateGradients(golden.batch("retain", 1), scale: 0.25, into: gradients)
        return gradients.values(0..<gradients.count).map(\.bitPattern)
    }

    @Test(arguments: GoldenModel.names)
    func `gradients have the same bits`(name: String) throws {
        let golden = try GoldenModel(name)
        let kept = try gradients(golden, checkpointing: false)
        #expect(try gradients(golden, checkpointing: true) == kept)
        #expect(kept.contains { $0 != 0 })
    }

    @Test(arguments: GoldenModel.names, [false, true])
    func `a model maps what was predicted`(name: String, checkpointing: Bool) throws {
        let model = try GoldenModel(name).load(checkpointing: checkpointing)
        let tokens = [Int32](repeating: 3, count: 3 * 20)
        let batch = TokenBatch(rows: 3, columns: 20, tokens: tokens, labels: tokens, lengths: [20, 20, 20])
        _ = try model.accumulateGradients(batch, scale: 1, into: model.makeBuffer())
        // The last token of a row predicts nothing, so a row of 20 runs as 19.
        let estimate = try MemoryEstimate(
            model.configuration, rows: 3, columns: 19, training: true, checkpointing: checkpointing,
            threads: 2)
        #expect(model.activationBytes == estimate.activations)
    }

    @Test func `deep models need a fraction of the activations`() throws {
        var configuration = try GoldenModel("gpt2").configuration
        configuration.layers = 24
        func activations(_ checkpointing: Bool) throws -> Int {
            try MemoryEstimate(
                configuration, rows: 16, columns: 40, training: true, checkpointing: checkpointing, threads: 1
            ).activations
        }
        #expect(try activations(true) < activations(false) / 6)
    }
}
