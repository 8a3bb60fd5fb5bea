// SPDX-License-Identifier: Apache-2.0

import Protocol
import Synchronization

/// Objects being added together.
///
/// `put` from any number of threads, then `sync`: only after it are the objects durable. Whatever happens to the
/// transaction, what it has put is valid and harmless; what no manifest names is garbage.
package final class StoreTransaction: Sendable {
    private let store: ObjectStore
    private let staging: String
    private let lock: Int32
    private let state = Mutex(State())

    private struct State {
        var touched: Set<String> = []
        var newObjects = 0
        var newBytes = 0
        var closed = false
        /// What the files are sealed with; borrowed for the first one.
        var key: VersionKey?
    }

    /// What became of one put.
    package struct Stored: Hashable, Sendable {
        /// The content's SHA-256.
        package var id: Digest
        /// Bytes of the object's file.
        package var stored: Int
        /// Whether this put wrote it.
        package var isNew: Bool
    }

    init(_ store: ObjectStore) throws {
        self.store = store
        let fileSystem = store.fileSystem
        var attempt = 0
        while true {
            let path = "\(store.root)/staging/\(processNumber())-\(randomName())"
            let lock: Int32? = try Checkpoints.store("the staging directory") {
                _ = try fileSystem.makeDirectory(path, mode: 0o700)
                // A sweep may take the new directory before the lock; then another is made.
                let descriptor: Int32
                do {
                    descriptor = try fileSystem.open(path, .directory)
                } catch let error as FileSystemError where error.isMissing {
                    return nil
                }
                if try fileSystem.lock(descriptor, exclusive: true, wait: false),
                    try fileSystem.status(path) != nil
                {
                    return descriptor
                }
                try? fileSystem.close(descriptor)
                return nil
            }
            if let lock {
                self.lock = lock
                staging = path
                return
            }
            attempt += 1
            if attempt == 100 {
                throw CheckpointError(.ioFailure, "cannot keep a staging directory in \(path)")
            }
        }
    }

    deinit { close() }

    /// New objects so far, and the bytes of their files.
    package var written: (objects: Int, bytes: Int) { state.withLock { ($0.newObjects, $0.newBytes) } }

    /// Stores `raw` under its SHA-256 unless it is there already. What is there as a delta is written in full: nothing
    /// that is made now shall hang on what an older version is stored by.
    ///
    /// The dtype only chooses the compression. Durable after ``sync()``.
    /// - Throws: ``CheckpointError``: `.storageFull`, `.ioFailure`; `.unsupported` for too many bytes.
    package func put(_ raw: [UInt8], kind: ObjectKind, dtype: DType? = nil) throws -> Stored {
        try raw.withUnsafeBytes { try put($0, kind: kind, dtype: dtype) }
    }

    /// Stores `raw` under its SHA-256 unless it is there already; see ``put(_:kind:dtype:)``.
    package func put(_ raw: UnsafeRawBufferPointer, kind: ObjectKind, dtype: DType? = nil) throws -> Stored {
        guard raw.count <= kind.limit else {
            throw CheckpointError(
                .unsupported, "an object of \(raw.count) bytes; its kind may have \(kind.limit)")
        }
        let id = ContentHash.of(raw)
        return try Checkpoints.store("object \(id.short)") {
            if let stored = try hit(id, raw.count) { return Stored(id: id, stored: stored, isNew: false) }
            let path = store.path(of: id)
            let stored = try store.codecs.with { codec in
                try replace(path, by: try codec.encode(raw, id: id, kind: kind, dtype: dtype))
            }
            state.withLock {
                $0.newObjects += 1
                $0.newBytes += stored
            }
            return Stored(id: id, stored: stored, isNew: true)
        }
    }

    /// Makes everything put so far durable: each touched directory is synchronised once.
    /// - Throws: ``CheckpointError`` `.ioFailure`; the transaction must then be given up.
    package func sync() throws {
        let touched = state.withLock { state in
            defer { state.touched = [] }
            return state.touched.sorted()
        }
        try Checkpoints.store("the store's directories") {
            // Deeper names first: a directory's own entry is worth nothing before its content is durable.
            for path in touched.reversed() { try store.fileSystem.synchronizeDirectory(path) }
        }
    }

    /// Removes the staging directory. Also done when the last reference goes.
    package func close() {
        let (already, key) = state.withLock { state in
            defer { (state.closed, state.key) = (true, nil) }
            return (state.closed, state.key)
        }
        if already { return }
        // Best effort: what stays is swept at the next start.
        for name in (try? store.fileSystem.list(staging)) ?? [] {
            try? store.fileSystem.unlink(staging + "/" + name)
        }
        try? store.fileSystem.removeDirectory(staging)
        try? store.fileSystem.close(lock)
        if let key { store.keys?.giveBack(key.name) }
    }

    /// The stored size of an object that is there already with a sound head.
    ///
    /// Its time is renewed under the lock, so that a collector that has not removed it yet will not.
    private func hit(_ id: Digest, _ rawSize: Int) throws -> Int? {
        let path = store.path(of: id)
        // Most misses need no lock.
        guard try store.fileSystem.status(path) != nil else { return nil }
        return try store.whileLocked(exclusive: false) {
            guard let status = try store.fileSystem.status(path), status.kind == .regular,
                let header = try? store.head(path), header.id == id, header.rawSize == rawSize,
                header.base == nil
            else { return nil }
            try store.fileSystem.touch(path)
            // Another writer may have renamed it there a moment ago and not be done with its own sync.
            touched(path)
            return status.size
        }
    }

    /// Publishes a file where one may be already; its name is durable after ``sync()``. Returns its bytes on disk.
    @discardableResult
    func replace(_ path: String, by bytes: UnsafeRawBufferPointer) throws -> Int {
        let size: Int
        if try store.fileSystem.status(path) == nil {
            size = try publish(bytes, as: path)
        } else {
            // A collector that was about to remove the old file must not remove this one.
            size = try store.whileLocked(exclusive: false) { try publish(bytes, as: path) }
        }
        touched(path)
        return size
    }

    /// Writes a file durably under a temporary name, sealed in an encrypted store, and renames it into place. Returns its
    /// bytes on disk.
    @discardableResult
    func publish(_ bytes: UnsafeRawBufferPointer, as path: String) throws -> Int {
        let fileSystem = store.fileSystem
        let key = try store.isEncrypted ? writingKey() : nil
        var size = bytes.count
        let temporary = "\(staging)/\(randomName())"
        do {
            try fileSystem.with(temporary, .create) { descriptor in
                if let key {
                    size = try store.seal(bytes, key, path) { try fileSystem.write(descriptor, $0) }
                } else {
                    try fileSystem.write(descriptor, bytes)
                }
                try fileSystem.synchronizeData(descriptor)
                try fileSystem.setMode(descriptor, 0o444)
            }
            try makeParents(of: path)
            try fileSystem.rename(temporary, to: path)
        } catch {
            try? fileSystem.unlink(temporary)
            throw error
        }
        return size
    }

    /// The key that this transaction's files are sealed with.
    private func writingKey() throws -> VersionKey {
        guard let keys = store.keys else { throw store.lacksKeys() }
        if let key = state.withLock({ $0.key }) { return key }
        let lent = try keys.lend()
        let key = state.withLock { state in
            let key = state.key ?? lent
            state.key = key
            return key
        }
        if key.name != lent.name { keys.giveBack(lent.name) }
        return key
    }

    private func makeParents(of path: String) throws {
        var missing: [String] = []
        for parent in parents(of: path) {
            if try store.fileSystem.status(parent) != nil { break }
            missing.append(parent)
        }
        for directory in missing.reversed() { _ = try store.fileSystem.makeDirectory(directory, mode: 0o700) }
    }

    /// Remembers the directories above `path` for ``sync()``: all of them, since another transaction may have
    /// made them without having synchronised them yet.
    func touched(_ path: String) {
        let parents = parents(of: path)
        state.withLock { $0.touched.formUnion(parents) }
    }

    /// The directories between `path` and the root, deepest first.
    private func parents(of path: String) -> [String] {
        var found: [String] = []
        var rest = path[...]
        while let slash = rest.lastIndex(of: "/"), rest[..<slash].utf8.count > store.root.utf8.count {
            rest = rest[..<slash]
            found.append(String(rest))
        }
        return found
    }
}
