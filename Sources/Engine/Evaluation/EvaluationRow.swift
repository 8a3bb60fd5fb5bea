// SPDX-License-Identifier: Apache-2.0

/// One row of a set as the evaluation reads it: the row itself, and what its other members ask about.
package struct EvaluationRow: Hashable, Sendable {
    /// The same question in other words, with both answers.
    package struct Reworded: Hashable, Sendable {
        package var old: Example
        package var new: Example
    }

    /// The line in its file, counted from 1.
    package let line: Int
    /// The row; a long text has several windows.
    package let windows: [Example]
    /// Whether the last label is the end token, which memorisation and Min-K leave out.
    package var endsWithEnd = false
    /// The right answer in other words.
    package var paraphrase: Example?
    /// Wrong answers of the same form.
    package var wrong: [Example] = []
    /// The answer that shall replace the old one.
    package var replacement: Example?
    /// Old and new answer to the paraphrased question.
    package var reworded: Reworded?
    /// What a continuation is made of; empty where none can be.
    package var prompt: [Int32] = []
    /// The tokens that it is held against, without the end token.
    package var answer: [Int32] = []
    /// The same as text; `nil` without a tokenizer.
    package var answerText: String?
    /// What zlib makes of the labelled text, bytes; `nil` without a tokenizer or unless asked for.
    package var compressedLength: Int?

    /// A row with nothing but its examples, at least one.
    package init(windows: [Example]) {
        precondition(!windows.isEmpty, "a row has an example")
        line = windows[0].line
        self.windows = windows
    }

    /// The rows of examples that come one after another.
    package static func rows(of examples: [Example]) -> [EvaluationRow] {
        var groups: [[Example]] = []
        for example in examples {
            if groups.last?.first?.line == example.line {
                groups[groups.count - 1].append(example)
            } else {
                groups.append([example])
            }
        }
        return groups.map(EvaluationRow.init(windows:))
    }

    /// Everything beside the row that is scored by its loss.
    var probes: [Example] {
        [paraphrase, replacement, reworded?.old, reworded?.new].compactMap(\.self) + wrong
    }
}
