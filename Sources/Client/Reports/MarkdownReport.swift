// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Writes a report as Markdown (tables as GitHub reads them). Charts become the sentence that describes them.
package enum MarkdownReport {
    /// The text.
    package static func text(_ report: ReportDocument) -> String {
        var text = "# \(escaped(report.title))\n\n\(escaped(report.subtitle))\n"
        for section in report.sections {
            text += "\n## \(escaped(section.title))\n"
            for block in section.blocks { text += "\n" + markdown(block) }
        }
        return text
    }

    private static func markdown(_ block: ReportDocument.Block) -> String {
        switch block {
        case .paragraph(let text): return escaped(text) + "\n"
        case .note(let text): return "*\(escaped(text))*\n"
        case .verdict(let verdict, let text): return "**\(verdict.mark) \(escaped(text))**\n"
        case .list(let items): return items.map { "- \(escaped($0))\n" }.joined()
        case .command(let text): return "    \(Text.safe(text))\n"
        case .facts(let facts):
            return row(["", ""]) + row(["---", "---"])
                + facts.map { row([escaped($0.name), escaped($0.value)]) }.joined()
        case .table(let table):
            let rule = table.headings.indices.map { table.numbers.contains($0) ? "---:" : "---" }
            return escaped(table.caption) + "\n\n" + row(table.headings.map(escaped)) + row(rule)
                + table.rows.map { row($0.map(escaped)) }.joined()
        case .chart(let chart): return "*\(escaped(chart.title)).* \(escaped(chart.summary))\n"
        case .exchange(let exchange):
            var lines = [("asked", exchange.prompt), ("the row's answer", exchange.expected)]
            lines += exchange.answers.map { ($0.role, $0.text) }
            return "**\(escaped(exchange.title))**\n\n"
                + lines.map { name, text in
                    "- \(name): \(exchange.substitute(for: text) ?? "“\(escaped(text ?? ""))”")\n"
                }.joined()
        }
    }

    private static func row(_ cells: [String]) -> String { "| " + cells.joined(separator: " | ") + " |\n" }

    /// `string` on one line, with everything that Markdown or HTML would read as markup made harmless.
    static func escaped(_ string: String) -> String {
        var result = ""
        for character in Text.safe(string, keepingLines: true).unicodeScalars {
            switch character {
            case "\n": result += "⏎ "
            case "\t": result += " "
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "&": result += "&amp;"
            case "\\", "`", "*", "_", "[", "]", "|", "#", "~", "!": result += "\\\(character)"
            default: result.unicodeScalars.append(character)
            }
        }
        return result
    }
}
