// SPDX-License-Identifier: Apache-2.0

/// Rows of tokens with their labels, padded on the right to one width.
///
/// tokens and labels: (rows, columns), row-major. A label of -100 counts for nothing; a label stands at the
/// position of its own token, and the position before predicts it.
package struct TokenBatch: Sendable, Hashable {
    /// B, the number of rows.
    package var rows: Int
    /// T, the width they are padded to.
    package var columns: Int
    /// Token ids; what stands in the padding does not matter.
    package var tokens: [Int32]
    /// Labels, -100 where there is none.
    package var labels: [Int32]
    /// How many tokens of each row are real.
    package var lengths: [Int]

    /// A batch of these parts; they are checked where the batch is used.
    package init(rows: Int, columns: Int, tokens: [Int32], labels: [Int32], lengths: [Int]) {
        self.rows = rows
        self.columns = columns
        self.tokens = tokens
        self.labels = labels
        self.lengths = lengths
    }

    /// How many labels are predicted; those at position 0 never are.
    package var predictedCount: Int {
        var count = 0
        guard labels.count == rows * columns else { return 0 }
        for row in 0..<rows {
            for label in labels[(row * columns)..<((row + 1) * columns)].dropFirst() where label != -100 {
                count += 1
            }
        }
        return count
    }
}
