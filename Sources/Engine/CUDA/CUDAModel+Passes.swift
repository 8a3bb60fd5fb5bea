// SPDX-License-Identifier: Apache-2.0

/// The passes through all blocks on the card: `Transformer+Forward` and `Transformer+Block`, with the same names for the
/// same things.
extension CUDAModel {
    /// A pass over a batch.
    struct Pass {
        let packed: PackedBatch
        let batch: CUDABatch
        let buffers: CUDABuffers

        /// N and P.
        var tokens: Int { packed.tokens.count }
        var predictors: Int { packed.targets.count }
    }

    /// Brings a batch to the card.
    func pass(_ packed: PackedBatch, training: Bool) throws(EngineError) -> Pass {
        let size = CUDAPlan.Size(
            tokens: packed.tokens.count, predictors: packed.targets.count,
            sequences: packed.sequences.count, training: training,
            checkpointing: training && checkpointing)
        let buffers = try buffers(for: size)
        let batch = try CUDABatch(
            packed, skipping: configuration.paddingID, card, into: buffers.integers,
            capacity: buffers.plan.integers)
        return Pass(packed: packed, batch: batch, buffers: buffers)
    }

    // MARK: Forward

    /// Runs the blocks: `buffers.stream(layers)` is the residual stream that leaves the last one, (N, C).
    func forward(_ pass: Pass) throws(EngineError) {
        let c = configuration
        try program.launch(
            "embed", blocks: pass.tokens, .floats(pass.buffers.stream(0)),
            .floats(weights + layout.tokenEmbedding), .integers(pass.batch.tokens.place),
            .floats(layout.positionEmbedding.map { weights + $0 }), .integers(pass.batch.positions.place),
            .int(pass.tokens), .int(c.hiddenSize), .float(c.embeddingScale ?? 1))
        for layer in 0..<c.layers {
            try forward(layer, pass, to: pass.buffers.stream(layer + 1))
        }
    }

    /// Runs block `layer` and writes the stream that leaves it to `y`.
    ///
    /// - Parameter y: `nil` where only what the backward pass needs is computed again.
    private func forward(_ layer: Int, _ pass: Pass, to y: CUDAFloats?) throws(EngineError) {
        let c = configuration
        let block = layout.blocks[layer]
        let a = pass.buffers.block(layer)
        let x = pass.buffers.stream(layer)
        let n = pass.tokens
        try normalize(
            block.attentionNorm, x, rows: n, into: a.normed, a.attentionMean, a.attentionDeviation)
        for input in block.inputs {
            try project(
                input.linear, a.normed, rows: n, into: .halves(a.qkv + input.column), stride: c.qkvWidth)
        }
        try rotate(a.qkv, pass, direction: 1)
        try program.launch(
            "attention_forward", blocks: pass.batch.tiles.count / 3, rows: c.heads,
            threads: Self.attentionThreads, shared: Self.tiles(3, c),
            .halves(a.attention), .floats(a.logSums), .halves(a.qkv), .int(c.qkvWidth),
            .integers(pass.batch.tiles.place), .int(n), .int(c.heads / c.keyValueHeads),
            .int(c.attentionWidth), .int(c.attentionWidth + c.keyWidth), .float(Self.scale(c)))
        try project(
            block.output, a.attention, rows: n, into: .floats(a.middle), stride: c.hiddenSize, adding: x)
        try normalize(
            block.feedForwardNorm, a.middle, rows: n, into: a.middleNormed, a.feedForwardMean,
            a.feedForwardDeviation)
        for up in block.up {
            try project(
                up.linear, a.middleNormed, rows: n, into: .halves(a.preactivation + up.column),
                stride: c.preactivationWidth)
        }
        try program.launch(
            "activation_forward", blocks: activationBlocks(n), .halves(a.activation),
            .halves(a.preactivation), .int(n), .int(c.intermediateSize), .int(activationKind))
        guard let y else { return }
        try project(
            block.down, a.activation, rows: n, into: .floats(y), stride: c.hiddenSize, adding: a.middle)
    }

    // MARK: Backward

