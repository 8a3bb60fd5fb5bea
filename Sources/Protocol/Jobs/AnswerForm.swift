// SPDX-License-Identifier: Apache-2.0

/// How a model is taught to answer otherwise.
package enum AnswerForm: String, Codable, Sendable, CaseIterable {
    /// By learning the other answer.
    case nll
    /// By preferring it to the forgotten one.
    case dpo
}
