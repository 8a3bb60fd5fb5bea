// SPDX-License-Identifier: Apache-2.0

/// Where an encrypted store gets its keys from.
package protocol StoreKeys: Sendable {
    /// The key of that name; `nil` where there is none, or none any more.
    func key(_ name: KeyName) -> VersionKey?
    /// A key to write with, in the ring for good before this returns.
    /// - Throws: ``CheckpointError``: `.locked` for whoever may only read; what the disk says.
    func lend() throws -> VersionKey
    /// Nothing more is written with a key that was lent.
    func giveBack(_ name: KeyName)
}
