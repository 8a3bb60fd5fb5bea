// SPDX-License-Identifier: Apache-2.0

/// Losses over the vocabulary on the card: `Transformer+Losses`, with the same names for the same things. Only scored places
/// get logits, and only some rows of them are in memory at a time.
extension CUDAModel {
    /// How each labelled token is predicted, in order.
    func score(_ packed: PackedBatch, moments: Bool) throws(EngineError) -> [PositionScore] {
        let pass = try pass(packed, training: false)
        try forward(pass)
        try normScored(pass)
        for range in chunks(pass) {
            try logits(pass, range)
            try crossEntropy(pass, range, moments: moments)
        }
        var scores = try scores(pass)
        if moments {
            let pairs = try card.values(pass.buffers.moments.address, count: 2 * scores.count, like: Float(0))
            for index in scores.indices {
                scores[index].moments = LogMoments(mean: pairs[2 * index], variance: pairs[2 * index + 1])
            }
        }
        return scores
    }

    /// Adds the gradient of `scale` · the sum of the losses, and returns how each label is predicted.
    func likelihoodGradients(_ packed: PackedBatch, scale: Float) throws(EngineError) -> [PositionScore] {
        let pass = try forwardScored(packed)
        try weigh(pass, 0..<pass.predictors, [Float](repeating: scale, count: pass.predictors))
        for range in chunks(pass) {
            try logits(pass, range)
            try crossEntropy(pass, range)
            try headBackward(pass, range)
        }
        try backwardScored(pass)
        return try scores(pass)
    }

    /// Adds the gradient of the sum of the losses, each times its weight.
    ///
    /// Where weights depend on all losses and not all logits fit into memory, the logits are computed twice.
    func weightedGradients(_ packed: PackedBatch, _ weights: TokenWeights) throws(EngineError)
        -> [PositionScore]
    {
        let pass = try forwardScored(packed)
        let chunks = chunks(pass)
        switch weights {
        case .each(let weight):
            for range in chunks {
                try logits(pass, range)
                try crossEntropy(pass, range)
                let losses = try card.values(
                    (pass.buffers.losses + range.lowerBound).address, count: range.count, like: Float(0))
                try weigh(pass, range, losses.map(weight))
                try headBackward(pass, range)
            }
        case .all(let choose):
            for range in chunks {
                try logits(pass, range)
                try crossEntropy(pass, range)
            }
            let losses = try card.values(pass.buffers.losses.address, count: pass.predictors, like: Float(0))
            let chosen = choose(packed.byRow(losses))
            precondition(
                chosen.map(\.count) == packed.targetsPerRow, "there is one weight for each labelled token")
            try weigh(pass, 0..<pass.predictors, chosen.flatMap(\.self))
            for range in chunks {
                if chunks.count > 1 { try logits(pass, range) }
                try headBackward(pass, range)
            }
        }
        try backwardScored(pass)
        return try scores(pass)
    }

    // MARK: Parts

    /// Runs the blocks over a batch and normalises the scored places.
    private func forwardScored(_ packed: PackedBatch) throws(EngineError) -> Pass {
        let pass = try pass(packed, training: true)
        try forward(pass)
        try normScored(pass)
        return pass
    }

    private func normScored(_ pass: Pass) throws(EngineError) {
        let c = configuration
        let buffers = pass.buffers
        try program.launch(
            "gather_rows", blocks: pass.predictors, .floats(buffers.scored),
            .floats(buffers.stream(c.layers)), .integers(pass.batch.predictors.place), .int(c.hiddenSize))
        try normalize(
            layout.finalNorm, buffers.scored, rows: pass.predictors, into: buffers.scoredNormed,
            buffers.scoredMean, buffers.scoredDeviation)
    }

