// SPDX-License-Identifier: Apache-2.0

/// A file to give to the daemon.
struct SourceEntry: Hashable, Sendable {
    /// What it is called in the model's directory, with `/` between components.
    var name: String
    /// Where it is.
    var path: String
}
