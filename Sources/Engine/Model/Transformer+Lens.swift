// SPDX-License-Identifier: Apache-2.0

import CKernels

extension Transformer {
    /// What each layer would say: the labelled tokens of each row, scored from the residual stream after 0, 1, …
    /// blocks through the last norm and the head (the logit lens, nostalgebraist 2020). The last entry is ``score(_:)``.
    ///
    /// - Throws: ``EngineError`` with `.invalidBatch`, also for a batch without any label.
    package func scoreByLayer(_ batch: TokenBatch) throws(EngineError) -> [[[PositionScore]]] {
        let packed = try labelled(batch)
        var scores: [[[PositionScore]]] = []
        var pass = try pass(packed, training: false)
        let (weights, activations) = (pass.weights, pass.activations)
        pass.observer = PassObserver(stream: { blocks, _ in
            self.normScored(packed, weights, activations, after: blocks)
            let losses = self.likelihoods(packed, activations)
            scores.append(
                packed.byRow(losses.map { PositionScore(nll: $0.loss, correct: $0.correct != 0) }))
        })
        try forward(pass)
        return scores
    }
}
