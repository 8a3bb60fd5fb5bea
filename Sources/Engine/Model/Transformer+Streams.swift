// SPDX-License-Identifier: Apache-2.0

/// Losses on the residual stream, and reading it.
extension Transformer {
    /// Adds the gradient of a loss on the residual stream after `blocks` blocks to `gradients`.
    ///
    /// The blocks behind do not run.
    /// - Parameter loss: Gets the stream (N, C) and zeros of the same size to write its gradient over; returns the
    ///   loss.
    /// - Throws: ``EngineError`` with `.invalidBatch`, also for a batch without any label.
    package func accumulateStreamGradients(
        _ batch: TokenBatch, after blocks: Int, into gradients: FloatStorage, observer: PassObserver? = nil,
        _ loss: (_ values: PassObserver.Rows, _ gradient: PassObserver.Rows) -> Double
    ) throws(EngineError) -> Double {
        precondition(blocks >= 0 && blocks <= configuration.layers, "there are no \(blocks) blocks")
        let pass = try pass(labelled(batch), training: true, observer: observer)
        try forward(pass, layers: blocks)
        let width = configuration.hiddenSize
        let gradient = pass.activations.streamGradient
        gradient.update(repeating: 0, count: pass.tokens * width)
        let value = loss(
            pass.observed(pass.activations.stream(blocks), width: width),
            pass.observed(gradient, width: width))
        try backward(pass, layers: blocks, target(gradients))
        return value
    }

    /// Shows the residual stream (N, C) of `batch` after `blocks` blocks to `body`; the blocks behind do not run.
    ///
    /// - Parameter weights: Those of a reference, see ``makeReference()``; the model's own unless given.
    /// - Throws: ``EngineError`` with `.invalidBatch`, also for a batch without any label.
    package func readStream(
        _ batch: TokenBatch, after blocks: Int, weights: FloatStorage? = nil,
        _ body: (PassObserver.Rows) -> Void
    ) throws(EngineError) {
        precondition(blocks >= 0 && blocks <= configuration.layers, "there are no \(blocks) blocks")
        func read() throws(EngineError) {
            let pass = try pass(labelled(batch), weights?.base, training: false)
            try forward(pass, layers: blocks)
            body(pass.observed(pass.activations.stream(blocks), width: configuration.hiddenSize))
        }
        if let weights { try withReference(weights, read) } else { try read() }
    }
}
