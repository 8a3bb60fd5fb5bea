// SPDX-License-Identifier: Apache-2.0

/// What a model reads of a row, whatever members it is written with: two rows are the same if this is.
///
/// A text and a prompt with its completion are the same where they read the same. Fields that only evaluation uses
/// do not count.
package enum RowText: Hashable, Sendable {
    case text(String)
    case ids([Int32])

    /// What is read of a row.
    package init(_ row: DatasetRow) {
        switch row.content {
        case .text(let text): self = .text(text)
        case .promptCompletion(let prompt, let completion): self = .text(prompt + completion)
        case .questionAnswer(let question, let answer):
            self = .text(
                DatasetRow.prompt(forQuestion: question) + DatasetRow.completion(forAnswer: answer))
        case .inputIDs(let ids, _): self = .ids(ids)
        }
    }
}

extension [DatasetRow] {
    /// The rows without those that read like one of `excluded`.
    package func without(_ excluded: Set<RowText>) -> [DatasetRow] {
        excluded.isEmpty ? self : filter { !excluded.contains(RowText($0)) }
    }
}
