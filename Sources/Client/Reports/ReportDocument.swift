// SPDX-License-Identifier: Apache-2.0

/// A report before it is written for a screen, a page or a file: sections of plain blocks. Nothing in it is markup;
/// each writer makes what it holds harmless in its own way.
package struct ReportDocument {
    /// What stands in one section, in order.
    package enum Block {
        case paragraph(String)
        /// Something that is missing, and why.
        case note(String)
        case list([String])
        case facts([(name: String, value: String)])
        case table(ReportTable)
        case chart(Chart)
        /// What was said to one row, before and after.
        case exchange(Exchange)
        /// A line to type.
        case command(String)
        /// The outcome in one sentence.
        case verdict(Verdict, String)
    }

    /// How an outcome is to be taken.
    package enum Verdict: String {
        case good, bad, open

        /// The word that stands before it, so that colour is not needed.
        package var mark: String {
            switch self {
            case .good: "✓"
            case .bad: "✗"
            case .open: "–"
            }
        }
    }

    /// A prompt, the answer that the rows give, and what each version says.
    package struct Exchange {
        package var title: String
        /// `nil` where the texts are not there.
        package var prompt: String?
        package var expected: String?
        package var answers: [(role: String, text: String?, isExpected: Bool?)]
        /// Why texts are not there, in one word.
        package var absence = "purged"

        /// What stands where `text` would: a word for why it is not there, or for that it is empty; `nil` where there is
        /// something to quote.
        package func substitute(for text: String?) -> String? {
            guard let text else { return "[\(absence)]" }
            return text.isEmpty ? "[empty]" : nil
        }
    }

    package struct Section {
        /// Names the section within a page.
        package var id: String
        package var title: String
        package var blocks: [Block]
    }

    package var title: String
    package var subtitle: String
    package private(set) var sections: [Section] = []
    /// Other pages, where the document is one of several that a server has.
    package var pages: [(name: String, address: String)] = []

    package init(title: String, subtitle: String) {
        self.title = title
        self.subtitle = subtitle
    }

    /// Adds a section, unless nothing stands in it.
    package mutating func add(_ id: String, _ title: String, _ blocks: [Block]) {
        if !blocks.isEmpty { sections.append(Section(id: id, title: title, blocks: blocks)) }
    }
}

/// Columns with headings; the first column names the row.
package struct ReportTable {
    package var caption: String
    package var headings: [String]
    /// The columns that hold numbers.
    package var numbers: Set<Int> = []
    package var rows: [[String]] = []
    /// Whether each column's cells are technical names, set in a fixed width.
    package var codes: Set<Int> = []
    /// Addresses that the first cell of a row leads to, where the table stands on a page of a server.
    package var addresses: [Int: String] = [:]

    package init(_ caption: String, _ headings: [String], numbers: Set<Int> = [], codes: Set<Int> = []) {
        self.caption = caption
        self.headings = headings
        self.numbers = numbers
        self.codes = codes
    }
}
