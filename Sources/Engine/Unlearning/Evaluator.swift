// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Measures a model on sets of examples, teacher-forced.
package struct Evaluator {
    /// The sets that were given.
    package struct Sets: Sendable {
        package var forget: [Example]?
        package var retain: [Example]?
        package var holdout: [Example]?

        /// Sets; at least one is there.
        package init(forget: [Example]? = nil, retain: [Example]? = nil, holdout: [Example]? = nil) {
            self.forget = forget
            self.retain = retain
            self.holdout = holdout
        }

        /// How many examples there are.
        package var count: Int { (forget?.count ?? 0) + (retain?.count ?? 0) + (holdout?.count ?? 0) }
    }

    private let model: Transformer
    private let batchSize: Int

    /// An evaluator that takes `batchSize` examples of like length at a time.
    package init(_ model: Transformer, batchSize: Int = 8) {
        self.model = model
        self.batchSize = batchSize
    }

    /// The figures of the model.
    ///
    /// - Parameter progress: Called with examples done and in all; throwing cancels.
    /// - Throws: ``EngineError``; what `progress` throws.
    package func figures(
        _ sets: Sets, accuracy: AccuracyUnit,
        progress: (_ done: Int, _ total: Int) throws -> Void = { _, _ in }
    ) throws -> EvaluationFigures {
        var done = 0
        let total = sets.count
        func scores(_ examples: [Example]?) throws -> [RowScore]? {
            guard let examples else { return nil }
            return try self.scores(examples) { count in
                done += count
                try progress(done, total)
            }
        }
        try progress(0, total)
        return EvaluationFigures(
            forget: try scores(sets.forget), retain: try scores(sets.retain),
            holdout: try scores(sets.holdout),
            accuracy: accuracy)
    }

    /// The score of each row of a set, in order.
    /// - Parameter progress: Called with the number of examples that were scored since the last call.
    package func scores(_ examples: [Example], progress: (Int) throws -> Void = { _ in }) throws -> [RowScore]
    {
        var scores = [RowScore](repeating: RowScore(nll: 0, tokens: 0, correct: 0), count: examples.count)
        for (rows, batch) in Batcher.byLength(examples, batchSize: batchSize) {
            for (row, positions) in zip(rows, try model.score(batch)) {
                scores[row] = RowScore(
                    nll: positions.reduce(0) { $0 + Double($1.nll) }, tokens: positions.count,
                    correct: positions.reduce(0) { $0 + ($1.correct ? 1 : 0) })
            }
            try progress(rows.count)
        }
        return RowScore.byRow(examples, scores)
    }
}
