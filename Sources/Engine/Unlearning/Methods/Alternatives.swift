// SPDX-License-Identifier: Apache-2.0

/// What shall be said in place of each forget row: one or several answers a row, taken in turn from epoch to epoch.
package struct Alternatives: Sendable {
    /// All answers, those of a row one after another.
    let examples: [Example]
    /// Answers of each row.
    let perRow: Int

    /// - Parameter rows: For each forget row its answers, equally many and at least one.
    package init(_ rows: [[Example]]) {
        perRow = rows.first?.count ?? 1
        precondition(
            perRow > 0 && rows.allSatisfy { $0.count == rows[0].count }, "each row has as many answers")
        examples = rows.flatMap(\.self)
    }

    /// The place in ``examples`` of a row's answer in an epoch, counted from 1.
    func place(_ row: Int, epoch: Int) -> Int { row * perRow + (epoch - 1) % perRow }
}
