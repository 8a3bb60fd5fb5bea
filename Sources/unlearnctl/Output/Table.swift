// SPDX-License-Identifier: Apache-2.0

import Client

/// Columns of text; the last one gives way when a terminal is too narrow.
struct Table {
    private let headings: [String]
    private let rightAligned: Set<Int>
    private var rows: [[String]] = []

    /// A table with these headings; columns named in `right` hold numbers.
    init(_ headings: [String], right: Set<Int> = []) {
        self.headings = headings
        rightAligned = right
    }

    /// Adds a row; what could steer a terminal is made visible.
    mutating func add(_ cells: [String]) { rows.append(cells.map { Text.safe($0) }) }

    var isEmpty: Bool { rows.isEmpty }

    /// The table's lines.
    /// - Parameters:
    ///   - width: The terminal's columns; `nil` cuts nothing.
    ///   - heading: How the first line is marked.
    func rendered(width: Int?, heading: (String) -> String) -> String {
        var widths = headings.map(\.count)
        for row in rows {
            for (column, cell) in row.enumerated() { widths[column] = max(widths[column], cell.count) }
        }
        if let width {
            // The widest column is shortened until the line fits or nothing is left to give.
            while widths.reduce(0, +) + 2 * (widths.count - 1) > width {
                guard let widest = widths.indices.max(by: { widths[$0] < widths[$1] }), widths[widest] > 8
                else { break }
                widths[widest] -= 1
            }
        }
        func line(_ cells: [String]) -> String {
            var text = ""
            for (column, cell) in cells.enumerated() {
                let shown = cell.count > widths[column] ? cell.prefix(widths[column] - 1) + "…" : cell[...]
                let padding = String(repeating: " ", count: widths[column] - shown.count)
                text += rightAligned.contains(column) ? padding + shown : shown + padding
                if column < cells.count - 1 { text += "  " }
            }
            while text.last == " " { text.removeLast() }
            return text
        }
        return ([heading(line(headings))] + rows.map(line)).map { $0 + "\n" }.joined()
    }
}
