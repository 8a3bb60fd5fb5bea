// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Turns rows into what an evaluation reads, by one version's tokenizer and context.
///
/// A continuation begins after a row's prompt; of a text, or of ids that are all labelled, after the first half of
/// its tokens (of the first window, if it is long), and the second half is what it is held against.
package struct EvaluationSetBuilder: Sendable {
    private let builder: ExampleBuilder
    private let tokenizer: Tokenizer?
    private let ends: Set<Int32>
    private let metrics: Set<EvaluationMetric>

    /// - Parameters:
    ///   - builder: Makes the rows' examples.
    ///   - ends: Tokens that end a text.
    ///   - metrics: What will be measured; nothing is prepared for the rest.
    package init(
        _ builder: ExampleBuilder, tokenizer: Tokenizer?, ends: Set<Int32>, metrics: Set<EvaluationMetric>
    ) {
        self.builder = builder
        self.tokenizer = tokenizer
        self.ends = ends
        self.metrics = metrics
    }

    /// The set.
    ///
    /// - Parameters:
    ///   - examples: The rows' examples, where they are there already.
    /// - Throws: The first row that cannot be used, with its line.
    package func build(
        _ rows: [DatasetRow], name: String, role: UtilitySet.Role, examples: [Example]? = nil
    ) throws(DatasetError) -> EvaluationSet {
        let title = "\(name) set"
        let windows: [Example]
        if let examples { windows = examples } else { windows = try builder.build(rows, name: title) }
        let sources = Dictionary(rows.map { ($0.line, $0) }) { first, _ in first }
        var prepared: [EvaluationRow] = []
        for var row in EvaluationRow.rows(of: windows) {
            if let source = sources[row.line] { try prepare(&row, source, title) }
            prepared.append(row)
        }
        return EvaluationSet(name: name, role: role, rows: prepared)
    }

    private func prepare(_ row: inout EvaluationRow, _ source: DatasetRow, _ title: String)
        throws(DatasetError)
    {
        let labels = row.windows.flatMap { $0.labels.dropFirst() }.filter { $0 != DatasetParser.unlabelled }
        row.endsWithEnd = labels.count > 1 && labels.last.map(ends.contains) == true
        if metrics.contains(.zlib) {
            row.compressedLength = labelledText(source, labels).flatMap(CompressedLength.of)
        }
        if metrics.contains(where: \.generates) { prepareContinuation(&row, source) }
        guard source.exchange != nil else { return }
        // In the row's own form, so that a template lays out every answer alike.
        func example(_ content: DatasetRow.Content, _ member: String) throws(DatasetError) -> Example? {
            try builder.build(
                [DatasetRow(line: source.line, content: content)], name: "\(title), \(member)"
            ).first
        }
        if metrics.contains(.truthRatio), !source.perturbedAnswers.isEmpty {
            if let text = source.paraphrasedAnswer {
                row.paraphrase = try example(Self.answering(source, text), "paraphrased_answer")
            }
            for text in source.perturbedAnswers {
                if let wrong = try example(Self.answering(source, text), "perturbed_answer") {
                    row.wrong.append(wrong)
                }
            }
        }
        if metrics.contains(.replaced), let text = source.replacement {
            row.replacement = try example(Self.answering(source, text), "replacement")
            if let question = source.paraphrasedQuestion, let answer = source.exchange?.answer,
                let old = try example(Self.asking(question, answer), "paraphrased_question"),
                let new = try example(Self.asking(question, text), "paraphrased_question")
            {
                row.reworded = .init(old: old, new: new)
            }
        }
    }

    /// The row with another answer: a completion begins with the white space that the old one begins with.
    private static func answering(_ source: DatasetRow, _ text: String) -> DatasetRow.Content {
        switch source.content {
        case .promptCompletion(let prompt, let completion):
            let space = text.first?.isWhitespace == true ? "" : completion.prefix { $0.isWhitespace }
            return .promptCompletion(prompt: prompt, completion: space + text)
        case .questionAnswer(let question, _): return .questionAnswer(question: question, answer: text)
        case .text, .inputIDs: return source.content
        }
    }

    /// An answer to a question in other words.
    private static func asking(_ question: String, _ answer: String) -> DatasetRow.Content {
        .questionAnswer(question: question, answer: String(answer.drop { $0.isWhitespace }))
    }

    /// What is labelled, as it was written.
    private func labelledText(_ source: DatasetRow, _ labels: [Int32]) -> String? {
        switch source.content {
        case .text(let text): text
        case .promptCompletion, .questionAnswer: source.promptAndCompletion?.completion
        case .inputIDs: tokenizer.map { $0.decode(labels, skipSpecialTokens: true) }
        }
    }

    private func prepareContinuation(_ row: inout EvaluationRow, _ source: DatasetRow) {
        let window = row.windows[0]
        let firstLabel =
            window.labels.dropFirst().firstIndex { $0 != DatasetParser.unlabelled } ?? window.ids.count
        let cut = source.promptAndCompletion == nil && firstLabel <= 1 ? window.ids.count / 2 : firstLabel
        var answer = Array(window.ids[cut...])
        if let last = answer.last, ends.contains(last) { answer.removeLast() }
        guard cut > 0, !answer.isEmpty else { return }
        row.prompt = Array(window.ids[..<cut])
        row.answer = answer
        row.answerText = tokenizer.map { $0.decode(answer, skipSpecialTokens: true) }
        // As it was written, where it was not cut: decoding may differ in white space.
        if let completion = source.promptAndCompletion?.completion, row.endsWithEnd {
            row.answerText = completion
        }
    }
}