    /// Runs the blocks backwards from `streamGradient` and `streamHalves`, down to the lowest one that is trained.
    func backward(_ pass: Pass) throws(EngineError) {
        let c = configuration
        let buffers = pass.buffers
        for layer in (0..<c.layers).reversed() {
            guard layer >= lowestTrained else { return }
            // The shared buffers hold what the last block left there; every other block is computed again.
            if checkpointing, layer < c.layers - 1 { try forward(layer, pass, to: nil) }
            try backward(layer, pass)
        }
        for (table, scatter) in [
            (layout.tokenEmbedding, pass.batch.tokenScatter),
            (layout.positionEmbedding, pass.batch.positionScatter),
        ] {
            guard let target = gradient(table) else { continue }
            try program.launch(
                "embed_backward", blocks: scatter.ids.count, .floats(target), .floats(buffers.streamGradient),
                .integers(scatter.ids.place), .integers(scatter.order.place), .integers(scatter.starts.place),
                .int(c.hiddenSize), .float(c.embeddingScale ?? 1))
        }
    }

    private func backward(_ layer: Int, _ pass: Pass) throws(EngineError) {
        let c = configuration
        let block = layout.blocks[layer]
        let buffers = pass.buffers
        let a = buffers.block(layer)
        let x = buffers.stream(layer)
        let n = pass.tokens
        let (dStream, dHalves) = (buffers.streamGradient, buffers.streamHalves)
        let (dInner, dWide, dNormed) = (buffers.innerGradient, buffers.wideGradient, buffers.normGradient)

        try projectBackward(
            block.down, pass, x: a.activation, dHalves, stride: c.hiddenSize, rows: n, into: .halves(dInner))
        try program.launch(
            "activation_backward", blocks: activationBlocks(n), .halves(dWide), .halves(dInner),
            .halves(a.preactivation), .int(n), .int(c.intermediateSize), .int(activationKind))
        for (index, up) in block.up.enumerated() {
            try projectBackward(
                up.linear, pass, x: a.middleNormed, dWide + up.column, stride: c.preactivationWidth, rows: n,
                into: .floats(dNormed), adding: index > 0 ? dNormed : nil)
        }
        try normalizeBackward(
            block.feedForwardNorm, pass, dy: dNormed, x: a.middle, a.feedForwardMean, a.feedForwardDeviation,
            rows: n, into: dStream, dHalves)

        try projectBackward(
            block.output, pass, x: a.attention, dHalves, stride: c.hiddenSize, rows: n, into: .halves(dInner))
        try attentionBackward(layer, pass, a, dOut: dInner, into: dWide)
        try rotate(dWide, pass, direction: -1)
        for (index, input) in block.inputs.enumerated() {
            try projectBackward(
                input.linear, pass, x: a.normed, dWide + input.column, stride: c.qkvWidth, rows: n,
                into: .floats(dNormed), adding: index > 0 ? dNormed : nil)
        }
        try normalizeBackward(
            block.attentionNorm, pass, dy: dNormed, x: x, a.attentionMean, a.attentionDeviation, rows: n,
            into: dStream, dHalves)
    }

    private func attentionBackward(
        _ layer: Int, _ pass: Pass, _ a: CUDABuffers.Block, dOut: CUDAHalves, into dQKV: CUDAHalves
    ) throws(EngineError) {
        let c = configuration
        let n = pass.tokens
        let deltas = pass.buffers.deltas
        try program.launch(
            "attention_deltas", blocks: (n * c.heads + CUDAProgram.warps - 1) / CUDAProgram.warps,
            .floats(deltas), .halves(a.attention), .halves(dOut), .int(n), .int(c.heads))
        for (name, heads, shared) in [
            ("attention_backward_queries", c.heads, Self.tiles(4, c)),
            ("attention_backward_keys", c.keyValueHeads, Self.tiles(4, c) + 2 * 4 * CUDAPlan.tile),
        ] {
            try program.launch(
                name, blocks: pass.batch.tiles.count / 3, rows: heads, threads: Self.attentionThreads,
                shared: shared, .halves(dQKV), .halves(a.qkv), .int(c.qkvWidth), .halves(dOut),
                .floats(a.logSums), .floats(deltas), .integers(pass.batch.tiles.place), .int(n),
                .int(c.heads / c.keyValueHeads), .int(c.attentionWidth), .int(c.attentionWidth + c.keyWidth),
                .float(Self.scale(c)), .float(c.attentionScale))
        }
    }

