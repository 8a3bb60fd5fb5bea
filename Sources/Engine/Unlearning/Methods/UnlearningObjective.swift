// SPDX-License-Identifier: Apache-2.0

/// What every gradient method minimises: a weighted sum of a term over the forget batch and one over the retain batch.
///
/// With a sharpness radius ρ the forget gradient is taken not at the weights θ but uphill of the forget loss, at
/// θ + ρ · g/‖g‖₂ (over all that is trained), so that a small step back does not undo the forgetting; the retain gradient
/// stays at θ. Sharpness-aware minimisation (Foret et al., arXiv 2010.01412) as Fan et al. use it against relearning
/// (arXiv 2502.05374).
package final class UnlearningObjective: Objective {
    private let forget: any LossTerm
    private let retain: (any LossTerm)?
    private var weights: LossWeights
    private let sharpness: Double?
    private let dual: DualWeight?

    /// - Parameters:
    ///   - retain: What holds the retain batch, where steps have one.
    ///   - sharpness: ρ, positive.
    ///   - dual: How the retain term's weight changes from step to step.
    package init(
        forget: any LossTerm, retain: (any LossTerm)?, weights: LossWeights, sharpness: Double? = nil,
        dual: DualWeight? = nil
    ) {
        self.forget = forget
        self.retain = retain
        self.weights = weights
        self.sharpness = sharpness
        self.dual = dual
    }

    package var copies: Int { forget.copies + (retain?.copies ?? 0) + (sharpness == nil ? 0 : 1) }
    package var cachedBytes: Int { forget.cachedBytes + (retain?.cachedBytes ?? 0) }
    package var otherAnswers: RowSizes? { forget.otherAnswers }
    package var runsOnCard: Bool {
        forget.runsOnCard && retain?.runsOnCard ?? true && sharpness == nil
    }

    /// The retain term's weight, where it changes.
    package var state: [Double] {
        get { dual == nil ? [] : [weights.retain] }
        set { if let weight = newValue.first, dual != nil { weights.retain = weight } }
    }

    package func begin(_ model: Transformer, progress: (_ done: Int, _ total: Int) throws -> Void) throws {
        try forget.begin(model, progress: progress)
        try retain?.begin(model, progress: progress)
    }

    package func accumulate(_ step: StepBatches, _ model: Transformer, into gradients: FloatStorage) throws
        -> StepLosses
    {
        var losses = StepLosses(loss: 0)
        if let batch = step.forget {
            if weights.forget == 0 {
                // Without weight a loss is only looked at.
                losses.forget = try batch.loss(model)
            } else {
                let loss = try forgetGradients(batch, step, model, into: gradients)
                losses.loss += weights.forget * loss.value
                losses.forget = loss.likelihood
                losses.figures["forget_term"] = loss.value
            }
        }
        if let batch = step.retain, let retain {
            // A term whose weight is 0 now may have one later.
            if weights.retain == 0, dual == nil {
                losses.retain = try batch.loss(model)
            } else {
                let loss = try retain.accumulate(
                    batch.last(of: step), at: step.position, model, scale: weights.retain, into: gradients)
                losses.retain = loss.value
                // 0 · ∞ would be NaN where the term has no say.
                if weights.retain != 0 { losses.loss += weights.retain * loss.value }
            }
            if dual != nil { losses.settings["retain_weight"] = weights.retain }
        }
        return losses
    }

    package func finish(_ position: StepPosition, _ losses: StepLosses) {
        guard let dual, let loss = losses.retain else { return }
        weights.retain = dual.next(weights.retain, retainLoss: loss, epoch: position.epoch)
    }

    private func forgetGradients(
        _ batch: StepBatch, _ step: StepBatches, _ model: Transformer, into gradients: FloatStorage
    ) throws -> TermLoss {
        let position = step.position
        // A retain term adds to the same gradients after it, if it has a say.
        let isLast = step.retain == nil || retain == nil || weights.retain == 0 && dual == nil
        let finished = isLast ? batch.last(of: step) : batch
        guard let sharpness else {
            return try forget.accumulate(
                finished, at: position, model, scale: weights.forget, into: gradients)
        }
        let loss = try forget.accumulate(batch, at: position, model, scale: 1, into: gradients)
        let ranges = model.trainable.ranges
        let weights = model.parameters
        // Uphill is where the whole batch says.
        try step.ranks.sumEverywhere(gradients, ranges, model.context)
        let norm = model.context.norm(gradients, ranges)
        let here = try model.makeBuffer()
        for range in ranges { here.copy(range, from: weights) }
        defer { for range in ranges { weights.copy(range, from: here) } }
        if norm > 0, norm.isFinite {
            let length = Float(sharpness / norm)
            for range in ranges {
                model.context.forBlocks(of: 1 << 16, in: range.count) { block, _ in
                    for index in block {
                        weights.base[range.lowerBound + index] +=
                            length * gradients.base[range.lowerBound + index]
                    }
                }
            }
        }
        gradients.clear(ranges)
        _ = try forget.accumulate(
            finished, at: position, model, scale: self.weights.forget, into: gradients)
        return loss
    }
}

extension FloatStorage {
    /// Takes the values of a range from a buffer of the same size.
    fileprivate func copy(_ range: Range<Int>, from other: FloatStorage) {
        (base + range.lowerBound).update(from: other.base + range.lowerBound, count: range.count)
    }
}
