// SPDX-License-Identifier: Apache-2.0

import CKernels

/// One decoder block, forward and backward.
///
/// With A for attention, F for the feed-forward network and norms n where the configuration places them:
///
///     sequential:  m = x + n(A(n(x)));  y = m + n(F(n(m)))
///     parallel:    y = x + A(n(x)) + F(n(x))
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

        var read = UnsafePointer(x)
        if let norm = block.attentionNorm {
            normalize(norm, pass, x, into: a.normed, a.attentionStatistics)
            read = UnsafePointer(a.normed)
        }
        for input in block.inputs.joined() {
            input.linear.forward(context, w, read, rows: n, into: a.qkv + input.column, stride: c.qkvWidth)
        }
        queryKeyValue(layer).forward(context, w, a.qkv, positions: pass.packed.positions, a.queryKeyValue)
        attend(layer, pass, a)
        pass.observer?.headsForward?(layer, pass.observed(a.attention, width: c.attentionWidth))
        // Beside each other, both add to the stream that leaves the block.
        let middle = c.residual == .sequential ? a.middle : y
        add(
            block.output, block.outputNorm, pass, a.attention, to: x, into: middle, a.output,
            a.outputStatistics)

        if c.residual != .parallelSharedNorm {
            read = c.residual == .sequential ? UnsafePointer(a.middle) : UnsafePointer(x)
            if let norm = block.feedForwardNorm {
                normalize(norm, pass, read, into: a.middleNormed, a.feedForwardStatistics)
                read = UnsafePointer(a.middleNormed)
            }
        }
        for up in block.up.joined() {
            up.linear.forward(
                context, w, read, rows: n, into: a.preactivation + up.column, stride: c.preactivationWidth)
        }
        activate(a, rows: n)
        pass.observer?.innerForward?(layer, pass.observed(a.activation, width: c.intermediateSize))
        guard y != nil || block.downNorm != nil else { return }
        add(
            block.down, block.downNorm, pass, a.activation, to: middle ?? x, into: y, a.down, a.downStatistics
        )
    }

    /// Runs block `layer` backwards: `streamGradient` (N, C) goes from the gradient of the stream that leaves it to
    /// that of the stream that enters it; the gradients of its parameters are added to `gradients`.
    func backward(_ layer: Int, _ pass: BlockPass, _ gradients: GradientTarget) {
        let c = configuration
        let block = layout.blocks[layer]
        let activations = pass.activations
        let a = activations.block(layer)
        let x = activations.stream(layer)
        let w = pass.weights
        let n = pass.tokens
        let dStream = activations.streamGradient
        let dNormed = activations.normGradient
        let dInner = activations.innerGradient
        let dWide = activations.wideGradient

        added(block.down, block.downNorm, pass, a.activation, a.down, a.downStatistics, gradients)
        pass.observer?.inner?(
            layer, pass.observed(a.activation, width: c.intermediateSize),
            pass.observed(dInner, width: c.intermediateSize))
        activateBackward(a, activations, rows: n)
        let feedForwardInput = c.residual == .sequential ? a.middle : x
        // Without a norm the gradient of what was read is one of the stream itself.
        let isShared = c.residual == .parallelSharedNorm
        let readsNormed = isShared || block.feedForwardNorm != nil
        backward(
            block.up, w, gradients,
            x: isShared ? a.normed : readsNormed ? a.middleNormed : feedForwardInput, dWide,
            stride: c.preactivationWidth, rows: n, into: readsNormed ? dNormed : dStream,
            accumulate: !readsNormed)
        func feedForwardNormBackward() {
            block.feedForwardNorm?.backward(
                context, w, gradients, dy: dNormed, x: feedForwardInput, a.feedForwardStatistics, rows: n,
                columns: c.hiddenSize, into: dStream)
        }
        if c.residual == .sequential { feedForwardNormBackward() }

        added(block.output, block.outputNorm, pass, a.attention, a.output, a.outputStatistics, gradients)
        // Beside attention the network's input adds its gradient only now: attention's output had the same one as
        // the network's.
        if c.residual == .parallel { feedForwardNormBackward() }
        pass.observer?.heads?(
            layer, pass.observed(a.attention, width: c.attentionWidth),
            pass.observed(dInner, width: c.attentionWidth))
        attention(layer, pass).backward(
            context, qkv: a.qkv, out: a.attention, dOut: dInner, logSums: a.logSums, into: dWide,
            scratch: activations.scratch, scratchStride: activations.scratchStride)
        queryKeyValue(layer).backward(
            context, w, gradients, dWide, positions: pass.packed.positions, a.queryKeyValue,
            scratch: activations.scratch, scratchStride: activations.scratchStride)
        guard let norm = block.attentionNorm else {
            backward(
                block.inputs, w, gradients, x: x, dWide, stride: c.qkvWidth, rows: n, into: dStream,
                accumulate: true)
            return
        }
        backward(
            block.inputs, w, gradients, x: a.normed, dWide, stride: c.qkvWidth, rows: n, into: dNormed,
            accumulate: isShared)
        norm.backward(
            context, w, gradients, dy: dNormed, x: x, a.attentionStatistics, rows: n, columns: c.hiddenSize,
            into: dStream)
    }

    private func normalize(
        _ norm: Norm, _ pass: BlockPass, _ x: UnsafePointer<Float>, into y: UnsafeMutablePointer<Float>,
        _ statistics: Norm.Statistics
    ) {
        norm.forward(
            context, pass.weights, x, rows: pass.tokens, columns: configuration.hiddenSize,
            epsilon: configuration.normalizationEpsilon, into: y, statistics)
    }

    /// sum = stream + projection(inner), or stream + norm(projection(inner)) with the projection kept in `projected`.
    ///
    /// - Parameter sum: `nil` where only `projected` is wanted.
    private func add(
        _ projection: Linear, _ norm: Norm?, _ pass: BlockPass, _ inner: UnsafePointer<Float>,
        to stream: UnsafePointer<Float>, into sum: UnsafeMutablePointer<Float>?,
        _ projected: UnsafeMutablePointer<Float>, _ statistics: Norm.Statistics
    ) {
        let width = configuration.hiddenSize
        let n = pass.tokens
        guard let norm else {
            guard let sum else { return }
            if UnsafePointer(sum) != stream {
                context.forRows(n, width: width) { block in
                    let start = block.lowerBound * width
                    (sum + start).update(from: stream + start, count: block.count * width)
                }
            }
            projection.forward(
                context, pass.weights, inner, rows: n, into: sum, stride: width, accumulate: true)
            return
        }
        projection.forward(context, pass.weights, inner, rows: n, into: projected, stride: width)
        guard let sum else {
            // The statistics are kept from this pass, so they are made again; the output is not needed.
            normalize(norm, pass, projected, into: pass.activations.normGradient, statistics)
            return
        }
        normalize(norm, pass, projected, into: sum, statistics)
        context.forRows(n, width: width) { block in
            let start = block.lowerBound * width
            context.kernels.pointee.accumulate(sum + start, stream + start, block.count * width)
        }
    }

    /// The gradient of `add`: `streamGradient` (N, C) → `innerGradient`, with the parameters' gradients. The stream's
    /// own gradient stays as it is.
    private func added(
        _ projection: Linear, _ norm: Norm?, _ pass: BlockPass, _ inner: UnsafePointer<Float>,
        _ projected: UnsafePointer<Float>, _ statistics: Norm.Statistics,
        _ gradients: GradientTarget
    ) {
        let width = configuration.hiddenSize
        let n = pass.tokens
        let activations = pass.activations
        var gradient = activations.streamGradient
        if let norm {
            gradient = activations.normGradient
            context.forRows(n, width: width) { block in
                (gradient + block.lowerBound * width).update(repeating: 0, count: block.count * width)
            }
            norm.backward(
                context, pass.weights, gradients, dy: activations.streamGradient, x: projected, statistics,
                rows: n, columns: width, into: gradient)
        }
        projection.backwardWeight(
            context, pass.weights, gradients, x: inner, gradient, stride: width, rows: n)
        projection.backwardInput(
            context, pass.weights, gradient, stride: width, rows: n, into: activations.innerGradient)
    }

    /// `a.qkv` → `a.attention`, with the keys and values of the cache before, if there is one.
    private func attend(_ layer: Int, _ pass: BlockPass, _ a: Activations.Block) {
        let c = configuration
        var cached: Attention.Keys?
        if let cache = pass.cache {
            cache.append(layer, pass.packed.sequences, a.qkv)
            let keys = UnsafePointer(cache.keys(layer))
            cached = Attention.Keys(
                keys: keys, values: keys + c.keyWidth, stride: cache.stride, headStride: c.headSize,
                rowStride: cache.rowStride)
        }
        attention(layer, pass).forward(
            context, qkv: a.qkv, cached: cached, into: a.attention, logSums: a.logSums,
            scratch: pass.activations.scratch, scratchStride: pass.activations.scratchStride)
    }

    /// The attention of a batch in `layer`.
    private func attention(_ layer: Int, _ pass: BlockPass) -> Attention {
        Attention(
            heads: configuration.heads, keyValueHeads: configuration.keyValueHeads,
            headSize: configuration.headSize, scale: configuration.attentionScale,
            softCap: configuration.attentionSoftCap, columns: HeadColumns(configuration),
            sequences: pass.packed.sequences, tokens: pass.tokens, window: configuration.window(layer))
    }

    private func queryKeyValue(_ layer: Int) -> QueryKeyValue {
        QueryKeyValue(configuration, layout.blocks[layer], rotary: rotaryTable(layer))
    }

    private func activate(_ a: Activations.Block, rows: Int) {
        let inner = configuration.intermediateSize
        let width = configuration.preactivationWidth
        let kernels = context.kernels
        context.forRows(rows, width: width) { block in
            let x = a.preactivation + block.lowerBound * width
            let y = a.activation + block.lowerBound * inner
            switch configuration.feedForward {
            case .gelu: kernels.pointee.gelu_forward(y, x, block.count * inner)
            case .exactGELU: kernels.pointee.gelu_erf_forward(y, x, block.count * inner)
            case .swiglu: kernels.pointee.swiglu_forward(y, x, block.count, inner)
            case .geglu: kernels.pointee.geglu_forward(y, x, block.count, inner)
            }
        }
    }

    /// The gradient of the activation function: `innerGradient` (N, I) → `wideGradient` (N, preactivation).
    private func activateBackward(_ a: Activations.Block, _ activations: Activations, rows: Int) {
        let inner = configuration.intermediateSize
        let width = configuration.preactivationWidth
        let kernels = context.kernels
        context.forRows(rows, width: width) { block in
            let x = a.preactivation + block.lowerBound * width
            let dy = activations.innerGradient + block.lowerBound * inner
            let dx = activations.wideGradient + block.lowerBound * width
            switch configuration.feedForward {
            case .gelu: kernels.pointee.gelu_backward(dx, dy, x, block.count * inner)
            case .exactGELU: kernels.pointee.gelu_erf_backward(dx, dy, x, block.count * inner)
            case .swiglu: kernels.pointee.swiglu_backward(dx, dy, x, block.count, inner)
            case .geglu: kernels.pointee.geglu_backward(dx, dy, x, block.count, inner)
            }
        }
    }

    /// Projections that read the same x: their weights' gradients, and the sum of the gradients for x.
    private func backward(
        _ projections: [ModelLayout.Placed], _ w: UnsafePointer<Float>,
        _ gradients: GradientTarget, x: UnsafePointer<Float>, _ dy: UnsafePointer<Float>,
        stride: Int, rows: Int, into dx: UnsafeMutablePointer<Float>, accumulate: Bool
    ) {
        let joined = projections.joined { (gradients[$0.weight] == nil) == (gradients[$1.weight] == nil) }
        for (index, projection) in joined.enumerated() {
            let dy = dy + projection.column
            projection.linear.backwardWeight(
                context, w, gradients, x: x, dy, stride: stride, rows: rows)
            projection.linear.backwardInput(
                context, w, dy, stride: stride, rows: rows, into: dx, accumulate: accumulate || index > 0)
        }
    }
}
