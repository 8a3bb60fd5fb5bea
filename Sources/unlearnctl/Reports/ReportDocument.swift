// SPDX-License-Identifier: Apache-2.0

/// A report before it is written for a screen, a page or a file: sections of plain blocks. Nothing in it is markup;
/// each writer makes what it holds harmless in its own way.
struct ReportDocument {
    /// What stands in one section, in order.
    enum Block {
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
    enum Verdict: String {
        case good, bad, open

        /// The word that stands before it, so that colour is not needed.
        var mark: String {
            switch self {
            case .good: "✓"
            case .bad: "✗"
            case .open: "–"
            }
        }
    }

    /// A prompt, the answer that the rows give, and what each version says.
    struct Exchange {
        var title: String
        /// `nil` where the texts were purged.
        var prompt: String?
        var expected: String?
        var answers: [(role: String, text: String?, isExpected: Bool?)]
    }

    struct Section {
        /// Names the section within a page.
        var id: String
        var title: String
        var blocks: [Block]
    }

    var title: String
    var subtitle: String
    private(set) var sections: [Section] = []

    init(title: String, subtitle: String) {
        self.title = title
        self.subtitle = subtitle
    }

    /// Adds a section, unless nothing stands in it.
    mutating func add(_ id: String, _ title: String, _ blocks: [Block]) {
        if !blocks.isEmpty { sections.append(Section(id: id, title: title, blocks: blocks)) }
    }
}

/// Columns with headings; the first column names the row.
struct ReportTable {
    var caption: String
    var headings: [String]
    /// The columns that hold numbers.
    var numbers: Set<Int> = []
    var rows: [[String]] = []
    /// Whether each column's cells are technical names, set in a fixed width.
    var codes: Set<Int> = []

    init(_ caption: String, _ headings: [String], numbers: Set<Int> = [], codes: Set<Int> = []) {
        self.caption = caption
        self.headings = headings
        self.numbers = numbers
        self.codes = codes
    }
}
