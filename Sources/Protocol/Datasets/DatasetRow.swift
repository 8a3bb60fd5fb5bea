// SPDX-License-Identifier: Apache-2.0

/// One row of a dataset, as written: no token has been made of it yet.
package struct DatasetRow: Hashable, Sendable {
    /// The forms that a row can have.
    package enum Content: Hashable, Sendable {
        /// `{"text"}`: every token is a label.
        case text(String)
        /// `{"prompt", "completion"}`: labels on the completion.
        case promptCompletion(prompt: String, completion: String)
        /// `{"question", "answer"}`: a prompt and completion by the template of ``prompt``.
        case questionAnswer(question: String, answer: String)
        /// `{"input_ids", "labels"?}`: tokens as they are; −100 is unlabelled, absent labels are the ids.
        case inputIDs([Int32], labels: [Int32]?)
    }

    /// The line that it stands on, counted from 1.
    package var line: Int
    package var content: Content
    /// The answer in other words, for the truth ratio.
    package var paraphrasedAnswer: String?
    /// Wrong answers of the same form, for the truth ratio.
    package var perturbedAnswers: [String]
    /// The question in other words.
    package var paraphrasedQuestion: String?
    /// What shall be answered instead.
    package var replacement: String?
    /// What the row is about, as its prompt spells it.
    package var subject: String?

    /// A row without evaluation fields.
    package init(line: Int, content: Content) {
        self.line = line
        self.content = content
        perturbedAnswers = []
    }

    /// The prompt of a question: `Question: {q}\nAnswer:`.
    package static func prompt(forQuestion question: String) -> String { "Question: \(question)\nAnswer:" }
    /// The completion of an answer: ` {a}`.
    package static func completion(forAnswer answer: String) -> String { " \(answer)" }

    /// What is asked and what is answered, in a row that has both, before any layout.
    package var exchange: (prompt: String, answer: String)? {
        switch content {
        case .promptCompletion(let prompt, let completion): (prompt, completion)
        case .questionAnswer(let question, let answer): (question, answer)
        case .text, .inputIDs: nil
        }
    }

    /// Prompt and completion of a row that has them.
    package var promptAndCompletion: (prompt: String, completion: String)? {
        switch content {
        case .promptCompletion(let prompt, let completion): (prompt, completion)
        case .questionAnswer(let question, let answer):
            (Self.prompt(forQuestion: question), Self.completion(forAnswer: answer))
        case .text, .inputIDs: nil
        }
    }
}
