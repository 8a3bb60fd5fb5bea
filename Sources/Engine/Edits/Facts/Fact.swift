// SPDX-License-Identifier: Apache-2.0

import Protocol

/// One row of an update as an edit of weights sees it: a prompt, what was answered, and what shall be.
package struct Fact: Sendable, Hashable {
    /// The prompt with the old answer.
    package let old: Example
    /// The prompt with the new answer.
    package let new: Example
    /// The token of the prompt, from 0, whose feed-forward output is edited.
    package let place: Int

    /// A fact edited at a token of its prompt.
    package init(old: Example, new: Example, place: Int) {
        precondition(place >= 0 && place < new.ids.count - 1, "there is no token \(place) before the answer")
        self.old = old
        self.new = new
        self.place = place
    }

    /// A fact edited at the subject's last token, or without a subject at the prompt's.
    ///
    /// - Parameter name: What errors call the dataset.
    /// - Throws: A row whose prompt is empty or lacks the subject, with its line.
    package init(old: Example, new: Example, subject: String?, tokenizer: Tokenizer?, name: String)
        throws(DatasetError)
    {
        let first = new.labels.indices.dropFirst().first { new.labels[$0] != DatasetParser.unlabelled }
        guard let first, first > 0 else {
            throw DatasetError(
                name: name, line: new.line, problem: "the prompt has no token to edit at",
                hint: "Write a prompt before the answer")
        }
        guard let subject else {
            self.init(old: old, new: new, place: first - 1)
            return
        }
        guard let tokenizer,
            let place = Self.place(of: subject, in: Array(new.ids[..<first]), tokenizer)
        else {
            throw DatasetError(
                name: name, line: new.line,
                problem: "the subject “\(subject.prefix(80))” is not in the row's prompt",
                hint: "Write the subject as the prompt spells it, or leave the member out")
        }
        self.init(old: old, new: new, place: place)
    }

    /// The token with which the subject's last occurrence in the prompt is complete.
    private static func place(of subject: String, in prompt: [Int32], _ tokenizer: Tokenizer) -> Int? {
        func count(_ tokens: Int) -> Int {
            occurrences(
                of: Array(subject.utf8),
                in: Array(tokenizer.decode(Array(prompt[..<tokens]), skipSpecialTokens: true).utf8))
        }
        let all = count(prompt.count)
        guard all > 0 else { return nil }
        return (1...prompt.count).first { count($0) == all }.map { $0 - 1 }
    }

    private static func occurrences(of part: [UInt8], in text: [UInt8]) -> Int {
        guard !part.isEmpty, text.count >= part.count else { return 0 }
        return (0...text.count - part.count).count { text[$0..<$0 + part.count].elementsEqual(part) }
    }
}
