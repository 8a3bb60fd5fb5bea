// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Writes a report as one page of HTML that needs nothing else: no script, no font, no picture from anywhere. It is
/// well-formed XML too. Light or dark as the reader's system is, and made to be printed.
package enum HTMLReport {
    /// The page.
    /// - Parameter program: Which one writes it.
    package static func page(_ report: ReportDocument, by program: String = "unlearnctl") -> String {
        var page = Markup()
        var charts = 0
        page.verbatim("<!DOCTYPE html>\n")
        page.element("html", [("lang", "en"), ("xmlns", "http://www.w3.org/1999/xhtml")]) { html in
            html.element("head") { head in
                head.empty("meta", [("charset", "utf-8")])
                head.empty(
                    "meta",
                    [
                        ("http-equiv", "Content-Security-Policy"),
                        ("content", "default-src 'none'; style-src 'unsafe-inline'"),
                    ])
                head.empty(
                    "meta", [("name", "viewport"), ("content", "width=device-width, initial-scale=1")])
                head.empty("meta", [("name", "color-scheme"), ("content", "light dark")])
                head.empty("meta", [("name", "referrer"), ("content", "no-referrer")])
                head.element("title", [], report.title)
                head.element("style") { $0.verbatim(ReportStyle.sheet) }
            }
            html.line()
            html.element("body") { body in
                body.element("header") { header in
                    header.element("h1", [], report.title)
                    header.element("p", [("class", "subtitle")], report.subtitle)
                }
                body.line()
                if !report.pages.isEmpty {
                    body.element("nav", [("aria-label", "Pages")]) { nav in
                        nav.element("ul") { list in
                            for page in report.pages {
                                list.element("li") { $0.element("a", [("href", page.address)], page.name) }
                            }
                        }
                    }
                    body.line()
                }
                body.element("nav", [("aria-label", "Sections")]) { nav in
                    nav.element("ul") { list in
                        for section in report.sections {
                            list.element("li") { item in
                                item.element("a", [("href", "#\(section.id)")], section.title)
                            }
                        }
                    }
                }
                body.line()
                body.element("main") { main in
                    for section in report.sections {
                        main.element("section", [("id", section.id), ("aria-labelledby", "h-\(section.id)")])
                        {
                            $0.element("h2", [("id", "h-\(section.id)")], section.title)
                            for block in section.blocks { write(block, &charts, &$0) }
                        }
                        main.line()
                    }
                }
                body.element(
                    "footer", [],
                    "Written by \(program) \(Software.version) on \(Timestamp.now). The page holds everything it shows and loads nothing."
                )
            }
        }
        page.line()
        return page.text
    }

    private static func write(_ block: ReportDocument.Block, _ charts: inout Int, _ markup: inout Markup) {
        switch block {
        case .paragraph(let text): markup.element("p", [], text)
        case .note(let text): markup.element("p", [("class", "note")], text)
        case .command(let text):
            markup.element("pre", [("class", "command")]) { $0.element("code", [], text) }
        case .list(let items):
            markup.element("ul") { list in for item in items { list.element("li", [], item) } }
        case .verdict(let verdict, let text):
            markup.element("p", [("class", "verdict \(verdict.rawValue)")]) { paragraph in
                paragraph.element("span", [("class", "badge"), ("aria-hidden", "true")], verdict.mark)
                paragraph.words(" " + text)
            }
        case .facts(let facts):
            markup.element("table", [("class", "facts")]) { table in
                table.element("tbody") { body in
                    for fact in facts {
                        body.element("tr") { row in
                            row.element("th", [("scope", "row")], fact.name)
                            row.element("td", [], fact.value)
                        }
                    }
                }
            }
        case .table(let table): write(table, &markup)
        case .exchange(let exchange): write(exchange, &markup)
        case .chart(let chart):
            charts += 1
            let drawing = ChartDrawing.svg(chart, number: charts)
            let legend = ChartDrawing.legend(chart)
            markup.element("figure") { figure in
                figure.append(drawing)
                figure.element("figcaption") { caption in
                    caption.element("strong", [], chart.title)
                    for entry in legend {
                        caption.element("span", [("class", "key \(entry.look)")]) { key in
                            key.element("i", [("aria-hidden", "true")], "")
                            key.words(entry.name)
                        }
                    }
                    caption.element("span", [("class", "summary")], chart.summary)
                }
            }
        }
        markup.line()
    }

    private static func write(_ table: ReportTable, _ markup: inout Markup) {
        markup.element("div", [("class", "wide")]) { wide in
            wide.element("table") { element in
                element.element("caption", [], table.caption)
                element.element("thead") { head in
                    head.element("tr") { row in
                        for (column, heading) in table.headings.enumerated() {
                            row.element("th", [("scope", "col")] + look(column, table), heading)
                        }
                    }
                }
                element.element("tbody") { body in
                    for (index, cells) in table.rows.enumerated() {
                        body.element("tr") { row in
                            for (column, cell) in cells.enumerated() {
                                let tag = column == 0 ? "th" : "td"
                                let scope = column == 0 ? [("scope", "row")] : []
                                guard column == 0, let address = table.addresses[index] else {
                                    row.element(tag, scope + look(column, table), cell)
                                    continue
                                }
                                row.element(tag, scope + look(column, table)) {
                                    $0.element("a", [("href", address)], cell)
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    private static func look(_ column: Int, _ table: ReportTable) -> [(String, String)] {
        if table.numbers.contains(column) { return [("class", "number")] }
        return table.codes.contains(column) ? [("class", "code")] : []
    }

    private static func write(_ exchange: ReportDocument.Exchange, _ markup: inout Markup) {
        markup.element("div", [("class", "exchange")]) { box in
            box.element("h3", [], exchange.title)
            box.element("dl") { list in
                list.element("dt", [], "asked")
                quote(exchange.prompt, nil, exchange, &list)
                list.element("dt", [], "the row's answer")
                quote(exchange.expected, nil, exchange, &list)
                for answer in exchange.answers {
                    list.element("dt", [], answer.role)
                    quote(answer.text, answer.isExpected, exchange, &list)
                }
            }
        }
    }

    private static func quote(
        _ text: String?, _ isExpected: Bool?, _ exchange: ReportDocument.Exchange, _ list: inout Markup
    ) {
        list.element("dd") { cell in
            if let words = exchange.substitute(for: text) {
                cell.element("em", [("class", "purged")], words)
            } else {
                cell.element("q", [], text ?? "")
            }
            if let isExpected {
                cell.words(" ")
                cell.element("span", [("class", "tag")], isExpected ? "as in the row" : "not as in the row")
            }
        }
    }
}
