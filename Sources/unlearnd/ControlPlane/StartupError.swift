// SPDX-License-Identifier: Apache-2.0

/// Why the daemon does not start. It has changed nothing.
package struct StartupError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The kinds of refusal.
    package enum Code: String, Hashable, Sendable {
        /// The state directory cannot be made or used.
        case stateDirectory
        /// Another daemon holds the state directory.
        case locked
        /// Workers of an earlier daemon do not end.
        case workersAlive
        /// The database cannot be read, or was written by a newer version.
        case database
        /// The object store cannot be used.
        case store
        /// The store is encrypted and cannot be opened, or is not what the configuration says.
        case encryption
    }

    package var code: Code
    /// The thing and the rule.
    package var message: String
    /// The remedy.
    package var hint: String

    /// A refusal from its parts.
    package init(_ code: Code, _ message: String, hint: String) {
        self.code = code
        self.message = message
        self.hint = hint
    }

    package var description: String { "\(message); \(hint)" }
}