    /// Equal groups of rows whose logits fit into memory.
    private func chunks(_ pass: Pass) -> [Range<Int>] {
        let count = pass.predictors
        let parts = (count + pass.buffers.plan.logitRows - 1) / pass.buffers.plan.logitRows
        let rows = parts > 0 ? (count + parts - 1) / parts : 1
        return stride(from: 0, to: count, by: rows).map { $0..<min(count, $0 + rows) }
    }

    private func logits(_ pass: Pass, _ range: Range<Int>) throws(EngineError) {
        try project(
            layout.head, pass.buffers.scoredNormed + range.lowerBound * configuration.hiddenSize,
            rows: range.count, into: .floats(pass.buffers.logits), stride: pass.buffers.plan.logitStride)
    }

    private func crossEntropy(_ pass: Pass, _ range: Range<Int>, moments: Bool = false) throws(EngineError) {
        let b = pass.buffers
        let start = range.lowerBound
        try program.launch(
            "cross_entropy", blocks: range.count, .floats(b.losses + start), .integers(b.hits + start),
            .floats(b.maxima + start), .floats(b.sums + start),
            .floats(moments ? b.moments + 2 * start : nil), .floats(b.logits), .int(b.plan.logitStride),
            .int(configuration.vocabularySize), .integers(pass.batch.targets.place + start))
    }

    private func weigh(_ pass: Pass, _ range: Range<Int>, _ weights: [Float]) throws(EngineError) {
        let target = (pass.buffers.weights + range.lowerBound).address
        let result = weights.withUnsafeBufferPointer { weights in
            Result { () throws(EngineError) in try card.upload(weights, to: target) }
        }
        try result.get()
    }

    /// From the logits' weighted losses to the gradients of the head's weights and of the scored places.
    private func headBackward(_ pass: Pass, _ range: Range<Int>) throws(EngineError) {
        let c = configuration
        let b = pass.buffers
        let start = range.lowerBound
        let stride = b.plan.logitStride
        try program.launch(
            "cross_entropy_backward", blocks: range.count, .halves(b.logitGradient), .floats(b.logits),
            .int(stride), .int(c.vocabularySize), .integers(pass.batch.targets.place + start),
            .floats(b.maxima + start), .floats(b.sums + start), .floats(b.weights + start))
        try addWeightGradient(
            layout.head, x: b.scoredNormed + start * c.hiddenSize, b.logitGradient, stride: stride,
            rows: range.count)
        // Over whole aligned rows: the gradients of the logits that fill them up are zero, and the rows of the head that
        // they meet are whatever weights follow it, or the zeros behind the last one.
        try products.multiply(
            range.count, c.hiddenSize, stride, CUDAProducts.Operand(base: b.logitGradient, stride: stride),
            CUDAProducts.Operand(base: halves + layout.head.weight, stride: c.hiddenSize),
            into: .floats(b.scoredGradient + start * c.hiddenSize), stride: c.hiddenSize)
    }

    /// Through the last norm back to the residual stream, where places that are not scored get zero, and through the
    /// blocks.
    private func backwardScored(_ pass: Pass) throws(EngineError) {
        let c = configuration
        let b = pass.buffers
        try card.clear(b.scoredSum.address, bytes: 4 * pass.predictors * c.hiddenSize)
        try normalizeBackward(
            layout.finalNorm, pass, dy: b.scoredGradient, x: b.scored, b.scoredMean, b.scoredDeviation,
            rows: pass.predictors, into: b.scoredSum, nil)
        try program.launch(
            "spread_rows", blocks: pass.tokens, .floats(b.streamGradient), .halves(b.streamHalves),
            .floats(b.scoredSum), .integers(pass.batch.sources.place), .int(c.hiddenSize))
        try backward(pass)
    }

    private func scores(_ pass: Pass) throws(EngineError) -> [PositionScore] {
        let losses = try card.values(pass.buffers.losses.address, count: pass.predictors, like: Float(0))
        let hits = try card.values(pass.buffers.hits.address, count: pass.predictors, like: Int32(0))
        return zip(losses, hits).map { PositionScore(nll: $0, correct: $1 != 0) }
    }
}
