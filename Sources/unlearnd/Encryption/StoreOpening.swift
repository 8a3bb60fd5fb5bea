// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Protocol

/// The store of a state directory, opened as it was made: encrypted or not.
struct StoreOpening {
    let store: ObjectStore
    /// The keys of an encrypted one.
    let ring: KeyRing?
    let master: MasterKey?

    /// Opens the store, or makes one.
    /// - Parameter wanted: What the configuration says of encryption; `nil`: as the store is, and a new one is not.
    /// - Throws: ``StartupError``, `CheckpointError`.
    init(_ root: String, encryption wanted: Bool?, master source: MasterKeySource) throws {
        let found = try ObjectStore.isEncrypted(root: root)
        switch (found, wanted) {
        case (true, false):
            throw StartupError(
                .encryption, "encryption is off in the configuration, and the store in \(root) is encrypted",
                hint:
                    "leave the key out; for a store that is not, name another state directory, and export and import "
                    + "the models")
        case (false, true):
            throw StartupError(
                .encryption,
                "encryption is on in the configuration, and the store in \(root) is not encrypted",
                hint:
                    "that is decided when a store is made: back it up, then unlearnd restore --encrypt into an empty "
                    + "directory, and destroy the old one and its backups")
        default: break
        }
        guard found ?? wanted ?? false else {
            (store, ring, master) = (try ObjectStore(root: root), nil, nil)
            return
        }
        let key = try source.read(besides: root)
        let ring = try KeyRing.open(root: root, master: key, making: found == nil)
        store = try ObjectStore(root: root, keys: ring)
        (self.ring, master) = (ring, key)
    }
}