    // MARK: Parts

    /// `ATTENTION_THREADS` of the kernels.
    private static let attentionThreads = 128

    /// Bytes of so many tiles of a head in shared memory.
    private static func tiles(_ count: Int, _ c: ModelConfiguration) -> Int {
        count * CUDAPlan.tile * ((c.headSize + 15) / 16 * 16 + 8) * 2
    }

    /// What turns scores into exponents of two.
    private static func scale(_ c: ModelConfiguration) -> Float { c.attentionScale * 1.442_695_04 }

    /// `GELU`, `EXACT_GELU`, `SWIGLU`, `GEGLU` of the kernels.
    private var activationKind: Int {
        switch configuration.feedForward {
        case .gelu: 0
        case .exactGELU: 1
        case .swiglu: 2
        case .geglu: 3
        }
    }

    private func activationBlocks(_ rows: Int) -> Int {
        let inner = configuration.intermediateSize
        let perBlock = (inner % 8 == 0 ? 8 : 1) * CUDAProgram.threads
        return (rows * inner + perBlock - 1) / perBlock
    }

    private func rotate(_ qkv: CUDAHalves, _ pass: Pass, direction: Float) throws(EngineError) {
        guard let rotations else { return }
        let c = configuration
        // Keys stand behind queries, in heads of the same size.
        let heads = c.heads + c.keyValueHeads
        let pairs = pass.tokens * heads * (rotations.size / 2)
        try program.launch(
            "rotary", blocks: (pairs + CUDAProgram.threads - 1) / CUDAProgram.threads, .halves(qkv),
            .int(c.qkvWidth), .floats(rotations.cosines), .floats(rotations.sines),
            .integers(pass.batch.positions.place), .int(pass.tokens), .int(heads), .int(c.headSize),
            .int(rotations.size), .float(direction))
    }

    /// y(rows, C) = norm(x), rounded.
    func normalize(
        _ norm: Norm?, _ x: CUDAFloats, rows: Int, into y: CUDAHalves, _ mean: CUDAFloats,
        _ deviation: CUDAFloats
    ) throws(EngineError) {
        guard let norm else { preconditionFailure("a block without a norm was not refused") }
        try program.launch(
            "norm_forward", blocks: (rows + CUDAProgram.warps - 1) / CUDAProgram.warps, .halves(y),
            .floats(norm.isCentred ? mean : nil), .floats(deviation), .floats(x),
            .floats(norm.gamma.map { weights + $0 }), .float(norm.offset),
            .floats(norm.beta.map { weights + $0 }), .int(rows), .int(configuration.hiddenSize),
            .float(configuration.normalizationEpsilon))
    }

    /// dx += the gradient for x, also rounded to `copy`; the gradients of the norm's own parameters are added to theirs.
    func normalizeBackward(
        _ norm: Norm?, _ pass: Pass, dy: CUDAFloats, x: CUDAFloats, _ mean: CUDAFloats,
        _ deviation: CUDAFloats, rows: Int, into dx: CUDAFloats, _ copy: CUDAHalves?
    ) throws(EngineError) {
        guard let norm else { preconditionFailure("a block without a norm was not refused") }
        let columns = configuration.hiddenSize
        let mean = norm.isCentred ? mean : nil
        try program.launch(
            "norm_backward_input", blocks: (rows + CUDAProgram.warps - 1) / CUDAProgram.warps, .floats(dx),
            .halves(copy), .floats(dy), .floats(x), .floats(norm.gamma.map { weights + $0 }),
            .float(norm.offset), .floats(mean), .floats(deviation), .int(rows), .int(columns))
        let (dGamma, dBeta) = (gradient(norm.gamma), gradient(norm.beta))
        guard dGamma != nil || dBeta != nil else { return }
        let pieces = (rows + CUDAPlan.pieceRows - 1) / CUDAPlan.pieceRows
        try program.launch(
            "norm_backward_weight", blocks: (columns + 31) / 32, rows: pieces, .floats(pass.buffers.pieces),
            .floats(dy), .floats(x), .floats(mean), .floats(deviation), .int(rows), .int(columns))
        for (target, offset) in [(dGamma, 0), (dBeta, columns)] {
            guard let target else { continue }
            try addPieces(
                pass.buffers.pieces + offset, count: pieces, stride: 2 * columns, columns, to: target)
        }
    }

