// SPDX-License-Identifier: Apache-2.0

/// The keys of an encrypted store, as a worker is handed them: in its order, and later, as a line of its own after the
/// order, those of other writers that begin beside it.
package struct WorkerKeys: Codable, Hashable, Sendable {
    /// All keys, or those that are new, in base 64.
    package var keys: String
    /// The name of the one to write with, in base 64; `null` for a worker that only reads.
    package var writing: String?

    /// Keys.
    package init(keys: String, writing: String? = nil) {
        self.keys = keys
        self.writing = writing
    }
}
