// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Gradient ascent on what shall be forgotten, descent on what shall be kept, or plain fine-tuning.
///
/// Each step minimises alpha · (−L_forget) + (1 − alpha) · L_retain, with L the mean negative log-likelihood over a
/// batch's labelled tokens, by one step of AdamW at a constant learning rate (Jang et al., arXiv 2210.01504; with
/// the retain term Maini et al., arXiv 2401.06121). With `retainLoss` `kl`, L_retain is the mean
/// KL(base ‖ model) over the retain batch's labelled places. Fine-tuning is the case of alpha 0 without a forget set.
package struct Trainer {
    /// The numbers of a run.
    package struct Settings: Sendable, Hashable {
        package var epochs: Int
        package var learningRate: Double
        /// Weight of forgetting against retaining, 0 to 1.
        package var alpha: Double
        package var retainLoss: RetainLoss
        /// The run ends before the update of the first step whose forget batch has this loss or more; that step
        /// counts for nothing.
        package var maxForgetLoss: Double?

        /// Settings; the defaults are those of the commands.
        package init(
            epochs: Int = 3, learningRate: Double = 1e-5, alpha: Double = 0.5, retainLoss: RetainLoss = .nll,
            maxForgetLoss: Double? = nil
        ) {
            self.epochs = epochs
            self.learningRate = learningRate
            self.alpha = alpha
            self.retainLoss = retainLoss
            self.maxForgetLoss = maxForgetLoss
        }
    }

    /// One step that was taken.
    package struct Step: Sendable, Hashable {
        /// Counts from 1 over the whole run.
        package var number: Int
        /// Steps planned in all.
        package var total: Int
        /// Counts from 1.
        package var epoch: Int
        /// The combined loss before the update.
        package var loss: Double
        package var forgetLoss: Double?
        package var retainLoss: Double?
    }

    /// What a run came to.
    package struct Outcome: Sendable, Hashable {
        package var epochs: [TrainingEpoch]
        package var steps: Int
        /// The forget loss that ended the run before its last step, if one did.
        package var cappedAt: Double?
    }

    private let model: Transformer
    private let data: TrainingData
    private let settings: Settings
    private let gradients: FloatStorage
    private let optimizer: AdamW
    /// The weights at the beginning, for `kl`.
    private let base: FloatStorage?

    /// Makes ready to train `model` in place: memory for gradients and moments, and for `kl` a copy of the weights.
    ///
    /// - Throws: ``EngineError`` with `.resources`.
    package init(_ model: Transformer, data: TrainingData, settings: Settings) throws(EngineError) {
        self.model = model
        self.data = data
        self.settings = settings
        gradients = try model.makeBuffer()
        optimizer = try AdamW(
            count: model.table.count, rates: AdamW.Rates(learningRate: settings.learningRate),
            context: model.context)
        if settings.retainLoss == .kl, case .pairs = data {
            let copy = try model.makeBuffer()
            copy.base.update(from: model.parameters.base, count: copy.count)
            base = copy
        } else {
            base = nil
        }
    }

    /// Trains.
    ///
    /// - Parameters:
    ///   - step: Called after each step; throwing cancels.
    ///   - epoch: Called after each epoch that took a step.
    /// - Throws: ``DivergenceError`` when a loss or a weight is not finite; ``EngineError``; what the callbacks throw.
    package func run(
        step report: (Step) throws -> Void, epoch reportEpoch: (TrainingEpoch) throws -> Void
    ) throws -> Outcome {
        var outcome = Outcome(epochs: [], steps: 0)
        let total = settings.epochs * data.stepsPerEpoch
        for epoch in 0..<settings.epochs {
            let began = ContinuousClock.now
            var sums = Sums()
            for rows in data.steps(epoch: epoch) {
                gradients.clear()
                var losses = Losses()
                if let batch = data.forgetBatch(rows) {
                    losses.forget = try forget(batch)
                    if let cap = settings.maxForgetLoss, let loss = losses.forget, loss >= cap {
                        outcome.cappedAt = loss
                        break
                    }
                }
                if let batch = data.retainBatch(rows) { losses.retain = try retain(batch) }
                let loss = combined(losses)
                guard loss.isFinite else {
                    // A NaN has a sign of its own, which says nothing.
                    let value = loss.isNaN ? "NaN" : "\(loss)"
                    throw DivergenceError("the loss became \(value) in step \(outcome.steps + 1) of \(total)")
                }
                optimizer.step(model.parameters, gradients)
                outcome.steps += 1
                sums.add(loss, losses)
                try report(
                    Step(
                        number: outcome.steps, total: total, epoch: epoch + 1, loss: loss,
                        forgetLoss: losses.forget,
                        retainLoss: losses.retain))
            }
            if sums.steps > 0 {
                let figures = sums.epoch(epoch + 1, since: began)
                outcome.epochs.append(figures)
                try reportEpoch(figures)
            }
            if outcome.cappedAt != nil { break }
        }
        let broken = UnsafeBufferPointer(model.parameters.buffer).countNotFinite()
        guard broken == 0 else { throw DivergenceError("\(broken) weights became NaN or infinite") }
        return outcome
    }

    private struct Losses {
        var forget: Double?
        var retain: Double?
    }

    private func forget(_ batch: TokenBatch) throws -> Double {
        // Without weight the loss is only looked at.
        if settings.alpha == 0 { return try loss(batch) }
        return try model.accumulateGradients(batch, scale: Float(-settings.alpha), into: gradients).mean
    }

    private func retain(_ batch: TokenBatch) throws -> Double {
        let weight: Double
        if case .learning = data { weight = 1 } else { weight = 1 - settings.alpha }
        if let base {
            return try model.accumulateDivergenceGradients(
                batch, reference: base, scale: Float(weight), into: gradients
            ).mean
        }
        if weight == 0 { return try loss(batch) }
        return try model.accumulateGradients(batch, scale: Float(weight), into: gradients).mean
    }

    private func loss(_ batch: TokenBatch) throws -> Double {
        let scores = try model.score(batch).joined()
        return scores.reduce(0) { $0 + Double($1.nll) } / Double(scores.count)
    }

    private func combined(_ losses: Losses) -> Double {
        if case .learning = data { return losses.retain ?? .nan }
        var sum = 0.0
        // 0 · ∞ would be NaN where the term has no say.
        if settings.alpha > 0 { sum -= settings.alpha * (losses.forget ?? .nan) }
        if settings.alpha < 1 { sum += (1 - settings.alpha) * (losses.retain ?? .nan) }
        return sum
    }

    /// Means over the steps of an epoch.
    private struct Sums {
        var steps = 0
        var loss = 0.0
        var forget: Double?
        var retain: Double?

        mutating func add(_ loss: Double, _ losses: Losses) {
            steps += 1
            self.loss += loss
            if let value = losses.forget { forget = (forget ?? 0) + value }
            if let value = losses.retain { retain = (retain ?? 0) + value }
        }

        func epoch(_ number: Int, since began: ContinuousClock.Instant) -> TrainingEpoch {
            let count = Double(steps)
            return TrainingEpoch(
                epoch: number, loss: loss / count, forgetLoss: forget.map { $0 / count },
                retainLoss: retain.map { $0 / count }, steps: steps,
                seconds: (ContinuousClock.now - began) / .seconds(1))
        }
    }
}
