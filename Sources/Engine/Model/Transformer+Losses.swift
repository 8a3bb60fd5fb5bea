// SPDX-License-Identifier: Apache-2.0

import CKernels

/// Losses over the vocabulary. Only scored places get logits, and only some rows of them are in memory at a time.
extension Transformer {
    /// Gathers what leaves the last block at the scored places and normalises it: `scored` and `scoredNormed`.
    ///
    /// - Parameter blocks: How many blocks the stream has gone through; all unless given.
    func normScored(
        _ packed: PackedBatch, _ w: UnsafePointer<Float>, _ activations: Activations, after blocks: Int? = nil
    ) {
        let c = configuration
        let places = packed.predictors.map { Int32($0) }
        context.gather(
            activations.stream(blocks ?? c.layers), places, width: c.hiddenSize, into: activations.scored)
        layout.finalNorm.forward(
            context, w, activations.scored, rows: places.count, columns: c.hiddenSize,
            epsilon: c.normalizationEpsilon,
            into: activations.scoredNormed, activations.scoredStatistics)
    }

    /// Loss and hit of each label; no gradients.
    func likelihoods(_ packed: PackedBatch, _ activations: Activations) -> [ck_row_loss] {
        losses(packed, activations) { range, losses in
            crossEntropy(packed, activations, range, scale: 0, losses)
        }
    }

    /// The same with the moments of ln p if wished.
    func scores(_ packed: PackedBatch, _ activations: Activations, moments: Bool) -> [PositionScore] {
        let none = ck_log_moments(mean: 0, variance: 0)
        var taken = [ck_log_moments](repeating: none, count: moments ? packed.targets.count : 0)
        let rows = taken.withUnsafeMutableBufferPointer { buffer in
            nonisolated(unsafe) let taken = buffer.baseAddress
            return losses(packed, activations) { range, losses in
                crossEntropy(packed, activations, range, scale: 0, losses)
                guard moments, let taken else { return }
                let v = configuration.vocabularySize
                context.forBlocks(of: 4, in: range.count) { block, _ in
                    for row in block {
                        taken[range.lowerBound + row] = context.kernels.pointee.log_moments(
                            activations.logits + row * v, v)
                    }
                }
            }
        }
        return rows.enumerated().map { index, row in
            PositionScore(
                nll: row.loss, correct: row.correct != 0,
                moments: moments
                    ? LogMoments(mean: taken[index].mean, variance: taken[index].variance) : nil)
        }
    }

    /// Losses of the labels; the gradient of their sum times `scale` goes into the head's weights and
    /// `streamGradient`.
    func likelihoodGradients(
        _ packed: PackedBatch, _ activations: Activations, scale: Float,
        _ gradients: GradientTarget
    ) -> [ck_row_loss] {
        let result = losses(packed, activations) { range, losses in
            crossEntropy(packed, activations, range, scale: scale, losses)
            headBackward(activations, range, gradients)
        }
        scatterScored(packed, activations, gradients)
        return result
    }

    /// Losses of the labels; the gradient of the sum of their losses, each times its weight, goes into the head's
    /// weights and `streamGradient`.
    ///
    /// Where weights depend on all losses and not all logits fit into memory, the logits are computed twice.
    func weightedGradients(
        _ packed: PackedBatch, _ activations: Activations, _ weights: TokenWeights,
        _ gradients: GradientTarget
    ) -> [ck_row_loss] {
        let result: [ck_row_loss]
        switch weights {
        case .each(let weight):
            result = losses(packed, activations) { range, losses in
                crossEntropy(packed, activations, range, scale: 0, losses)
                weigh(packed, activations, range) { weight(losses[$0].loss) }
                headBackward(activations, range, gradients)
            }
        case .all(let choose):
            result = likelihoods(packed, activations)
            let chosen = choose(packed.byRow(result.map(\.loss)))
            precondition(
                chosen.map(\.count) == packed.targetsPerRow, "there is one weight for each labelled token")
            let flat = chosen.flatMap(\.self)
            let all = 0..<packed.targets.count
            if all.count <= activations.logitRows {
                weigh(packed, activations, all) { flat[$0] }
                headBackward(activations, all, gradients)
            } else {
                _ = losses(packed, activations) { range, losses in
                    weigh(packed, activations, range) { flat[$0] }
                    losses.advanced(by: range.lowerBound).update(
                        repeating: ck_row_loss(), count: range.count)
                    headBackward(activations, range, gradients)
                }
            }
        }
        scatterScored(packed, activations, gradients)
        return result
    }

    /// Losses that `loss` makes of the logits, and of those of a reference whose normalised output at the scored
    /// places is `base` (P, C); the gradient that it leaves goes into the head's weights and `streamGradient`.
    func logitGradients(
        _ packed: PackedBatch, _ activations: Activations, base: UnsafePointer<Float>?,
        _ reference: UnsafePointer<Float>?, _ gradients: GradientTarget,
        _ loss: (LogitRow) -> Float
    ) -> [ck_row_loss] {
        let v = configuration.vocabularySize
        let places = packed.places
        let result = losses(packed, activations) { range, losses in
            if let base, let reference {
                project(
                    reference, base + range.lowerBound * configuration.hiddenSize, rows: range.count,
                    into: activations.referenceLogits)
            }
            context.forBlocks(of: 4, in: range.count, as: .loss) { block, _ in
                for index in block {
                    let (row, place) = places[range.lowerBound + index]
                    let value = loss(
                        LogitRow(
                            logits: UnsafeMutableBufferPointer(
                                start: activations.logits + index * v, count: v),
                            reference: UnsafeMutableBufferPointer(
                                start: activations.referenceLogits + index * v, count: base == nil ? 0 : v
                            ),
                            target: Int(packed.targets[range.lowerBound + index]), row: row, place: place)
                    )
                    losses[range.lowerBound + index] = ck_row_loss(loss: value, correct: 0)
                }
            }
            headBackward(activations, range, gradients)
        }
        scatterScored(packed, activations, gradients)
        return result
    }

