// SPDX-License-Identifier: Apache-2.0

/// What a training step minimises: a method of unlearning, or plain learning.
///
/// The ``Trainer`` owns the loop (order of the data, optimiser, stop rules, reports) and asks the objective, once
/// for each step, for the gradient of its loss over the step's batches and for the figures to report. A method that
/// weighs likelihoods (NPO, SimNPO, DPO, WGA, SatImp) goes through
/// ``Transformer/accumulateWeightedGradients(_:into:_:)``, one with a loss of its own on the logits (UNDIAL, CE-U,
/// PDU) through ``Transformer/accumulateLogitGradients(_:reference:into:_:)``; one that looks at the gradient
/// elsewhere first (SAM) moves `model.parameters` and puts them back before it returns.
package protocol Objective: AnyObject {
    /// Buffers as large as the parameters that it holds besides the trainer's weights, gradients and moments.
    var copies: Int { get }

    /// Further memory that it holds, bytes.
    var cachedBytes: Int { get }

    /// What a step has in memory beside the rows of a part, one for each; `nil` for nothing.
    var otherAnswers: RowSizes? { get }

    /// Whether its steps need nothing of the model but losses and their weighted sums' gradients, which a card gives too.
    var runsOnCard: Bool { get }

    /// What it carries from step to step, in an order of its own: a training checkpoint keeps these numbers and
    /// nothing else of it.
    var state: [Double] { get set }

    /// Called once, with the weights as they are before the first step (also when a run is continued later): the
    /// place to copy the reference or to take its scores.
    ///
    /// - Parameter progress: To be called with rows done and in all; throwing cancels.
    /// - Throws: ``EngineError``; what `progress` throws.
    func begin(_ model: Transformer, progress: (_ done: Int, _ total: Int) throws -> Void) throws

    /// Adds the gradient of the loss over the step's batches to `gradients`, which are zero at first.
    ///
    /// Means are over the whole step, whatever parts its batches are cut into; of several ranks each gives its summands
    /// of gradient and losses.
    /// - Throws: ``EngineError``.
    func accumulate(_ step: StepBatches, _ model: Transformer, into gradients: FloatStorage) throws
        -> StepLosses

    /// Called after the optimiser's step with the losses of all ranks, for what changes from step to step.
    func finish(_ position: StepPosition, _ losses: StepLosses)
}

extension Objective {
    package var copies: Int { 0 }
    package var cachedBytes: Int { 0 }
    package var otherAnswers: RowSizes? { nil }
    package var runsOnCard: Bool { true }
    package var state: [Double] {
        get { [] }
        set { precondition(newValue.isEmpty, "this objective has no state") }
    }
    package func begin(_ model: Transformer, progress: (_ done: Int, _ total: Int) throws -> Void) throws {}
    package func finish(_ position: StepPosition, _ losses: StepLosses) {}
}

/// Which step of a run it is.
package struct StepPosition: Sendable, Hashable {
    /// Counts from 1 over the whole run.
    package var number: Int
    /// Steps planned in all.
    package var total: Int
    /// Counts from 1.
    package var epoch: Int
    /// Steps planned for each epoch.
    package var stepsPerEpoch: Int

    /// A step of a run.
    package init(number: Int, total: Int, epoch: Int, stepsPerEpoch: Int) {
        self.number = number
        self.total = total
        self.epoch = epoch
        self.stepsPerEpoch = stepsPerEpoch
    }
}

/// The figures of one step, taken before its update.
package struct StepLosses: Sendable, Hashable {
    /// What was minimised.
    package var loss: Double
    /// The forget batch's mean negative log-likelihood per labelled token, nats; what stop rules look at.
    package var forget: Double?
    /// The same of the retain batch, or what stands for it (a divergence).
    package var retain: Double?
    /// Further figures of the method, by name: sums over rows or means, as the losses are.
    package var figures: [String: Double]
    /// Numbers that the step was made with, by name.
    package var settings: [String: Double] = [:]

    /// The figures of a step.
    package init(
        loss: Double, forget: Double? = nil, retain: Double? = nil, figures: [String: Double] = [:]
    ) {
        self.loss = loss
        self.forget = forget
        self.retain = retain
        self.figures = figures
    }
}
