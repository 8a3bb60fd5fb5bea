// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Object files in an encrypted store.
extension ObjectStore {
    /// Whether the store at `root` is encrypted; `nil` where there is none yet.
    /// - Throws: ``CheckpointError`` `.corrupt`, `.ioFailure`.
    package static func isEncrypted(
        root: String, fileSystem: any FileSystem = PosixFileSystem()
    ) throws -> Bool? {
        try store("the store at \(root)") { try StoreFormat.isEncrypted(root: root, fileSystem) }
    }

    /// The heads of all object files and datasets' lists that can be read, in no order.
    /// - Throws: ``CheckpointError`` `.ioFailure` of the disk; files without a sound head are left out.
    func sealedFiles() throws -> [SealedFile] {
        let paths = try list().map(path(of:)) + listDatasets().map(datasetPath)
        return try store("the objects") {
            try paths.compactMap { path in
                do {
                    return try fileSystem.with(path, .read) { descriptor in
                        try sealedFile(descriptor, path, size: try fileSystem.status(descriptor).size)
                    }
                } catch is ObjectFault {
                    return nil
                } catch let error as FileSystemError where error.isMissing {
                    return nil
                }
            }
        }
    }

    func sealedFile(_ descriptor: Int32, _ path: String, size: Int) throws -> SealedFile {
        guard let name = sealedName(path) else { throw ObjectFault.name }
        return try withUnsafeTemporaryAllocation(byteCount: SealedFile.headSize, alignment: 8) { buffer in
            let count = try fileSystem.read(descriptor, into: buffer, at: 0)
            return try SealedFile(
                UnsafeRawBufferPointer(rebasing: buffer[..<count]), name, fileSize: size)
        }
    }

    /// What a file is sealed as: its last name, without what a quarantine adds.
    private func sealedName(_ path: String) -> SealedFile.Name? {
        let last = path[(path.lastIndex(of: "/").map(path.index(after:)) ?? path.startIndex)...]
        return Digest(hex: String(last.prefix(64))).map {
            SealedFile.Name(isDataset: path.hasPrefix(root + "/datasets/"), digest: $0)
        }
    }

    func lacksKeys() -> CheckpointError {
        CheckpointError(
            .locked, "the store at \(root) is encrypted, and its keys are not at hand",
            hint: "give the master key: master_key_file, --master-key-file or the credential")
    }

    func key(of file: SealedFile) throws -> SealingKey {
        guard let keys else { throw lacksKeys() }
        guard let key = keys.key(file.key)?.key(of: file) else {
            throw ObjectFault.locked("its key \(file.key) is not in the ring, or was destroyed")
        }
        return key
    }

    /// Reads one piece and opens it into the front of `target`.
    func openPiece(
        _ piece: Int, of file: SealedFile, _ key: SealingKey, _ descriptor: Int32,
        into target: UnsafeMutableRawBufferPointer
    ) throws {
        let (plain, sealed) = (file.plain(piece), file.sealed(piece))
        guard target.count >= plain.count else { throw ObjectFault.tooLong(UInt64(plain.count)) }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: sealed.count, alignment: 16)
        defer { buffer.deallocate() }
        guard try fileSystem.read(descriptor, into: buffer, at: sealed.lowerBound) == sealed.count else {
            throw ObjectFault.truncated
        }
        let isOpen = key.open(
            UnsafeRawBufferPointer(buffer), counter: UInt64(piece), bound: file.bound,
            into: UnsafeMutableRawBufferPointer(rebasing: target[..<plain.count]))
        guard isOpen else { throw ObjectFault.seal("the seal of its piece \(piece) is broken") }
    }

    /// Opens a whole file into `codec.input`; returns the bytes of the object file.
    func openAll(_ descriptor: Int32, _ path: String, size: Int, _ codec: ObjectCodec) throws -> Int {
        let file = try sealedFile(descriptor, path, size: size)
        let key = try key(of: file)
        codec.input.reserve(file.size)
        for piece in 0..<file.pieces {
            let plain = file.plain(piece)
            try openPiece(
                piece, of: file, key, descriptor,
                into: UnsafeMutableRawBufferPointer(rebasing: codec.input.bytes[plain]))
        }
        return file.size
    }

    /// Seals an object file for a path, gives the result to `write` piece by piece, and returns its size. Every piece is
    /// opened again before it is written.
    func seal(
        _ bytes: UnsafeRawBufferPointer, _ key: VersionKey, _ path: String,
        _ write: (UnsafeRawBufferPointer) throws -> Void
    ) throws -> Int {
        guard let name = sealedName(path) else { throw ObjectFault.name }
        let file = SealedFile(
            name, key: key.name, inner: try ObjectHeader(bytes, fileSize: bytes.count).size, size: bytes.count
        )
        guard let key = key.key(of: file) else { throw lacksKeys() }
        let (bound, scratch) = (file.bound, RawBuffer(max(file.inner, SealedFile.piece)))
        for piece in 0..<file.pieces {
            let plain = UnsafeRawBufferPointer(rebasing: bytes[file.plain(piece)])
            let sealed = try key.seal(plain, counter: UInt64(piece), bound: bound)
            let opened = scratch.prefix(plain.count)
            let isSame = sealed.withUnsafeBytes {
                key.open($0, counter: UInt64(piece), bound: bound, into: opened)
                    && equal(UnsafeRawBufferPointer(opened), plain)
            }
            guard isSame else { throw ObjectFault.content }
            // The first one with the head, so that short files are written at once.
            try (piece == 0 ? file.head + sealed : sealed).withUnsafeBytes(write)
        }
        return file.fileSize
    }

    /// The bytes that an object file has on disk.
    func sizeOnDisk(_ bytes: UnsafeRawBufferPointer) throws -> Int {
        guard isEncrypted else { return bytes.count }
        let name = SealedFile.Name(isDataset: false, digest: ContentHash().finish())
        return SealedFile(
            name, key: KeyName(), inner: try ObjectHeader(bytes, fileSize: bytes.count).size,
            size: bytes.count
        ).fileSize
    }
}
