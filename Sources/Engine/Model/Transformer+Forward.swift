// SPDX-License-Identifier: Apache-2.0

import CKernels

/// The passes through all blocks; what happens in one block is in `Transformer+Block.swift`.
extension Transformer {
    /// Runs the blocks: `activations.stream(layers)` is the residual stream that leaves the last one, (N, C).
    ///
    /// - Parameter layers: How many blocks to run; all unless given.
    /// - Throws: ``EngineError`` with `.rankFailure` where another rank's parameters cannot be had.
    func forward(_ pass: BlockPass, layers: Int? = nil) throws(EngineError) {
        let c = configuration
        let first = pass.activations.stream(0)
        context.gather(
            pass.weights + layout.tokenEmbedding, pass.packed.tokens, width: c.hiddenSize, into: first)
        if let positions = layout.positionEmbedding {
            context.gather(
                pass.weights + positions, pass.packed.positions, width: c.hiddenSize, into: first,
                accumulate: true)
        }
        if let scale = c.embeddingScale { self.scale(first, by: scale, rows: pass.tokens) }
        pass.observer?.stream?(0, pass.observed(first, width: c.hiddenSize))
        let count = layers ?? c.layers
        for layer in 0..<count {
            // After the last one either the way back begins, or another pass.
            let follower = layer + 1 < count ? layer + 1 : pass.activations.size.training ? layer - 1 : 0
            try need(layer, pass, next: follower)
            let next = pass.activations.stream(layer + 1)
            forward(layer, pass, from: pass.activations.stream(layer), to: next)
            pass.observer?.stream?(layer + 1, pass.observed(next, width: c.hiddenSize))
        }
    }

    /// Runs the blocks backwards from `streamGradient` (N, C), the gradient of what leaves the last one that ran, down
    /// to the lowest one of which anything is trained, or through all if somebody observes the pass.
    ///
    /// - Parameter layers: How many blocks ran forward; all unless given.
    /// - Throws: ``EngineError`` with `.rankFailure` where another rank's parameters cannot be had.
    func backward(_ pass: BlockPass, layers: Int? = nil, _ gradients: GradientTarget) throws(EngineError) {
        let c = configuration
        let activations = pass.activations
        let gradient = activations.streamGradient
        let last = layers ?? c.layers
        let lowest = pass.observer == nil ? lowestTrained : 0
        let sums = shards?.sums(at: gradients.base)
        shards?.beginPass(sums)
        for layer in (0..<last).reversed() {
            guard layer >= lowest else { return }
            // The next pass begins at the lower end.
            try need(layer, pass, next: layer > lowest ? layer - 1 : min(layer + 1, last - 1))
            pass.observer?.streamGradient?(layer + 1, pass.observed(gradient, width: c.hiddenSize))
            // The shared buffers hold what the last block left there; every other block is computed again.
            if activations.size.checkpointing, layer < last - 1 {
                forward(layer, pass, from: activations.stream(layer), to: nil)
            }
            if let shards, let sums, let place = try shards.place(of: layer, sums) {
                backward(layer, pass, GradientTarget(base: place, trainable: gradients.trainable))
                try shards.hand(over: layer, sums)
            } else {
                backward(layer, pass, gradients)
            }
            exchange?.blockDone(layer)
        }
        pass.observer?.streamGradient?(0, pass.observed(gradient, width: c.hiddenSize))
        if let scale = c.embeddingScale { self.scale(gradient, by: scale, rows: pass.tokens) }
        if let target = gradients[layout.tokenEmbedding] {
            context.scatterAdd(
                gradient, pass.packed.tokens, width: c.hiddenSize, skipping: c.paddingID, into: target)
        }
        if let target = gradients[layout.positionEmbedding] {
            context.scatterAdd(gradient, pass.packed.positions, width: c.hiddenSize, into: target)
        }
    }

    /// Makes a block whole, where ranks share the parameters, and lets the next one begin to come.
    private func need(_ layer: Int, _ pass: BlockPass, next: Int) throws(EngineError) {
        guard let shards, pass.weights == UnsafePointer(parameters.base) else { return }
        try shards.need(layer, next: next)
    }

    private func scale(_ stream: UnsafeMutablePointer<Float>, by factor: Float, rows: Int) {
        let width = configuration.hiddenSize
        context.forRows(rows, width: width) { block in
            let part = stream + block.lowerBound * width
            context.kernels.pointee.scale(part, part, factor, block.count * width)
        }
    }

    /// The block at which the backward pass may end; 0 if something before the blocks is trained.
    var lowestTrained: Int {
        let before = [layout.tokenEmbedding, layout.positionEmbedding].compactMap(\.self)
        if before.contains(where: trainable.contains) { return 0 }
        return table.entries.lazy.filter { self.trainable.contains($0.offset) }.compactMap(\.layer).min()
            ?? configuration.layers
    }
}
