// SPDX-License-Identifier: Apache-2.0

import Protocol

/// A row as an attack by prompts sees it: what is asked, and what must not be answered.
package struct PromptRow: Sendable, Hashable {
    /// The line in its file, counted from 1.
    package let line: Int
    package let prompt: [Int32]
    /// Without an end token.
    package let answer: [Int32]

    /// The parts of an example: the answer begins at the first label or, where the whole row is labelled, in the
    /// middle. `nil` where one of the two would be empty.
    ///
    /// - Parameter ends: Tokens that end a text.
    package init?(_ example: Example, ends: Set<Int32>) {
        let first =
            example.labels.dropFirst().firstIndex { $0 != DatasetParser.unlabelled } ?? example.ids.count
        let cut = first <= 1 ? example.ids.count / 2 : first
        var answer = Array(example.ids[cut...])
        while let last = answer.last, ends.contains(last) { answer.removeLast() }
        guard cut > 0, !answer.isEmpty else { return nil }
        line = example.line
        prompt = Array(example.ids[..<cut])
        self.answer = answer
    }

    /// The share of `answer` that `generated` has in the same order, gaps allowed: ROUGE-L's recall, over tokens.
    package static func recall(of answer: [Int32], in generated: [Int32]) -> Double {
        guard !answer.isEmpty else { return 0 }
        var row = [Int](repeating: 0, count: generated.count + 1)
        for token in answer {
            var diagonal = 0
            for index in generated.indices {
                let above = row[index + 1]
                row[index + 1] = token == generated[index] ? diagonal + 1 : max(above, row[index])
                diagonal = above
            }
        }
        return Double(row[generated.count]) / Double(answer.count)
    }
}
