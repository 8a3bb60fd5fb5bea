// SPDX-License-Identifier: Apache-2.0

/// Writes a version's files out again.
package enum CheckpointExporter {
    /// Writes one of the version's attachments to a descriptor, and makes it durable.
    ///
    /// - Throws: ``CheckpointError``: `.missing`, `.corrupt`, `.storageFull`, `.ioFailure`.
    package static func write(
        attachment file: Manifest.File, of reader: CheckpointReader, to descriptor: Int32
    ) throws {
        let fileSystem = reader.store.fileSystem
        let thing = "the exported file \(quoted(file.path))"
        var hash = ContentHash()
        for region in file.regions {
            let bytes = try reader.store.get(region.id)
            guard bytes.count == region.size else {
                throw CheckpointError(.corrupt, "\(quoted(file.path)) is not as long as the manifest says")
            }
            try bytes.withUnsafeBytes { part in
                hash.update(part)
                try store(thing) { try fileSystem.write(descriptor, part) }
            }
        }
        guard hash.finish() == file.sha256 else {
            throw CheckpointError(
                .corrupt, "\(quoted(file.path)) does not have its SHA-256 any more",
                hint: "run a full store verification")
        }
        do {
            try fileSystem.synchronize(descriptor)
        } catch  where error.isNotSynchronizable {
            // A pipe or a socket: durability is its reader's affair.
        } catch {
            throw CheckpointError(error, thing)
        }
    }

    /// Writes one file to a descriptor, byte for byte as it was imported, and makes it durable.
    ///
    /// The SHA-256 is known only at the end: on a failure the descriptor holds a useless beginning, so the
    /// caller writes under a temporary name and renames after this returns.
    ///
    /// - Parameters:
    ///   - file: Index into the manifest's files.
    ///   - descriptor: Open for writing, at the position to begin at; stays its opener's to close.
    ///   - threads: How many threads decode; at most four are used.
    ///   - progress: Called on this thread with the file's bytes done and in all; throwing cancels.
    /// - Throws: ``CheckpointError``: `.missing`, `.corrupt`, `.storageFull`, `.ioFailure`; and what `progress`
    ///   throws.
    package static func write(
        file: Int, of reader: CheckpointReader, to descriptor: Int32, threads: Int = 2,
        progress: (_ done: Int, _ total: Int) throws -> Void = { _, _ in }
    ) throws {
        let fileSystem = reader.store.fileSystem
        let entry = reader.manifest.files[file]
        let thing = "the exported file \(quoted(entry.path))"
        var done = 0
        try progress(0, entry.size)
        try reader.stream([file], threads: threads) { _, bytes in
            try store(thing) { try fileSystem.write(descriptor, bytes) }
            done += bytes.count
            try progress(done, entry.size)
        }
        do {
            try fileSystem.synchronize(descriptor)
        } catch  where error.isNotSynchronizable {
            // A pipe or a socket: durability is its reader's affair.
        } catch {
            throw CheckpointError(error, thing)
        }
    }
}
