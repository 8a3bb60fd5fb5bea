// SPDX-License-Identifier: Apache-2.0

import Protocol

/// One sequence for the model: a row of a dataset, or a window of a long text row.
package struct Example: Hashable, Sendable {
    /// The tokens, at least two.
    package let ids: [Int32]
    /// The label of each token, −100 where it is not predicted; as long as ``ids``. The label at position 0 never
    /// counts, because nothing stands before it to predict it from.
    package let labels: [Int32]
    /// The line of the row, counted from 1. Windows of one row share it.
    package let line: Int

    /// An example from tokens that are already checked.
    package init(ids: [Int32], labels: [Int32], line: Int) {
        precondition(
            ids.count == labels.count && ids.count > 1, "an example has one label for each of its tokens")
        self.ids = ids
        self.labels = labels
        self.line = line
    }

    /// How many labels are predicted.
    package var predictedCount: Int {
        labels.dropFirst().reduce(0) { $0 + ($1 == DatasetParser.unlabelled ? 0 : 1) }
    }
}
