// SPDX-License-Identifier: Apache-2.0

/// What the engine refuses or cannot do, in words an operator can act on.
package struct EngineError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of fault.
    package enum Code: String, Sendable, Hashable {
        /// A model's configuration is malformed or contradicts itself.
        case invalidConfiguration
        /// The model is sound, but the engine cannot compute with it.
        case unsupportedModel
        /// A checkpoint's tensors are not those that its configuration describes.
        case tensorMismatch
        /// Tokens, labels or lengths that no model could take.
        case invalidBatch
        /// This processor or BLAS build lacks what the engine needs.
        case unsupportedMachine
        /// Memory or threads could not be had.
        case resources
        /// A card failed in the middle of its work.
        case deviceFailure
        /// Another rank, or the way to it, failed in the middle of the work.
        case rankFailure
    }

    package let code: Code
    /// The thing and the rule that it breaks.
    package let message: String
    /// What to do about it.
    package let hint: String

    /// An error of `code`.
    package init(_ code: Code, _ message: String, hint: String) {
        self.code = code
        self.message = message
        self.hint = hint
    }

    package var description: String { "\(message). \(hint)" }
}
