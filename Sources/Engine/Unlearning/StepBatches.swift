// SPDX-License-Identifier: Apache-2.0

/// What one training step sees: at least one of the two batches.
package struct StepBatches: Sendable {
    package var position: StepPosition
    /// Rows of what shall be forgotten.
    package var forget: StepBatch?
    /// Rows of what shall be kept, or learned.
    package var retain: StepBatch?

    /// The batches of a step.
    package init(position: StepPosition, forget: StepBatch? = nil, retain: StepBatch? = nil) {
        self.position = position
        self.forget = forget
        self.retain = retain
    }
}

/// One set's batch of a step, cut into parts that are worked through one after another (gradient accumulation).
///
/// A mean over the batch is one over all its parts: dividing by ``tokens`` or ``rows`` makes a step of several parts
/// the same as one of a single part, but for rounding. So transformers' Trainer divides by `num_items_in_batch`.
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

    package var parts: [Part]

    /// A batch of parts, at least one.
    package init(parts: [Part]) { self.parts = parts }

    /// Labelled tokens of all parts.
    package var tokens: Int { parts.reduce(0) { $0 + $1.batch.predictedCount } }
    /// Rows of all parts.
    package var rows: Int { parts.reduce(0) { $0 + $1.rows.count } }

    /// The mean negative log-likelihood per labelled token; no gradients.
    ///
    /// - Throws: ``EngineError`` with `.invalidBatch`.
    package func loss(_ model: Transformer) throws(EngineError) -> Double {
        var sum = 0.0
        var tokens = 0
        for part in parts {
            for score in try model.score(part.batch).joined() {
                sum += Double(score.nll)
                tokens += 1
            }
        }
        return sum / Double(tokens)
    }

    /// Adds the gradient of `scale` · mean negative log-likelihood to `gradients`, and returns the mean.
    ///
    /// - Throws: ``EngineError`` with `.invalidBatch`.
    package func accumulateGradients(
        _ model: Transformer, scale: Double, into gradients: FloatStorage
    ) throws(EngineError) -> Double {
        var sum = LossSum(nll: 0, tokens: 0)
        let tokens = tokens
        for part in parts {
            sum += try model.accumulateGradients(
                part.batch, scale: Float(scale), tokens: tokens, into: gradients)
        }
        return sum.mean
    }

    /// Adds the gradient of `scale` · mean KL(reference || model) to `gradients`, and returns the mean.
    ///
    /// - Throws: ``EngineError`` with `.invalidBatch`.
    package func accumulateDivergenceGradients(
        _ model: Transformer, reference: FloatStorage, scale: Double, into gradients: FloatStorage
    ) throws(EngineError) -> Double {
        var sum = LossSum(nll: 0, tokens: 0)
        let tokens = tokens
        for part in parts {
            sum += try model.accumulateDivergenceGradients(
                part.batch, reference: reference, scale: Float(scale), tokens: tokens, into: gradients)
        }
        return sum.mean
    }
}
