// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Copies what versions and datasets need from one store to another.
///
/// Every object that is written was decoded and held against its name just before. What the target has already is not
/// read from the source.
package struct ObjectCopier: Sendable {
    private let source: ObjectStore
    private let target: ObjectStore
    /// Whether what the target has is decoded too, and written anew where it is damaged.
    private let verifies: Bool
    private let threads: Int

    /// What was done.
    package struct Report: Hashable, Sendable {
        /// Everything needed, in the order of the ids.
        package var objects: [BackupManifest.Object] = []
        /// Objects that were written.
        package var copied = 0
        /// Bytes of their files.
        package var copiedBytes = 0
        /// Those among them that the target had, damaged.
        package var repaired = 0

        fileprivate mutating func add(_ id: Digest, _ outcome: Outcome) {
            objects.append(BackupManifest.Object(id: id, stored: outcome.stored))
            if outcome.isNew {
                copied += 1
                copiedBytes += outcome.stored
            }
            if outcome.isRepaired { repaired += 1 }
        }
    }

    /// Copies from `source` to `target`.
    /// - Parameter verifies: Whether objects that the target has are read again.
    package init(from source: ObjectStore, to target: ObjectStore, verifies: Bool, threads: Int) {
        self.source = source
        self.target = target
        self.verifies = verifies
        self.threads = threads
    }

    /// Copies; when it returns, everything is durable.
    ///
    /// - Parameter progress: Called on this thread with objects done and in all, 0 while that is not known; throwing cancels.
    /// - Throws: ``CheckpointError``: `.missing` and `.corrupt` for what the source has not whole, `.storageFull`,
    ///   `.ioFailure`; and what `progress` throws. What was written until then is whole.
    package func copy(
        manifests: [Digest], datasets: [Digest], progress: (_ done: Int, _ total: Int) throws -> Void
    ) throws -> Report {
        var report = Report()
        let transaction = try target.begin()
        defer { transaction.close() }
        var sizes: [Digest: Int] = [:]
        for id in Set(manifests).sorted() {
            try progress(0, 0)
            report.add(id, try copyWhole(id, transaction))
            for file in try target.manifest(id).allFiles {
                for region in file.regions { sizes[region.id] = region.size }
            }
        }
        var lists: [(id: Digest, isThere: Bool)] = []
        for id in Set(datasets).sorted() {
            let there = try? target.datasetRegions(id)
            for region in try there ?? source.datasetRegions(id) { sizes[region.id] = region.size }
            if there != nil { transaction.touched(target.datasetPath(id)) }
            lists.append((id, there != nil))
        }
        let ids = sizes.keys.filter { !manifests.contains($0) }.sorted()
        let counts = sizes
        let pipeline = OrderedPipeline<Piece, Outcome>(
            count: ids.count, threads: threads, slotSize: ChunkPlan.grid,
            fill: { index, slot in try fill(ids[index], counts[ids[index]] ?? 0, into: slot) },
            work: { index, bytes, piece in try finish(ids[index], bytes, piece, transaction) })
        let outcomes = try pipeline.run { index, _ in try progress(index + 1, ids.count) }
        for (id, outcome) in zip(ids, outcomes) { report.add(id, outcome) }
        try transaction.sync()
        for list in lists where !list.isThere {
            // Its objects are there: only the list is written.
            _ = try target.putDataset(try source.readDataset(list.id))
        }
        report.objects.sort { $0.id < $1.id }
        return report
    }

    // MARK: One object

    fileprivate struct Outcome: Sendable {
        var stored: Int
        var isNew: Bool
        var isRepaired: Bool
    }

    /// What is to be done with an object after its bytes were read.
    private enum Piece: Sendable {
        case present(stored: Int)
        case read(ObjectStore.Info, wasDamaged: Bool)
    }

    private func fill(
        _ id: Digest, _ size: Int, into slot: UnsafeMutableRawBufferPointer
    ) throws -> (count: Int, value: Piece) {
        let found = try look(id, size, verifies: verifies) { _ = try target.get(id, into: slot) }
        if case .present = found { return (0, found) }
        let info = try sourceInfo(id)
        let wasDamaged = if case .read(_, true) = found { true } else { false }
        return (try source.get(id, into: slot), .read(info, wasDamaged: wasDamaged))
    }

    private func finish(
        _ id: Digest, _ bytes: UnsafeRawBufferPointer, _ piece: Piece, _ transaction: StoreTransaction
    ) throws -> Outcome {
        switch piece {
        case .present(let stored):
            // Whoever wrote it may not have lived to make its name durable.
            transaction.touched(target.path(of: id))
            return Outcome(stored: stored, isNew: false, isRepaired: false)
        case .read(let info, let wasDamaged):
            if wasDamaged { _ = try target.remove(id) }
            let put = try transaction.put(bytes, kind: info.kind, dtype: info.dtype)
            return Outcome(stored: put.stored, isNew: put.isNew, isRepaired: wasDamaged)
        }
    }

    /// Copies an object that may be longer than a chunk.
    private func copyWhole(_ id: Digest, _ transaction: StoreTransaction) throws -> Outcome {
        // Read in any case: what else is needed stands in it.
        let found = try look(id, nil, verifies: true) { _ = try target.get(id) }
        if case .present = found {
            return try finish(id, UnsafeRawBufferPointer(start: nil, count: 0), found, transaction)
        }
        let wasDamaged = if case .read(_, true) = found { true } else { false }
        let info = try sourceInfo(id)
        return try source.get(id).withUnsafeBytes {
            try finish(id, $0, .read(info, wasDamaged: wasDamaged), transaction)
        }
    }

    private func sourceInfo(_ id: Digest) throws -> ObjectStore.Info {
        guard let info = try source.stat(id) else {
            throw CheckpointError(
                .missing, "object \(id.short) is not in \(source.root)",
                hint: "a full verification of the store names the versions that need it")
        }
        return info
    }

    /// What the target has of an object: one with a sound head of the right size is there, unless `verify` fails.
    private func look(
        _ id: Digest, _ size: Int?, verifies: Bool, _ verify: () throws -> Void
    ) throws -> Piece {
        let nothing = ObjectStore.Info(
            kind: .blob, dtype: nil, rawSize: 0, storedSize: 0, modified: 0, base: nil, fullSize: 0)
        do {
            guard let info = try target.stat(id) else { return .read(nothing, wasDamaged: false) }
            guard size == nil || info.rawSize == size else { return .read(nothing, wasDamaged: true) }
            if verifies { try verify() }
            return .present(stored: info.storedSize)
        } catch let error as CheckpointError where error.code == .corrupt || error.code == .missing {
            return .read(nothing, wasDamaged: true)
        }
    }
}

extension Manifest {
    /// The files of the checkpoint and those that were made with it.
    var allFiles: [File] { files + attachments }
}
