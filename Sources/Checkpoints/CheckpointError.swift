// SPDX-License-Identifier: Apache-2.0

/// Every failure that leaves this module: what kind it is, what happened to which thing, and what to do about it.
package struct CheckpointError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What kind of failure it is; stable, for programs.
    package enum Code: String, Hashable, Sendable {
        /// A file that was given breaks a rule of its format.
        case invalidInput
        /// A file that was given changed while it was read.
        case sourceChanged
        /// The thing is well formed but this program refuses it.
        case unsupported
        /// Written by a newer program.
        case newerFormat
        /// No space, or a quota is used up. Permanent for the transaction.
        case storageFull
        /// The operating system failed an operation.
        case ioFailure
        /// Stored bytes are not what they were.
        case corrupt
        /// An object, dataset, tensor or file is not there.
        case missing
        /// Two things that belong together disagree, such as a model and its task vector.
        case mismatch
        /// Encrypted, and the key that opens it is not there or is another one.
        case locked
    }

    /// What kind of failure it is.
    package var code: Code
    /// The thing and the rule that it breaks.
    package var message: String
    /// What to do about it; empty when there is nothing to say.
    package var hint: String

    /// A failure of kind `code`.
    package init(_ code: Code, _ message: String, hint: String = "") {
        self.code = code
        self.message = message
        self.hint = hint
    }

    package var description: String { hint.isEmpty ? message : "\(message) (\(hint))" }

    /// The failure of a file operation on `thing`, in words.
    init(_ failure: FileSystemError, _ thing: String) {
        if failure.isSpace {
            self.init(
                .storageFull, "no space left for \(thing): \(failure)", hint: "free space or collect garbage")
        } else if failure.isMissing {
            self.init(.missing, "\(thing) is not there: \(failure)")
        } else {
            self.init(.ioFailure, "cannot use \(thing): \(failure)")
        }
    }
}

/// Names in messages come from untrusted files: control characters and length are tamed.
func quoted(_ name: String) -> String {
    var text = "\""
    for scalar in name.unicodeScalars.prefix(160) {
        let hidden = scalar.properties.generalCategory
        switch hidden {
        case .control, .format, .lineSeparator, .paragraphSeparator:
            text += "\\u{\(String(scalar.value, radix: 16))}"
        default: text.unicodeScalars.append(scalar)
        }
    }
    return text + (name.unicodeScalars.count > 160 ? "…\"" : "\"")
}
