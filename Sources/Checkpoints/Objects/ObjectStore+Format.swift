// SPDX-License-Identifier: Apache-2.0

extension ObjectStore {
    /// Refuses a store that a newer version wrote, without touching anything of it. A directory that holds none is no fault.
    /// - Throws: ``CheckpointError`` of the kind `newerFormat`, or `corrupt` for a FORMAT file that cannot be read.
    package static func refuseForeign(
        root: String, kind: Kind = .state, fileSystem: any FileSystem = PosixFileSystem()
    ) throws {
        guard try fileSystem.status(root + "/FORMAT") != nil else { return }
        try StoreFormat.check(root: root, kind: kind, fileSystem)
    }
}
