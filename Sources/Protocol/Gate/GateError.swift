// SPDX-License-Identifier: Apache-2.0

/// What is wrong with a gate's text, or with the data given for it.
package struct GateError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The condition as written; empty when the fault is the whole gate's.
    package let condition: String
    /// The thing and the rule that it breaks.
    package let message: String
    /// What to do about it.
    package let hint: String

    /// A fault of one condition.
    package init(condition: String, message: String, hint: String) {
        self.condition = condition
        self.message = message
        self.hint = hint
    }

    package var description: String { "\(message). \(hint)" }
}
