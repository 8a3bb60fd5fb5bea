// SPDX-License-Identifier: Apache-2.0

/// What one training step sees: at least one of the two batches.
package struct StepBatches: Sendable {
    package var position: StepPosition
    /// Rows of what shall be forgotten.
    package var forget: StepBatch?
    /// Rows of what shall be kept, or learned.
    package var retain: StepBatch?
    /// Who works on the step.
    package var ranks: Ranks
    /// What the ranks' sums of gradients are begun with; to be given to the batch that adds gradients last.
    var exchange: GradientExchange?

    /// The batches of a step.
    package init(
        position: StepPosition, forget: StepBatch? = nil, retain: StepBatch? = nil, ranks: Ranks = .alone
    ) {
        self.position = position
        self.forget = forget
        self.retain = retain
        self.ranks = ranks
    }
}

/// One set's batch of a step, cut into parts that are worked through one after another (gradient accumulation).
///
/// A mean over the batch is one over all its parts: dividing by ``tokens`` or ``rows`` makes a step of several parts
/// the same as one of a single part, but for rounding. So transformers' Trainer divides by `num_items_in_batch`.
/// Where several ranks share a batch, each has parts of its own rows, perhaps none, and divides by the numbers of the
/// whole: the ranks' sums then add up to the mean.
package struct StepBatch: Sendable {
    /// Rows that are in memory together.
    package struct Part: Sendable {
        /// Their places in the set, counted from 0: what scores of a reference are kept by.
        package var rows: [Int]
        package var batch: TokenBatch

        /// Rows with their places in the set.
        package init(rows: [Int], batch: TokenBatch) {
            self.rows = rows
            self.batch = batch
        }
    }

    /// What this rank computes.
    package let parts: [Part]
    /// The places of the rows of the whole batch, those of other ranks among them.
    package let places: [Int]
    /// Labelled tokens of the whole batch.
    package let tokens: Int
    /// Learns block by block which gradients are done, where nothing is added to them after this batch.
    var exchange: GradientExchange?

    /// A batch of parts, at least one.
    package init(parts: [Part]) {
        self.init(
            parts: parts, places: parts.flatMap(\.rows),
            tokens: parts.reduce(0) { $0 + $1.batch.predictedCount })
    }

    /// One rank's parts of a batch.
    package init(parts: [Part], places: [Int], tokens: Int) {
        self.parts = parts
        self.places = places
        self.tokens = tokens
    }

    /// Rows of the whole batch.
    package var rows: Int { places.count }

    /// The mean negative log-likelihood per labelled token, of several ranks this one's summand; no gradients.
    ///
    /// - Throws: ``EngineError`` with `.invalidBatch`.
    package func loss(_ model: Transformer) throws(EngineError) -> Double {
        var sum = 0.0
        for part in parts {
            for score in try model.score(part.batch).joined() { sum += Double(score.nll) }
        }
        return sum / Double(tokens)
    }

    /// Adds the gradient of `scale` · mean negative log-likelihood to `gradients`, and returns the mean; of several
    /// ranks this one's summands.
    ///
    /// - Throws: ``EngineError`` with `.invalidBatch`.
    package func accumulateGradients(
        _ model: Transformer, scale: Double, into gradients: FloatStorage
    ) throws(EngineError) -> Double {
        var sum = LossSum(nll: 0, tokens: 0)
        for (index, part) in parts.enumerated() {
            sum += try finishing(index, model) { () throws(EngineError) -> LossSum in
                try model.accumulateGradients(
                    part.batch, scale: Float(scale), tokens: tokens, into: gradients)
            }
        }
        return sum.nll / Double(tokens)
    }

    /// The batch as the last one that adds gradients in its step.
    func last(of step: StepBatches) -> StepBatch {
        var batch = self
        batch.exchange = step.exchange
        return batch
    }

    /// Runs the only backward pass of a part; if it is the last one, the exchange is told of each block that is done.
    func finishing<Result, Failure: Error>(
        _ part: Int, _ model: Transformer, _ body: () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        model.exchange = part == parts.count - 1 ? exchange : nil
        defer { model.exchange = nil }
        return try body()
    }
}
