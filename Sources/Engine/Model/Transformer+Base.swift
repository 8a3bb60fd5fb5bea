// SPDX-License-Identifier: Apache-2.0

import CKernels

/// What objectives take from a model beside gradients.
extension Transformer {
    /// Where the head's weights are in the parameters.
    var headRanges: [Range<Int>] {
        let head = layout.head
        let bias = head.bias.map { [$0..<$0 + head.outputs] } ?? []
        return [head.weight..<head.weight + head.inputs * head.outputs] + bias
    }

    /// The normalised output of the last block at each labelled place of each row, (P, C).
    ///
    /// - Throws: ``EngineError`` with `.invalidBatch`, also for a batch without any label.
    func finalStates(_ batch: TokenBatch) throws(EngineError) -> FloatStorage {
        let pass = try forwardScored(batch)
        let states = try FloatStorage(count: pass.packed.targets.count * configuration.hiddenSize)
        states.base.update(from: pass.activations.scoredNormed, count: states.count)
        return states
    }

    /// The loss of a batch, computed in the memory that the steps around it use.
    ///
    /// - Throws: ``EngineError`` with `.invalidBatch`, also for a batch without any label.
    func lossBetweenSteps(_ batch: TokenBatch) throws(EngineError) -> LossSum {
        if let card {
            let scores = try card.score(labelled(batch), moments: false)
            return LossSum(nll: scores.reduce(0) { $0 + Double($1.nll) }, tokens: scores.count)
        }
        let pass = try forwardScored(batch)
        let losses = likelihoods(pass.packed, pass.activations)
        return LossSum(nll: losses.reduce(0) { $0 + Double($1.loss) }, tokens: losses.count)
    }
}
