// SPDX-License-Identifier: Apache-2.0

import Protocol

/// The objects on disk, addressed by the SHA-256 of their raw bytes, and the datasets' references to them.
///
/// An object's content never changes; how it is stored may, between in full and as a delta against another. The tree
/// itself is the index: `FORMAT`, `objects/ab/cd/<id>`, `datasets/ab/<id>`, `staging/<transaction>/`, `quarantine/`,
/// `gc.lock`, `optimize.lock`, and in an encrypted store `keys/ring.<n>`. Safe for many threads and processes at once. Knows nothing of models, versions or jobs.
package final class ObjectStore: Sendable {
    /// The directory that holds everything.
    package let root: String
    let fileSystem: any FileSystem
    let codecs = CodecPool()
    /// Whether all object files are sealed; decided when the store is made.
    package let isEncrypted: Bool
    /// What opens and seals them; without it an encrypted store cannot be read.
    let keys: (any StoreKeys)?

    /// Whose objects they are.
    package enum Kind: String, Sendable {
        /// A daemon's.
        case state = "unlearnd"
        /// A backup's: nothing of it is collected by what some daemon's database says.
        case backup = "unlearnd-backup"

        var words: String {
            switch self {
            case .state: "an unlearnd state directory"
            case .backup: "a backup directory of unlearnd"
            }
        }
    }

    /// Opens the store at `root`, making it if it is not there.
    /// - Parameter keys: What an encrypted store is read and written with; a new one is encrypted if they are given.
    /// - Throws: ``CheckpointError``: `.newerFormat` when a later version wrote it, `.corrupt` for a broken
    ///   FORMAT file, `.locked` for keys to a store that is not encrypted, `.ioFailure` and `.storageFull`.
    package init(
        root: String, kind: Kind = .state, keys: (any StoreKeys)? = nil,
        fileSystem: any FileSystem = PosixFileSystem()
    ) throws {
        self.root = root
        self.fileSystem = fileSystem
        self.keys = keys
        isEncrypted = try store("the store at \(root)") {
            for directory in ["", "/objects", "/datasets", "/staging", "/quarantine"] {
                _ = try fileSystem.makeDirectory(root + directory, mode: 0o700)
            }
            try StoreFormat.check(
                root: root, kind: kind, features: keys == nil ? [] : [.encryption], fileSystem)
            // Always: whoever made what is here may have been cut off before it was durable.
            try fileSystem.synchronizeDirectory(root)
            return try StoreFormat.has(.encryption, root: root, fileSystem)
        }
        guard isEncrypted || keys == nil else {
            throw CheckpointError(
                .locked, "the store at \(root) is not encrypted, and keys were given for it",
                hint: "whether a store is encrypted is decided when it is made")
        }
    }

    /// What is known of an object without decoding it.
    package struct Info: Hashable, Sendable {
        package var kind: ObjectKind
        package var dtype: DType?
        /// Bytes of the content.
        package var rawSize: Int
        /// Bytes of the file.
        package var storedSize: Int
        /// When it was last written or asked for by a writer, nanoseconds since 1970.
        package var modified: Int64
        /// The object that it is stored as a difference from; `nil` when it is stored in full.
        package var base: Digest?
        /// Bytes of the file that it would have in full; those that it has when it is stored so.
        package var fullSize: Int
    }

    /// Begins to write: objects go through a transaction, whose `sync` makes them durable.
    package func begin() throws -> StoreTransaction { try StoreTransaction(self) }

    /// Reads an object and checks it against its name.
    /// - Throws: ``CheckpointError``: `.missing`, `.corrupt`, `.newerFormat`, `.ioFailure`.
    package func get(_ id: Digest) throws -> [UInt8] {
        let (raw, delta) = try read(path: path(of: id), "object \(id.short)") {
            file, header, codec -> ([UInt8], Int?) in
            guard header.id == id else { throw ObjectFault.name }
            if header.base != nil { return ([], header.rawSize) }
            let raw = try Self.decode(file, header, codec)
            guard ContentHash.of(raw) == id else { throw ObjectFault.content }
            return (raw, nil)
        }
        guard let delta else { return raw }
        return try [UInt8](unsafeUninitializedCapacity: delta) { buffer, count in
            try assemble(id, into: UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: delta))
            count = delta
        }
    }

    /// Reads an object into the front of `buffer` and checks it against its name; returns its size.
    /// - Throws: as ``get(_:)``; `.corrupt` also when the buffer is too small.
    package func get(_ id: Digest, into buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        let (size, isDelta) = try read(path: path(of: id), "object \(id.short)") { file, header, codec in
            guard header.id == id else { throw ObjectFault.name }
            guard header.rawSize <= buffer.count else { throw ObjectFault.tooLong(UInt64(header.rawSize)) }
            if header.base != nil { return (header.rawSize, true) }
            let target = UnsafeMutableRawBufferPointer(rebasing: buffer[..<header.rawSize])
            try codec.decode(file, header, into: target)
            guard ContentHash.of(UnsafeRawBufferPointer(target)) == id else { throw ObjectFault.content }
            return (header.rawSize, false)
        }
        if isDelta { try assemble(id, into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<size])) }
        return size
    }

    /// What the object's head says, or `nil` when it is not there.
    /// - Throws: ``CheckpointError``: `.corrupt`, `.newerFormat`, `.ioFailure`.
    package func stat(_ id: Digest) throws -> Info? {
        let name = path(of: id)
        return try store("object \(id.short)") {
            let (header, status): (ObjectHeader, FileStatus)
            do {
                (header, status) = try headAndStatus(name)
            } catch let error as FileSystemError where error.isMissing {
                return nil
            }
            guard header.id == id else { throw ObjectFault.name }
            return Info(
                kind: header.kind, dtype: header.dtype, rawSize: header.rawSize, storedSize: status.size,
                modified: status.modified, base: header.base,
                fullSize: header.base == nil ? status.size : header.fullSize)
        }
    }

    /// Whether an object of that name with a sound head is there.
    package func contains(_ id: Digest) -> Bool { (try? stat(id)) != nil }

    /// Reads the stored bytes and checks their checksums, without decoding: finds rot, not malice.
    func check(_ id: Digest) throws {
        try read(path: path(of: id), "object \(id.short)") { file, header, codec in
            guard header.id == id else { throw ObjectFault.name }
            try codec.check(file, header)
        }
    }

    /// The names of all objects, in order.
    package func list() throws -> [Digest] {
        try store("the list of objects") {
            var found: [Digest] = []
            for first in try fileSystem.list(root + "/objects") where first.utf8.count == 2 {
                for second in try fileSystem.list(root + "/objects/" + first) where second.utf8.count == 2 {
                    let prefix = first + second
                    for name in try fileSystem.list(root + "/objects/\(first)/\(second)") {
                        if let id = Digest(hex: name), name.hasPrefix(prefix) { found.append(id) }
                    }
                }
            }
            return found.sorted()
        }
    }

    /// Removes an object without asking whether anyone needs it, durably. False when it was not there.
    package func remove(_ id: Digest) throws -> Bool {
        try store("object \(id.short)") {
            do {
                try fileSystem.unlink(path(of: id))
            } catch let error as FileSystemError where error.isMissing {
                return false
            }
            try fileSystem.synchronizeDirectory(directory(of: id))
            return true
        }
    }

    /// Removes what transactions left behind that no living process owns; returns how many.
    package func sweepStaging() throws -> Int {
        try store("the staging directory") {
            var swept = 0
            for name in try fileSystem.list(root + "/staging") {
                let path = root + "/staging/" + name
                guard try fileSystem.status(path)?.kind == .directory else { continue }
                try fileSystem.with(path, .directory) { descriptor in
                    // A transaction holds the lock for as long as its process lives.
                    guard try fileSystem.lock(descriptor, exclusive: true, wait: false) else { return }
                    for file in try fileSystem.list(path) { try fileSystem.unlink(path + "/" + file) }
                    try fileSystem.removeDirectory(path)
                    swept += 1
                }
            }
            return swept
        }
    }

    /// Moves an object's file to `quarantine/`, so that a later write of the same bytes heals it.
    package func quarantine(_ id: Digest) throws {
        try store("object \(id.short)") {
            try fileSystem.rename(path(of: id), to: root + "/quarantine/\(id.hex).\(randomName().prefix(8))")
            try fileSystem.synchronizeDirectory(root + "/quarantine")
            try fileSystem.synchronizeDirectory(directory(of: id))
        }
    }

    func directory(of id: Digest) -> String { directory(hex: id.hex) }

    func path(of id: Digest) -> String {
        let hex = id.hex
        return directory(hex: hex) + "/" + hex
    }

    private func directory(hex: String) -> String {
        "\(root)/objects/\(hex.prefix(2))/\(hex.dropFirst(2).prefix(2))"
    }

    /// Runs `body` while no garbage collector removes anything (`exclusive` false), or as the only one to.
    func whileLocked<R>(exclusive: Bool, _ body: () throws -> R) throws -> R {
        try fileSystem.with(root + "/gc.lock", .lock) { descriptor in
            _ = try fileSystem.lock(descriptor, exclusive: exclusive, wait: true)
            return try body()
        }
    }

    /// The head of the object file at `path`.
    func head(_ path: String) throws -> ObjectHeader { try headAndStatus(path).header }

    private func headAndStatus(_ path: String) throws -> (header: ObjectHeader, status: FileStatus) {
        try opened(path) { descriptor in
            let status = try fileSystem.status(descriptor)
            guard status.kind == .regular else { throw ObjectFault.notAFile }
            let header = try withUnsafeTemporaryAllocation(byteCount: ObjectHeader.maximumSize, alignment: 8)
            {
                buffer in
                if isEncrypted {
                    let file = try sealedFile(descriptor, path, size: status.size)
                    try openPiece(0, of: file, key(of: file), descriptor, into: buffer)
                    return try ObjectHeader(
                        UnsafeRawBufferPointer(rebasing: buffer[..<file.inner]), fileSize: file.size)
                }
                let count = try fileSystem.read(descriptor, into: buffer, at: 0)
                return try ObjectHeader(
                    UnsafeRawBufferPointer(rebasing: buffer[..<count]), fileSize: status.size)
            }
            return (header, status)
        }
    }

    /// Opens an object file for reading. A link or a socket in its place is no file, as other things are that can be opened.
    private func opened<R>(_ path: String, _ body: (Int32) throws -> R) throws -> R {
        do {
            return try fileSystem.with(path, .read, body)
        } catch let error as FileSystemError where error.isNoFile { throw ObjectFault.notAFile }
    }

    /// Reads the object file at `path` and gives it to `body`; failures name `thing`.
    func read<R>(
        path: String, _ thing: String,
        _ body: (UnsafeRawBufferPointer, ObjectHeader, ObjectCodec) throws -> R
    ) throws -> R {
        try store(thing) { try readFile(path, body) }
    }

    /// Reads the object file at `path` and gives it to `body`; failures are as they come.
    func readFile<R>(
        _ path: String, _ body: (UnsafeRawBufferPointer, ObjectHeader, ObjectCodec) throws -> R
    ) throws -> R {
        try codecs.with { codec in
            let count = try fileSystem.with(path, .read) { descriptor in
                let status = try fileSystem.status(descriptor)
                guard status.kind == .regular else { throw ObjectFault.notAFile }
                if isEncrypted { return try openAll(descriptor, path, size: status.size, codec) }
                let limit = ObjectHeader.maximumSize + ZstdCompressor.bound(ObjectKind.manifest.limit)
                guard status.size <= limit else { throw ObjectFault.tooLong(UInt64(status.size)) }
                codec.input.reserve(status.size)
                let count = try fileSystem.read(descriptor, into: codec.input.prefix(status.size), at: 0)
                guard count == status.size else { throw ObjectFault.truncated }
                return count
            }
            let file = UnsafeRawBufferPointer(codec.input.prefix(count))
            return try body(file, try ObjectHeader(file, fileSize: count), codec)
        }
    }

    static func decode(
        _ file: UnsafeRawBufferPointer, _ header: ObjectHeader, _ codec: ObjectCodec
    ) throws -> [UInt8] {
        try [UInt8](unsafeUninitializedCapacity: header.rawSize) { buffer, count in
            let target = UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: header.rawSize)
            try codec.decode(file, header, into: target)
            count = header.rawSize
        }
    }
}

/// Gives failures of the file system and of object files their border form.
func store<R>(_ thing: String, _ body: () throws -> R) throws -> R {
    do {
        return try body()
    } catch let error as FileSystemError {
        throw CheckpointError(error, thing)
    } catch let fault as ObjectFault {
        if case .newer = fault {
            throw CheckpointError(
                .newerFormat, "\(thing) has a newer format: \(fault)", hint: "use the version that wrote it")
        }
        if case .locked = fault {
            throw CheckpointError(
                .locked, "\(thing) cannot be opened: \(fault)",
                hint: "try again; if it stays so, the key ring is not the one that it was written with")
        }
        throw CheckpointError(
            .corrupt, "\(thing) is damaged: \(fault)",
            hint: "run a full store verification; importing the same bytes again repairs it")
    }
}
