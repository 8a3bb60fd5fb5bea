// SPDX-License-Identifier: Apache-2.0

/// What a method wants of each row of the forget set beyond something to forget.
package enum RowRequirement: Sendable, Hashable {
    /// A prompt, which can be answered otherwise.
    case prompt
    /// A prompt and a `replacement` to answer it with.
    case replacement

    /// What jobs of that kind want.
    package init?(_ kind: JobKind) {
        switch kind {
        case .idk, .altpo: self = .prompt
        case .dpo, .update: self = .replacement
        default: return nil
        }
    }

    /// - Throws: The first row that lacks it, with its line.
    package func check(_ rows: [DatasetRow], name: String, for kind: JobKind) throws(DatasetError) {
        for row in rows {
            guard row.promptAndCompletion != nil else {
                throw DatasetError(
                    name: name, line: row.line,
                    problem: "the row has no prompt, and \(kind.rawValue) teaches another answer to one",
                    hint: "Write the row as question and answer, or as prompt and completion")
            }
            if self == .replacement, row.replacement == nil {
                throw DatasetError(
                    name: name, line: row.line,
                    problem:
                        "the row has no replacement, which \(kind.rawValue) teaches instead of its answer",
                    hint: "Add the member replacement with the answer to give from now on")
            }
        }
    }
}

extension DatasetRow {
    /// The row with another answer; `nil` for rows without a prompt.
    ///
    /// A completion's leading white space belongs to how it is joined to its prompt: the other answer gets it too.
    package func answered(_ answer: String) -> DatasetRow? {
        var row = DatasetRow(line: line, content: content)
        switch content {
        case .questionAnswer(let question, _):
            row.content = .questionAnswer(question: question, answer: answer)
        case .promptCompletion(let prompt, let completion):
            let space = completion.prefix { $0.isWhitespace }
            let joined = answer.first?.isWhitespace == false ? space + answer : answer[...]
            row.content = .promptCompletion(prompt: prompt, completion: String(joined))
        case .text, .inputIDs: return nil
        }
        return row
    }
}
