// SPDX-License-Identifier: Apache-2.0

import Protocol

/// The exit statuses; under this name because the argument parser has an `ExitCode` of its own.
package typealias Status = ExitCode

/// Why a command ends: what a person reads, and the status that a script reads.
package struct ClientError: Error, Hashable, Sendable, CustomStringConvertible {
    package var status: Status
    /// The thing and the rule that it breaks; empty when everything was said before.
    package var message: String
    /// What to do about it.
    package var hint: String?
    /// The daemon's own words, where it was the daemon that refused.
    package private(set) var answer: RPCError?

    /// A reason from its parts.
    package init(_ status: Status, _ message: String, hint: String? = nil) {
        self.status = status
        self.message = message
        self.hint = hint
    }

    /// What the daemon answered.
    package init(_ error: RPCError) {
        var message = error.message
        if error.kind == .methodNotFound { message += " (the daemon is older than this client)" }
        self.init(error.kind.exitCode, message, hint: error.hint)
        answer = error
    }

    /// A fault of a dataset's form.
    package init(_ error: DatasetError) { self.init(.badInput, error.message, hint: error.hint) }

    /// Ends the process with `status` and says nothing more.
    package static func silent(_ status: Status) -> ClientError { ClientError(status, "") }

    package var description: String { message }
}
