// SPDX-License-Identifier: Apache-2.0

import Protocol

/// A set of rows under its name.
package struct EvaluationSet: Sendable {
    /// The name of its figures.
    package let name: String
    /// What a good model does with it.
    package let role: UtilitySet.Role
    package let rows: [EvaluationRow]
    /// Most tokens of a continuation.
    package var maxNewTokens = MethodDefaults.measuredNewTokens
    /// A continuation's text ends where the first of these begins.
    package var stops: [String] = []

    /// A set under its name.
    package init(name: String, role: UtilitySet.Role, rows: [EvaluationRow]) {
        self.name = name
        self.role = role
        self.rows = rows
    }

    /// A set of examples alone.
    package init(name: String, examples: [Example]) {
        self.init(
            name: name, role: name == "forget" ? .forget : .keep, rows: EvaluationRow.rows(of: examples))
    }

    /// The rows' examples in order.
    package var examples: [Example] { rows.flatMap(\.windows) }
}
