// SPDX-License-Identifier: Apache-2.0

/// Why a tokenizer could not be made from its files.
package struct TokenizerError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What kind of fault it is.
    package enum Code: String, Hashable, Sendable {
        /// A file is not what a `tokenizer.json` must be.
        case invalid
        /// The file is sound but asks for a part that is not implemented.
        case unsupported
    }

    package let code: Code
    /// The thing and the rule that it breaks.
    package let message: String
    /// What to do about it.
    package let hint: String

    package init(code: Code, message: String, hint: String) {
        self.code = code
        self.message = message
        self.hint = hint
    }

    package var description: String { "\(message). \(hint)" }

    static func invalid(_ message: String) -> TokenizerError {
        TokenizerError(
            code: .invalid, message: message,
            hint:
                "Export the tokenizer again with the Hugging Face tokenizers library and import the model anew."
        )
    }

    static func unsupported(_ message: String, supported: String) -> TokenizerError {
        TokenizerError(
            code: .unsupported, message: message,
            hint: "Supported: \(supported). Rows of input_ids need no tokenizer.")
    }
}
