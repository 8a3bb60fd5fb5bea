// SPDX-License-Identifier: Apache-2.0

extension Transformer {
    /// How each row of a set is predicted, teacher-forced, in order; windows of one row are put together.
    ///
    /// - Parameters:
    ///   - observer: Sees the passes, and may change them.
    ///   - ranks: Who scores the same examples together; all get all scores.
    ///   - progress: Called with the number of examples that were scored since the last call; throwing cancels.
    /// - Throws: ``EngineError``; what `progress` throws.
    package func rowScores(
        _ examples: [Example], batchSize: Int = 8, observer: PassObserver? = nil,
        ranks: Ranks = .alone, progress: (Int) throws -> Void = { _ in }
    ) throws -> [RowScore] {
        let scores = try ranks.byLength(examples, batchSize: batchSize, progress: progress) { batch in
            try score(batch, observer: observer).map { positions in
                [
                    RowScore(
                        nll: positions.reduce(0) { $0 + Double($1.nll) }, tokens: positions.count,
                        correct: positions.count(where: \.correct))
                ]
            }
        }
        return RowScore.byRow(examples, scores.flatMap(\.self))
    }
}