    /// Turns logits in place into the gradient of weight · loss.
    private func weigh(
        _ packed: PackedBatch, _ activations: Activations, _ range: Range<Int>, _ weight: (Int) -> Float
    ) {
        let v = configuration.vocabularySize
        context.forBlocks(of: 4, in: range.count, as: .loss) { block, _ in
            for row in block {
                let logits = activations.logits + row * v
                let weight = weight(range.lowerBound + row)
                if weight == 0 {
                    // The kernel leaves the logits as they are.
                    logits.update(repeating: 0, count: v)
                } else {
                    _ = context.kernels.pointee.cross_entropy(
                        logits, v, Int(packed.targets[range.lowerBound + row]), weight)
                }
            }
        }
    }

    /// Computes the logits by groups of rows and lets `body` turn them into losses (and gradients in place).
    private func losses(
        _ packed: PackedBatch, _ activations: Activations,
        _ body: (_ range: Range<Int>, _ losses: UnsafeMutablePointer<ck_row_loss>) -> Void
    ) -> [ck_row_loss] {
        let c = configuration
        let count = packed.targets.count
        return [ck_row_loss](unsafeUninitializedCapacity: count) { buffer, initialized in
            guard let losses = buffer.baseAddress else { return }
            // Equal parts: a short last one would not repay the reading of the head.
            let parts = (count + activations.logitRows - 1) / activations.logitRows
            let rows = parts > 0 ? (count + parts - 1) / parts : 1
            for start in stride(from: 0, to: count, by: rows) {
                let range = start..<min(count, start + rows)
                project(
                    w, activations.scoredNormed + start * c.hiddenSize, rows: range.count,
                    into: activations.logits,
                    slopes: activations.size.training ? activations.logitSlopes : nil)
                body(range, losses)
            }
            initialized = count
        }
    }

    /// Logits (rows, V) of normalised rows (rows, C), capped where the configuration asks for it.
    ///
    /// - Parameter slopes: Where the caps' derivatives are kept for `headBackward`.
    func project(
        _ w: UnsafePointer<Float>, _ x: UnsafePointer<Float>, rows: Int,
        into logits: UnsafeMutablePointer<Float>, slopes: UnsafeMutablePointer<Float>? = nil
    ) {
        let v = configuration.vocabularySize
        layout.head.forward(context, w, x, rows: rows, into: logits, stride: v)
        guard let cap = configuration.finalSoftCap else { return }
        context.forRows(rows, width: v) { block in
            let start = block.lowerBound * v
            context.kernels.pointee.soft_cap(
                logits + start, slopes.map { $0 + start }, 1, cap, block.count * v)
        }
    }

    private var w: UnsafePointer<Float> { UnsafePointer(parameters.base) }

    private func crossEntropy(
        _ packed: PackedBatch, _ activations: Activations, _ range: Range<Int>, scale: Float,
        _ losses: UnsafeMutablePointer<ck_row_loss>
    ) {
        let v = configuration.vocabularySize
        context.forBlocks(of: 4, in: range.count, as: .loss) { block, _ in
            for row in block {
                losses[range.lowerBound + row] = context.kernels.pointee.cross_entropy(
                    activations.logits + row * v, v, Int(packed.targets[range.lowerBound + row]), scale)
            }
        }
    }

    /// From the logits' gradients to those of the head's weights and of the scored places.
    private func headBackward(
        _ activations: Activations, _ range: Range<Int>, _ gradients: GradientTarget
    ) {
        let c = configuration
        let offset = range.lowerBound * c.hiddenSize
        if c.finalSoftCap != nil {
            context.forRows(range.count, width: c.vocabularySize) { block in
                let start = block.lowerBound * c.vocabularySize
                context.kernels.pointee.multiply(
                    activations.logits + start, activations.logitSlopes + start,
                    block.count * c.vocabularySize)
            }
        }
        layout.head.backwardWeight(
            context, w, gradients, x: activations.scoredNormed + offset, activations.logits,
            stride: c.vocabularySize,
            rows: range.count)
        layout.head.backwardInput(
            context, w, activations.logits, stride: c.vocabularySize, rows: range.count,
            into: activations.scoredGradient + offset)
    }

    /// Through the last norm back to the residual stream; places that are not scored get zero.
    private func scatterScored(
        _ packed: PackedBatch, _ activations: Activations, _ gradients: GradientTarget
    ) {
        let c = configuration
        let count = packed.predictors.count
        // The norm adds to its target. The normalised rows are done with, so their memory becomes the target.
        let target = activations.scoredNormed
        target.update(repeating: 0, count: count * c.hiddenSize)
        layout.finalNorm.backward(
            context, w, gradients, dy: activations.scoredGradient, x: activations.scored,
            activations.scoredStatistics, rows: count, columns: c.hiddenSize, into: target)
        activations.streamGradient.update(repeating: 0, count: packed.tokens.count * c.hiddenSize)
        for (index, place) in packed.predictors.enumerated() {
            (activations.streamGradient + place * c.hiddenSize).update(
                from: target + index * c.hiddenSize, count: c.hiddenSize)
        }
    }
}
