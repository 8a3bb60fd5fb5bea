// SPDX-License-Identifier: Apache-2.0

import Protocol

/// The figures of one set from the scores of its rows.
package struct SetScore: Sendable {
    /// Rows with at least one predicted label.
    package let rows: [RowScore]
    package let tokens: Int
    package let correct: Int
    package let nll: Double

    /// Sums in the order of the rows.
    package init(_ rows: [RowScore]) {
        let counted = rows.filter { $0.tokens > 0 }
        let total = counted.reduce(RowScore(nll: 0, tokens: 0, correct: 0), +)
        self.rows = counted
        tokens = total.tokens
        correct = total.correct
        nll = total.nll
    }

    /// Mean negative log-likelihood per predicted label over the whole set, nats; NaN for an empty set.
    package var loss: Double { nll / Double(tokens) }

    /// The share of right predictions: of tokens pooled over the set, or of rows; NaN for an empty set.
    package func accuracy(_ unit: AccuracyUnit) -> Double {
        switch unit {
        case .token: Double(correct) / Double(tokens)
        case .row: Double(rows.lazy.filter(\.isRight).count) / Double(rows.count)
        }
    }

    /// The mean loss of each row, for membership inference.
    package var rowLosses: [Double] { rows.map(\.meanLoss) }
}
