// SPDX-License-Identifier: Apache-2.0

import Client
import Protocol

/// Writes a report for a terminal. Charts become the sentence that describes them.
enum TerminalReport {
    /// The text.
    static func text(_ report: ReportDocument, _ output: Output) -> String {
        var text = output.styled(Text.safe(report.title), .bold) + "\n\(Text.safe(report.subtitle))\n"
        for section in report.sections {
            text += "\n" + output.styled(section.title, .bold) + "\n"
            text += lines(section.blocks, output)
        }
        return text
    }

    /// Blocks without a title.
    static func lines(_ blocks: [ReportDocument.Block], _ output: Output) -> String {
        blocks.map { lines($0, output) }.joined()
    }

    private static func lines(_ block: ReportDocument.Block, _ output: Output) -> String {
        switch block {
        case .paragraph(let text), .note(let text): return wrapped(text, output)
        case .command(let text): return "    \(Text.safe(text))\n"
        case .list(let items): return items.map { wrapped($0, output, first: "  - ", rest: "    ") }.joined()
        case .verdict(let verdict, let text):
            let style: Style =
                switch verdict {
                case .good: .green
                case .bad: .red
                case .open: .yellow
                }
            return "  " + output.styled("\(verdict.mark) \(Text.safe(text))", style) + "\n"
        case .facts(let facts):
            let width = facts.map(\.name.count).max() ?? 0
            return facts.map {
                "  \($0.name)\(String(repeating: " ", count: width - $0.name.count))  \(Text.safe($0.value))\n"
            }.joined()
        case .table(let content):
            var table = Table(content.headings, right: content.numbers)
            for row in content.rows { table.add(row) }
            let drawn = table.rendered(width: output.tableWidth.map { $0 - 2 }) { output.styled($0, .bold) }
            return drawn.split(separator: "\n").map { "  \($0)\n" }.joined()
        case .chart(let chart): return wrapped("\(chart.title): \(chart.summary)", output)
        case .exchange(let exchange):
            var parts = [("asked", exchange.prompt), ("the row's answer", exchange.expected)]
            parts += exchange.answers.map { ($0.role, $0.text) }
            return "  \(Text.safe(exchange.title))\n"
                + parts.map { name, text in
                    let padding = String(repeating: " ", count: max(1, 18 - name.count))
                    return
                        "    \(name)\(padding)\(exchange.substitute(for: text) ?? Text.safe(text ?? ""))\n"
                }.joined()
        }
    }

    /// `text` in lines that fit the terminal; in one line where there is none.
    private static func wrapped(
        _ text: String, _ output: Output, first: String = "  ", rest: String = "  "
    ) -> String {
        guard let width = output.tableWidth, width > 30 else { return first + Text.safe(text) + "\n" }
        var result = ""
        var line = first
        var isEmpty = true
        for word in Text.safe(text).split(separator: " ") {
            if !isEmpty, line.count + word.count + 1 > width {
                result += line + "\n"
                line = rest
                isEmpty = true
            }
            line += (isEmpty ? "" : " ") + word
            isEmpty = false
        }
        return result + line + "\n"
    }
}
