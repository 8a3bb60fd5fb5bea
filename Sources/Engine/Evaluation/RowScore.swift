// SPDX-License-Identifier: Apache-2.0

/// What the model made of one row of a dataset, teacher-forced.
package struct RowScore: Hashable, Sendable, BitwiseCopyable {
    /// Sum of the negative log-likelihoods of the predicted labels, nats.
    package var nll: Double
    /// How many labels were predicted: those after position 0 that are not −100.
    package var tokens: Int
    /// How many of them the most likely token met.
    package var correct: Int

    /// A score of its parts.
    package init(nll: Double, tokens: Int, correct: Int) {
        self.nll = nll
        self.tokens = tokens
        self.correct = correct
    }

    /// Mean negative log-likelihood per predicted label.
    package var meanLoss: Double { nll / Double(tokens) }
    /// Whether every label was met.
    package var isRight: Bool { correct == tokens }

    /// The score of two parts of one row together.
    package static func + (left: RowScore, right: RowScore) -> RowScore {
        RowScore(
            nll: left.nll + right.nll, tokens: left.tokens + right.tokens,
            correct: left.correct + right.correct)
    }

    /// The scores by row of examples scored one by one: windows of one row are put together, so that a row counts
    /// once whatever its length.
    package static func byRow(_ examples: [Example], _ scores: [RowScore]) -> [RowScore] {
        var rows: [RowScore] = []
        var lastLine: Int?
        for (example, score) in zip(examples, scores) {
            if let lastLine, lastLine == example.line, let last = rows.popLast() {
                rows.append(last + score)
            } else {
                rows.append(score)
            }
            lastLine = example.line
        }
        return rows
    }
}
