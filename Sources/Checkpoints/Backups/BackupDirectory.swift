// SPDX-License-Identifier: Apache-2.0

import Protocol

/// A backup on disk: an object store, and `generations/<n>/` with a manifest and a copy of the database each.
///
/// A generation is made as `generations/new` and renamed when everything that it needs is durable. Nothing that a
/// published generation needs is removed or overwritten with other content. One process writes at a time.
package struct BackupDirectory: Sendable {
    /// The directory.
    package let root: String
    /// The objects of all generations.
    package let store: ObjectStore
    /// The keys of an encrypted backup, where it was opened with the master key.
    package let ring: KeyRing?
    private let fileSystem: any FileSystem

    private var generationsPath: String { root + "/generations" }
    /// Where a generation is made.
    package var newPath: String { generationsPath + "/new" }

    /// With what a backup is opened. A new one is encrypted if it is opened with a master key.
    package enum Access: Sendable {
        /// Of an encrypted one only what is not encrypted can be read.
        case plain
        /// For whoever alone writes it: leftovers of its key ring are destroyed.
        case master(MasterKey)
        /// Nothing in the directory changes.
        case reading(MasterKey)
        case handed(HandedKeys)

        var master: MasterKey? {
            switch self {
            case .master(let key), .reading(let key): key
            case .plain, .handed: nil
            }
        }
        var keys: HandedKeys? { if case .handed(let keys) = self { keys } else { nil } }
        var isWriting: Bool { if case .master = self { true } else { false } }
    }

    /// Opens a backup that is there, or makes one in an empty directory.
    /// - Parameters:
    ///   - making: Whether an empty directory may become one.
    ///   - access: The keys; those of a backup that is not encrypted are left alone.
    /// - Throws: ``CheckpointError``: `.missing` where there is none, `.unsupported` for a directory that has something
    ///   else in it, `.locked` for the wrong master key, `.corrupt`, `.newerFormat`, `.ioFailure`, `.storageFull`.
    package init(
        root: String, making: Bool, access: Access = .plain, fileSystem: any FileSystem = PosixFileSystem()
    ) throws {
        self.root = root
        self.fileSystem = fileSystem
        if try !Self.isBackup(root, fileSystem) {
            guard making else {
                throw CheckpointError(
                    .missing, "\(root) is no backup directory: it has no FORMAT",
                    hint: "check the path, and whether its disk is mounted")
            }
            let foreign = try Checkpoints.store(root) {
                try fileSystem.list(root).filter { name in
                    // What an earlier attempt made before FORMAT, and what a new file system has.
                    !["objects", "datasets", "staging", "quarantine", "keys", "lost+found"].contains(name)
                        && !name.hasPrefix("FORMAT.")
                }
            }
            guard foreign.isEmpty else {
                throw CheckpointError(
                    .unsupported,
                    "\(root) is neither empty nor a backup: it has \(quoted(foreign.sorted()[0]))",
                    hint: "name an empty directory")
            }
        }
        let isEncrypted = try ObjectStore.isEncrypted(root: root, fileSystem: fileSystem)
        if isEncrypted != false, let master = access.master {
            ring = try KeyRing.open(
                root: root, master: master, making: isEncrypted == nil, cleaning: access.isWriting,
                fileSystem: fileSystem)
        } else {
            ring = nil
        }
        let keys: (any StoreKeys)? = if let ring { ring } else { isEncrypted == false ? nil : access.keys }
        store = try ObjectStore(root: root, kind: .backup, keys: keys, fileSystem: fileSystem)
        try Checkpoints.store(root) {
            if try fileSystem.makeDirectory(root + "/generations", mode: 0o700) {
                try fileSystem.synchronizeDirectory(root)
            }
        }
    }

    /// Whether a backup was made there before.
    package static func isBackup(_ root: String, _ fileSystem: any FileSystem = PosixFileSystem()) throws
        -> Bool
    {
        try Checkpoints.store(root) { try fileSystem.status(root + "/FORMAT") != nil }
    }

    // MARK: Generations

    /// The numbers of the published generations, oldest first.
    package func generations() throws -> [Int] {
        try Checkpoints.store("the generations of \(root)") {
            try fileSystem.list(generationsPath).compactMap { name in
                Int(name).flatMap { $0 > 0 && "\($0)" == name ? $0 : nil }
            }.sorted()
        }
    }

    private func path(of sequence: Int) -> String { "\(generationsPath)/\(sequence)" }

    /// What a generation has.
    /// - Throws: ``CheckpointError``: `.missing`, `.corrupt`, `.newerFormat`, `.ioFailure`.
    package func manifest(_ sequence: Int) throws -> BackupManifest {
        let manifest = try readManifest(in: path(of: sequence))
        guard manifest.sequence == sequence else {
            throw CheckpointError(
                .corrupt, "\(path(of: sequence)) has the manifest of generation \(manifest.sequence)",
                hint: "put the directories back under their own numbers")
        }
        return manifest
    }

    /// The file of a generation's copy of the database.
    package func database(of manifest: BackupManifest) -> String {
        path(of: manifest.sequence) + "/\(manifest.database.sha256.hex).sqlite"
    }

    /// Copies a generation's database to a new file, durably, if it is what the manifest says.
    /// - Throws: ``CheckpointError``: `.corrupt`, `.missing`, `.ioFailure`, `.storageFull`.
    package func copyDatabase(of manifest: BackupManifest, to target: String) throws {
        let source = database(of: manifest)
        var hash = ContentHash()
        try Checkpoints.store("the database copy of generation \(manifest.sequence)") {
            try fileSystem.with(target, .create) { output in
                try read(source) { bytes in
                    hash.update(bytes)
                    try fileSystem.write(output, bytes)
                }
                try fileSystem.synchronize(output)
            }
        }
        guard hash.finish() == manifest.database.sha256 else {
            throw CheckpointError(
                .corrupt, "\(source) does not hash to its name: the database copy is damaged",
                hint: "use another generation; to give this one up, remove its directory")
        }
    }

    // MARK: Writing

    /// Removes what an unfinished backup left and makes an empty `generations/new`.
    package func begin() throws {
        _ = try store.sweepStaging()
        try Checkpoints.store("\(newPath)") {
            if try fileSystem.status(newPath) != nil {
                for name in try fileSystem.list(newPath) { try fileSystem.unlink(newPath + "/" + name) }
                try fileSystem.removeDirectory(newPath)
            }
            _ = try fileSystem.makeDirectory(newPath, mode: 0o700)
        }
    }

    /// Makes a file that SQLite has written durable, under its hash as its name, in `generations/new`.
    package func adoptDatabase(_ file: String) throws -> BackupManifest.DatabaseCopy {
        try adopt(file, in: newPath)
    }

    private func adopt(_ file: String, in directory: String) throws -> BackupManifest.DatabaseCopy {
        try Checkpoints.store("the database copy in \(root)") {
            var hash = ContentHash()
            var size = 0
            try read(file) { bytes in
                hash.update(bytes)
                size += bytes.count
            }
            try fileSystem.with(file, .read) { try fileSystem.synchronize($0) }
            let digest = hash.finish()
            try fileSystem.rename(file, to: "\(directory)/\(digest.hex).sqlite")
            // Before a manifest names it.
            try fileSystem.synchronizeDirectory(directory)
            return BackupManifest.DatabaseCopy(sha256: digest, bytes: size)
        }
    }

    /// Writes down what the new generation will be, for the process that copies the objects.
    package func writeDraft(_ manifest: BackupManifest) throws { try write(manifest, in: newPath) }

    /// What the new generation will be.
    package func draft() throws -> BackupManifest { try readManifest(in: newPath) }

    /// Publishes the generation in `generations/new`; its objects are durable.
    package func publish(_ manifest: BackupManifest) throws {
        try write(manifest, in: newPath)
        try Checkpoints.store("generation \(manifest.sequence) of \(root)") {
            try fileSystem.rename(newPath, to: path(of: manifest.sequence))
            try fileSystem.synchronizeDirectory(generationsPath)
        }
    }

    /// Gives a published generation another database and manifest: the manifest is what decides, and is replaced at once.
    ///
    /// - Parameters:
    ///   - file: The new database, in the generation's file system; it is moved.
    ///   - change: Makes the new manifest of the old one.
    package func rewrite(
        _ manifest: BackupManifest, database file: String, _ change: (inout BackupManifest) throws -> Void
    ) throws {
        let directory = path(of: manifest.sequence)
        var new = manifest
        new.database = try adopt(file, in: directory)
        try change(&new)
        try write(new, in: directory)
        if new.database != manifest.database {
            try Checkpoints.store("generation \(manifest.sequence) of \(root)") {
                try fileSystem.unlink(database(of: manifest))
                try fileSystem.synchronizeDirectory(directory)
            }
        }
    }

    /// Removes every object, dataset and database copy that no published generation needs.
    /// - Returns: The objects that went, and the bytes of their files.
    package func removeUnneeded() throws -> (objects: Int, bytes: Int) {
        var objects: Set<Digest> = []
        var datasets: Set<Digest> = []
        for sequence in try generations() {
            let manifest = try manifest(sequence)
            objects.formUnion(manifest.objects.map(\.id))
            datasets.formUnion(manifest.datasets)
            let kept = [manifest.database.sha256.hex + ".sqlite", "manifest.json"]
            try Checkpoints.store("generation \(sequence) of \(root)") {
                // A database copy whose manifest was replaced in the moment before a crash.
                let left = try fileSystem.list(path(of: sequence)).filter { !kept.contains($0) }
                for name in left { try fileSystem.unlink(path(of: sequence) + "/" + name) }
                if !left.isEmpty { try fileSystem.synchronizeDirectory(path(of: sequence)) }
            }
        }
        for id in try store.listDatasets() where !datasets.contains(id) { _ = try store.removeDataset(id) }
        var removed = (objects: 0, bytes: 0)
        for id in try store.list() where !objects.contains(id) {
            try Checkpoints.store("object \(id.short)") {
                let path = store.path(of: id)
                guard let status = try fileSystem.status(path) else { return }
                try fileSystem.unlink(path)
                removed.objects += 1
                removed.bytes += status.size
            }
        }
        try Checkpoints.store("the quarantine of \(root)") {
            for name in try fileSystem.list(root + "/quarantine") {
                try fileSystem.unlink(root + "/quarantine/" + name)
            }
            // Also for what a run before this one removed that was cut off.
            try fileSystem.synchronizeFileSystem(of: root)
        }
        return removed
    }

    /// The objects that are still needed for fewer versions and datasets.
    /// - Throws: ``CheckpointError`` where a manifest or dataset cannot be read here.
    package func objects(
        of manifest: BackupManifest, manifests: [Digest], datasets: [Digest]
    ) throws -> [BackupManifest.Object] {
        var needed = Set(manifests)
        for id in manifests { needed.formUnion(try store.manifest(id).objects) }
        for id in datasets { needed.formUnion(try store.datasetRegions(id).map(\.id)) }
        return manifest.objects.filter { needed.contains($0.id) }
    }

    // MARK: Files

    private func readManifest(in directory: String) throws -> BackupManifest {
        let path = directory + "/manifest.json"
        var bytes: [UInt8] = []
        try Checkpoints.store(path) { try read(path) { bytes += $0 } }
        return try BackupManifest(serialized: bytes, path: path)
    }

    private func write(_ manifest: BackupManifest, in directory: String) throws {
        let bytes = try manifest.serialized()
        try Checkpoints.store("\(directory)/manifest.json") {
            let temporary = directory + "/manifest.json." + randomName()
            try fileSystem.with(temporary, .create) { descriptor in
                try bytes.withUnsafeBytes { try fileSystem.write(descriptor, $0) }
                try fileSystem.synchronize(descriptor)
            }
            try fileSystem.rename(temporary, to: directory + "/manifest.json")
            try fileSystem.synchronizeDirectory(directory)
        }
    }

    /// Gives `body` the file's bytes from the first to the last, a piece at a time.
    private func read(_ path: String, _ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        try fileSystem.with(path, .read) { descriptor in
            guard try fileSystem.status(descriptor).kind == .regular else { throw ObjectFault.notAFile }
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
            defer { buffer.deallocate() }
            var offset = 0
            while true {
                let count = try fileSystem.read(descriptor, into: buffer, at: offset)
                if count == 0 { return }
                try body(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
                offset += count
            }
        }
    }
}
