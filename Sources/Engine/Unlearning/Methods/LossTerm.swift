// SPDX-License-Identifier: Apache-2.0

/// One summand of a step's loss: what a method makes of the forget batch, or what holds the model on the retain batch.
package protocol LossTerm: AnyObject {
    /// Buffers as large as the parameters that it holds.
    var copies: Int { get }

    /// Further memory that it holds, bytes.
    var cachedBytes: Int { get }

    /// What it has in memory beside the rows of a batch, one for each; `nil` for nothing.
    var otherAnswers: RowSizes? { get }

    /// Whether it needs nothing of the model but losses and their weighted sums' gradients, which a card gives too.
    var runsOnCard: Bool { get }

    /// Called once, with the weights of the base: the place to take what is needed of it.
    ///
    /// - Parameter progress: To be called with rows done and in all; throwing cancels.
    /// - Throws: ``EngineError``; what `progress` throws.
    func begin(_ model: Transformer, progress: (_ done: Int, _ total: Int) throws -> Void) throws

    /// Adds the gradient of `scale` · this term over the whole batch to `gradients`.
    ///
    /// - Throws: ``EngineError``.
    func accumulate(
        _ batch: StepBatch, at position: StepPosition, _ model: Transformer, scale: Double,
        into gradients: FloatStorage
    ) throws -> TermLoss
}

extension LossTerm {
    package var copies: Int { 0 }
    package var cachedBytes: Int { 0 }
    package var otherAnswers: RowSizes? { nil }
    package var runsOnCard: Bool { true }
    package func begin(_ model: Transformer, progress: (_ done: Int, _ total: Int) throws -> Void) throws {}
}

/// A term's value over a batch.
package struct TermLoss: Sendable, Hashable {
    /// The term itself, without its weight.
    package var value: Double
    /// The batch's mean negative log-likelihood per labelled token, nats, where it was seen on the way.
    package var likelihood: Double?

    /// A value, and the likelihood beside it.
    package init(value: Double, likelihood: Double?) {
        self.value = value
        self.likelihood = likelihood
    }
}
