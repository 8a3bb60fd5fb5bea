// SPDX-License-Identifier: Apache-2.0

/// Training left the finite numbers.
package struct DivergenceError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What became NaN or infinite, and when.
    package let message: String
    /// What to do about it.
    package let hint: String

    init(_ message: String) {
        self.message = message
        hint = "Lower --learning-rate or --epochs, or cap the forget loss with --max-forget-loss."
    }

    package var description: String { "\(message). \(hint)" }
}
