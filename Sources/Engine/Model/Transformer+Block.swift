// SPDX-License-Identifier: Apache-2.0

import CKernels

/// One decoder block, forward and backward.
extension Transformer {
    /// Runs block `layer` on the stream `x` (N, C), keeps in the block's buffers what its backward pass needs,
    /// and writes the stream that leaves it to `y`.
    ///
    /// - Parameter y: `nil` where only what the backward pass needs is computed again.
    func forward(
        _ layer: Int, _ pass: BlockPass, from x: UnsafeMutablePointer<Float>,
        to y: UnsafeMutablePointer<Float>?
    ) {
        let c = configuration
        let block = layout.blocks[layer]
        let a = pass.activations.block(layer)
        let w = pass.weights
        let n = pass.tokens

        block.attentionNorm.forward(
            context, w, x, rows: n, columns: c.hiddenSize, epsilon: c.normalizationEpsilon, into: a.normed,
            a.attentionStatistics)
        for input in block.inputs {
            input.linear.forward(
                context, w, a.normed, rows: n, into: a.qkv + input.column, stride: c.qkvWidth)
        }
        rotate(pass.packed, a.qkv, direction: 1)
        attend(layer, pass, a)
        copy(x, to: a.middle, rows: n)
        block.output.forward(
            context, w, a.attention, rows: n, into: a.middle, stride: c.hiddenSize, accumulate: true)

        block.feedForwardNorm.forward(
            context, w, a.middle, rows: n, columns: c.hiddenSize, epsilon: c.normalizationEpsilon,
            into: a.middleNormed, a.feedForwardStatistics)
        for up in block.up {
            up.linear.forward(
                context, w, a.middleNormed, rows: n, into: a.preactivation + up.column,
                stride: c.preactivationWidth)
        }
        activate(a, rows: n)
        guard let y else { return }
        copy(a.middle, to: y, rows: n)
        block.down.forward(
            context, w, a.activation, rows: n, into: y, stride: c.hiddenSize, accumulate: true)
    }

    /// Runs block `layer` backwards: `streamGradient` (N, C) goes from the gradient of the stream that leaves it to
    /// that of the stream that enters it; the gradients of its parameters are added to `gradients`.
    func backward(_ layer: Int, _ pass: BlockPass, _ gradients: GradientTarget) {
        let c = configuration
        let block = layout.blocks[layer]
        let activations = pass.activations
        let a = activations.block(layer)
        let w = pass.weights
        let n = pass.tokens
        let dStream = activations.streamGradient
        let dNormed = activations.normGradient
        let dInner = activations.innerGradient
        let dWide = activations.wideGradient

        block.down.backwardWeight(
            context, w, gradients, x: a.activation, dStream, stride: c.hiddenSize, rows: n)
        block.down.backwardInput(context, w, dStream, stride: c.hiddenSize, rows: n, into: dInner)
        pass.observer?.inner?(
            layer, pass.observed(a.activation, width: c.intermediateSize),
            pass.observed(dInner, width: c.intermediateSize))
        activateBackward(a, activations, rows: n)
        backward(
            block.up, w, gradients, x: a.middleNormed, dWide, stride: c.preactivationWidth, rows: n,
            into: dNormed)
        block.feedForwardNorm.backward(
            context, w, gradients, dy: dNormed, x: a.middle, a.feedForwardStatistics, rows: n,
            columns: c.hiddenSize, into: dStream)

        block.output.backwardWeight(
            context, w, gradients, x: a.attention, dStream, stride: c.hiddenSize, rows: n)
        block.output.backwardInput(context, w, dStream, stride: c.hiddenSize, rows: n, into: dInner)
        pass.observer?.heads?(
            layer, pass.observed(a.attention, width: c.attentionWidth),
            pass.observed(dInner, width: c.attentionWidth))
        pass.attention.backward(
            context, qkv: a.qkv, stride: c.qkvWidth, out: a.attention, dOut: dInner, logSums: a.logSums,
            into: dWide, scratch: activations.scratch, scratchStride: activations.scratchStride)
        rotate(pass.packed, dWide, direction: -1)
        backward(block.inputs, w, gradients, x: a.normed, dWide, stride: c.qkvWidth, rows: n, into: dNormed)
        block.attentionNorm.backward(
            context, w, gradients, dy: dNormed, x: activations.stream(layer), a.attentionStatistics, rows: n,
            columns: c.hiddenSize, into: dStream)
    }

    /// `a.qkv` → `a.attention`, with the keys and values of the cache before, if there is one.
    private func attend(_ layer: Int, _ pass: BlockPass, _ a: Activations.Block) {
        let c = configuration
        var keys = UnsafePointer(a.qkv) + c.attentionWidth
        var keyStride = c.qkvWidth
        if let cache = pass.cache {
            cache.append(layer, keys, sourceStride: keyStride, count: pass.tokens)
            keys = UnsafePointer(cache.keys(layer))
            keyStride = cache.stride
        }
        pass.attention.forward(
            context, q: a.qkv, stride: c.qkvWidth, k: keys, v: keys + c.keyValueHeads * c.headSize,
            keyStride: keyStride, into: a.attention, logSums: a.logSums, scratch: pass.activations.scratch,
            scratchStride: pass.activations.scratchStride)
    }

    private func copy(_ source: UnsafePointer<Float>, to target: UnsafeMutablePointer<Float>, rows: Int) {
        let width = configuration.hiddenSize
        context.forRows(rows, width: width) { block in
            (target + block.lowerBound * width).update(
                from: source + block.lowerBound * width, count: block.count * width)
        }
    }

    private func activate(_ a: Activations.Block, rows: Int) {
        let inner = configuration.intermediateSize
        let width = configuration.preactivationWidth
        context.forRows(rows, width: width) { block in
            let x = a.preactivation + block.lowerBound * width
            let y = a.activation + block.lowerBound * inner
            switch configuration.feedForward {
            case .gelu: context.kernels.pointee.gelu_forward(y, x, block.count * inner)
            case .swiglu: context.kernels.pointee.swiglu_forward(y, x, block.count, inner)
            }
        }
    }

    /// The gradient of the activation function: `innerGradient` (N, I) → `wideGradient` (N, preactivation).
    private func activateBackward(_ a: Activations.Block, _ activations: Activations, rows: Int) {
        let inner = configuration.intermediateSize
        let width = configuration.preactivationWidth
        context.forRows(rows, width: width) { block in
            let x = a.preactivation + block.lowerBound * width
            let dy = activations.innerGradient + block.lowerBound * inner
            let dx = activations.wideGradient + block.lowerBound * width
            switch configuration.feedForward {
            case .gelu: context.kernels.pointee.gelu_backward(dx, dy, x, block.count * inner)
            case .swiglu: context.kernels.pointee.swiglu_backward(dx, dy, x, block.count, inner)
            }
        }
    }

    /// Projections that read the same x: their weights' gradients, and the sum of the gradients for x.
    private func backward(
        _ projections: [ModelLayout.Placed], _ w: UnsafePointer<Float>,
        _ gradients: GradientTarget, x: UnsafePointer<Float>, _ dy: UnsafePointer<Float>,
        stride: Int, rows: Int, into dx: UnsafeMutablePointer<Float>
    ) {
        for (index, projection) in projections.enumerated() {
            let dy = dy + projection.column
            projection.linear.backwardWeight(
                context, w, gradients, x: x, dy, stride: stride, rows: rows)
            projection.linear.backwardInput(
                context, w, dy, stride: stride, rows: rows, into: dx, accumulate: index > 0)
        }
    }
}
