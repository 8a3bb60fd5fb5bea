// SPDX-License-Identifier: Apache-2.0

extension Transformer {
    /// How each row of a set is predicted, teacher-forced, in order; windows of one row are put together.
    ///
    /// - Parameters:
    ///   - observer: Sees the passes, and may change them.
    ///   - progress: Called with the number of examples that were scored since the last call; throwing cancels.
    /// - Throws: ``EngineError``; what `progress` throws.
    package func rowScores(
        _ examples: [Example], batchSize: Int = 8, observer: PassObserver? = nil,
        progress: (Int) throws -> Void = { _ in }
    ) throws -> [RowScore] {
        var scores = [RowScore](repeating: RowScore(nll: 0, tokens: 0, correct: 0), count: examples.count)
        for (rows, batch) in Batcher.byLength(examples, batchSize: batchSize) {
            for (row, positions) in zip(rows, try score(batch, observer: observer)) {
                scores[row] = RowScore(
                    nll: positions.reduce(0) { $0 + Double($1.nll) }, tokens: positions.count,
                    correct: positions.count(where: \.correct))
            }
            try progress(rows.count)
        }
        return RowScore.byRow(examples, scores)
    }
}