    private func addPieces(
        _ pieces: CUDAFloats, count: Int, stride: Int, _ columns: Int, to target: CUDAFloats
    ) throws(EngineError) {
        try program.launch(
            "add_pieces", blocks: (columns + CUDAProgram.threads - 1) / CUDAProgram.threads, .floats(target),
            .floats(pieces), .int(count), .int(stride), .int(columns))
    }

    /// y = x · W + b, or `start` + x · W + b.
    func project(
        _ linear: Linear, _ x: CUDAHalves, rows: Int, into y: CUDAProducts.Target, stride: Int,
        adding start: CUDAFloats? = nil
    ) throws(EngineError) {
        var bias: UInt64?
        if let place = linear.bias {
            if case .floats = y {
                bias = (weights + place).address
            } else {
                bias = (halves + place).address
            }
        }
        try products.multiply(
            rows, linear.outputs, linear.inputs, CUDAProducts.Operand(base: x, stride: linear.inputs),
            matrix(linear, forward: true), into: y, stride: stride, adding: start, bias: bias)
    }

    /// The gradients of W and b, as far as they are trained, and dx = dy · Wᵀ, or `start` + dy · Wᵀ.
    private func projectBackward(
        _ linear: Linear, _ pass: Pass, x: CUDAHalves, _ dy: CUDAHalves, stride: Int, rows: Int,
        into dx: CUDAProducts.Target, adding start: CUDAFloats? = nil
    ) throws(EngineError) {
        try addWeightGradient(linear, x: x, dy, stride: stride, rows: rows)
        if let target = gradient(linear.bias) {
            let pieces = (rows + CUDAPlan.pieceRows - 1) / CUDAPlan.pieceRows
            try program.launch(
                "column_sum", blocks: (linear.outputs + 31) / 32, rows: pieces, .floats(pass.buffers.pieces),
                .halves(dy), .int(stride), .int(rows), .int(linear.outputs))
            try addPieces(
                pass.buffers.pieces, count: pieces, stride: linear.outputs, linear.outputs, to: target)
        }
        try products.multiply(
            rows, linear.inputs, linear.outputs, CUDAProducts.Operand(base: dy, stride: stride),
            matrix(linear, forward: false), into: dx, stride: linear.inputs, adding: start)
    }

    /// dW += xᵀ · dy, where W is trained.
    func addWeightGradient(_ linear: Linear, x: CUDAHalves, _ dy: CUDAHalves, stride: Int, rows: Int)
        throws(EngineError)
    {
        guard let target = gradient(linear.weight) else { return }
        let own = CUDAProducts.Operand(base: x, stride: linear.inputs)
        let other = CUDAProducts.Operand(base: dy, stride: stride)
        func transposed(_ operand: CUDAProducts.Operand) -> CUDAProducts.Operand {
            CUDAProducts.Operand(base: operand.base, stride: operand.stride, transposed: true)
        }
        switch linear.layout {
        case .inputsFirst:
            try products.multiply(
                linear.inputs, linear.outputs, rows, transposed(own), other, into: .floats(target),
                stride: linear.outputs, adding: target)
        case .outputsFirst:
            try products.multiply(
                linear.outputs, linear.inputs, rows, transposed(other), own, into: .floats(target),
                stride: linear.inputs, adding: target)
        }
    }

    private func matrix(_ linear: Linear, forward: Bool) -> CUDAProducts.Operand {
        let stored = linear.layout == .inputsFirst
        return CUDAProducts.Operand(
            base: halves + linear.weight, stride: stored ? linear.outputs : linear.inputs,
            transposed: stored != forward)
    }

    /// The place of the gradient of the parameter at `offset`; `nil` where there is none, or it is frozen.
    func gradient(_ offset: Int?) -> CUDAFloats? {
        guard let offset, let training, trainable.contains(offset) else { return nil }
        return training.gradients + offset
    }
}
