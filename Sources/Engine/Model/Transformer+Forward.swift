// SPDX-License-Identifier: Apache-2.0

import CKernels

extension Transformer {
    /// Runs the blocks: `activations.stream(layers)` is the residual stream that leaves the last one, (N, C).
    func forward(
        _ packed: PackedBatch, _ w: UnsafePointer<Float>, _ activations: Activations,
        cache: KeyValueCache? = nil
    ) {
        let c = configuration
        let n = packed.tokens.count
        context.gather(
            w + layout.tokenEmbedding, packed.tokens, width: c.hiddenSize, into: activations.stream(0))
        if let positions = layout.positionEmbedding {
            context.gather(
                w + positions, packed.positions, width: c.hiddenSize, into: activations.stream(0),
                accumulate: true)
        }
        let attention = attention(packed)
        for (layer, block) in layout.blocks.enumerated() {
            let a = activations.block(layer)
            let x = activations.stream(layer)
            let y = activations.stream(layer + 1)

            block.attentionNorm.forward(
                context, w, x, rows: n, columns: c.hiddenSize, epsilon: c.normalizationEpsilon,
                into: a.normed,
                a.attentionStatistics)
            for input in block.inputs {
                input.linear.forward(
                    context, w, a.normed, rows: n, into: a.qkv + input.column, stride: c.qkvWidth)
            }
            rotate(packed, a.qkv, direction: 1)
            var keys = UnsafePointer(a.qkv) + c.attentionWidth
            var keyStride = c.qkvWidth
            if let cache {
                cache.append(layer, keys, sourceStride: keyStride, count: n)
                keys = UnsafePointer(cache.keys(layer))
                keyStride = cache.stride
            }
            attention.forward(
                context, q: a.qkv, stride: c.qkvWidth, k: keys, v: keys + c.keyValueHeads * c.headSize,
                keyStride: keyStride, into: a.attention, logSums: a.logSums, scratch: activations.scratch,
                scratchStride: activations.scratchStride)
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
            copy(a.middle, to: y, rows: n)
            block.down.forward(
                context, w, a.activation, rows: n, into: y, stride: c.hiddenSize, accumulate: true)
        }
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

    /// Runs the blocks backwards from `streamGradient` (N, C), the gradient of what leaves the last one.
    func backward(_ packed: PackedBatch, _ activations: Activations, _ gradients: UnsafeMutablePointer<Float>)
    {
        let c = configuration
        let w = UnsafePointer(parameters.base)
        let n = packed.tokens.count
        let attention = attention(packed)
        let dStream = activations.streamGradient
        let dNormed = activations.normGradient
        let dInner = activations.innerGradient
        let dWide = activations.wideGradient
        for (layer, block) in layout.blocks.enumerated().reversed() {
            let a = activations.block(layer)

            block.down.backwardWeight(
                context, gradients, x: a.activation, dStream, stride: c.hiddenSize, rows: n)
            block.down.backwardInput(context, w, dStream, stride: c.hiddenSize, rows: n, into: dInner)
            activateBackward(a, activations, rows: n)
            backward(
                block.up, gradients, x: a.middleNormed, dWide, stride: c.preactivationWidth, rows: n,
                into: dNormed)
            block.feedForwardNorm.backward(
                context, w, gradients, dy: dNormed, x: a.middle, a.feedForwardStatistics, rows: n,
                columns: c.hiddenSize, into: dStream)

            block.output.backwardWeight(
                context, gradients, x: a.attention, dStream, stride: c.hiddenSize, rows: n)
            block.output.backwardInput(context, w, dStream, stride: c.hiddenSize, rows: n, into: dInner)
            attention.backward(
                context, qkv: a.qkv, stride: c.qkvWidth, out: a.attention, dOut: dInner, logSums: a.logSums,
                into: dWide, scratch: activations.scratch, scratchStride: activations.scratchStride)
            rotate(packed, dWide, direction: -1)
            backward(block.inputs, gradients, x: a.normed, dWide, stride: c.qkvWidth, rows: n, into: dNormed)
            block.attentionNorm.backward(
                context, w, gradients, dy: dNormed, x: activations.stream(layer), a.attentionStatistics,
                rows: n,
                columns: c.hiddenSize, into: dStream)
        }
        context.scatterAdd(
            dStream, packed.tokens, width: c.hiddenSize, into: gradients + layout.tokenEmbedding)
        if let positions = layout.positionEmbedding {
            context.scatterAdd(dStream, packed.positions, width: c.hiddenSize, into: gradients + positions)
        }
    }

    /// Projections that read the same x: their weights' gradients, and the sum of the gradients for x.
    private func backward(
        _ projections: [ModelLayout.Placed], _ gradients: UnsafeMutablePointer<Float>,
        x: UnsafePointer<Float>,
        _ dy: UnsafePointer<Float>, stride: Int, rows: Int, into dx: UnsafeMutablePointer<Float>
    ) {
        for (index, projection) in projections.enumerated() {
            let dy = dy + projection.column
            projection.linear.backwardWeight(context, gradients, x: x, dy, stride: stride, rows: rows)
            projection.linear.backwardInput(
                context, parameters.base, dy, stride: stride, rows: rows, into: dx, accumulate: index > 0)
        }
    }
}
