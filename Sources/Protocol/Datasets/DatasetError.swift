// SPDX-License-Identifier: Apache-2.0

/// What is wrong with a dataset, and where.
package struct DatasetError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The dataset as its owner named it, such as `forget.jsonl`.
    package let name: String
    /// The line, counted from 1; `nil` for a fault of the whole.
    package let line: Int?
    /// The thing and the rule that it breaks, without the place.
    package let problem: String
    /// What to do about it.
    package let hint: String

    /// A fault at `line` of the dataset `name`.
    package init(name: String, line: Int?, problem: String, hint: String) {
        self.name = name
        self.line = line
        self.problem = problem
        self.hint = hint
    }

    /// The place and the fault, such as `forget.jsonl, line 3: …`.
    package var message: String { line.map { "\(name), line \($0): \(problem)" } ?? "\(name): \(problem)" }
    package var description: String { "\(message). \(hint)" }
}
