// SPDX-License-Identifier: Apache-2.0

import Protocol

/// How long the rows of some sets are: what decides the memory of their largest batch.
package struct RowSizes: Sendable {
    /// A batch without its padding.
    package struct Batch: Sendable, Hashable {
        /// Tokens that are computed: a row's end, behind its last label, is not.
        package var tokens = 0
        /// Labelled tokens.
        package var predictors = 0
        /// Computed tokens of the longest row.
        package var longest = 0
        package var rows = 0

        /// Rows that stand in one pass with these.
        static func + (batch: Batch, other: Batch) -> Batch {
            Batch(
                tokens: batch.tokens + other.tokens, predictors: batch.predictors + other.predictors,
                longest: max(batch.longest, other.longest), rows: batch.rows + other.rows)
        }
    }

    /// The rows of one set, each list with the largest first.
    private struct Rows {
        var tokens: [Int]
        var predictors: [Int]
    }
    private var sets: [Rows]

    /// The sizes of the rows of sets that no batch mixes.
    package init(_ sets: [[Example]]) {
        self.sets = sets.map { examples in
            Rows(
                tokens: examples.map { $0.computedCount }.sorted(by: >),
                predictors: examples.map(\.predictedCount).sorted(by: >))
        }
    }

    /// Rows of `length` tokens, all labelled but for the first.
    package init(length: Int, rows: Int) {
        let sizes = [Int](repeating: max(1, length - 1), count: max(1, rows))
        sets = [Rows(tokens: sizes, predictors: sizes)]
    }

    /// Tokens of the longest row.
    package var length: Int { 1 + (sets.lazy.compactMap(\.tokens.first).max() ?? 0) }

    /// The same rows, cut to `length` tokens, or made longer by `more` labelled ones.
    package func changed(to length: Int = .max, adding more: Int = 0) -> RowSizes {
        var changed = self
        for index in sets.indices {
            changed.sets[index].tokens = sets[index].tokens.map { min($0 + more, length - 1) }
            changed.sets[index].predictors = sets[index].predictors.map { min($0 + more, length - 1) }
        }
        return changed
    }

    /// The largest batch of so many rows that a set has.
    ///
    /// - Parameter unlabelled: Tokens that stand before each row.
    package func batch(of rows: Int, behind unlabelled: Int = 0) -> Batch {
        var largest = Batch()
        for set in sets {
            let count = min(rows, set.tokens.count)
            largest.tokens = max(
                largest.tokens, set.tokens.prefix(count).reduce(0, +) + count * unlabelled)
            largest.predictors = max(largest.predictors, set.predictors.prefix(count).reduce(0, +))
            largest.longest = max(largest.longest, (set.tokens.first ?? 0) + unlabelled)
            largest.rows = max(largest.rows, count)
        }
        return largest
    }
}

extension Example {
    /// Tokens that a pass computes: those before the last label.
    fileprivate var computedCount: Int {
        max(0, labels.lastIndex { $0 != DatasetParser.unlabelled } ?? 0)
    }
}
