// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Brings back from a backup what the versions and datasets of a store need and the store has not, or not whole.
///
/// It writes nothing but what the given versions and datasets need, so nothing that is not theirs comes back.
package struct StoreHealer: Sendable {
    private let store: ObjectStore
    private let backup: ObjectStore
    private let dryRun: Bool
    private let threads: Int

    /// What was found and done.
    package struct Report: Hashable, Sendable {
        /// Objects that were looked at.
        package var checked = 0
        /// Objects that were, or with a dry run would be, brought back.
        package var healed: [Digest] = []
        /// Bytes of their content.
        package var healedBytes = 0
        /// Those of them that were there, damaged; they lie in the quarantine now.
        package var damaged = 0
        /// Datasets whose list was brought back.
        package var datasets: [Digest] = []
        /// What the backup has not either, or not whole.
        package var lost: [Digest] = []
    }

    /// Heals `store` from `backup`.
    /// - Parameter dryRun: Whether nothing is written.
    package init(_ store: ObjectStore, from backup: ObjectStore, dryRun: Bool, threads: Int) {
        self.store = store
        self.backup = backup
        self.dryRun = dryRun
        self.threads = threads
    }

    /// Looks at everything, and heals.
    /// - Parameter progress: Called on this thread with objects done and in all, 0 while that is not known; throwing cancels.
    /// - Throws: ``CheckpointError``: `.storageFull`, `.ioFailure`, `.newerFormat`; and what `progress` throws.
    package func run(
        manifests: [Digest], datasets: [Digest], progress: (_ done: Int, _ total: Int) throws -> Void
    ) throws -> Report {
        var report = Report()
        let transaction = try store.begin()
        defer { transaction.close() }
        var objects: Set<Digest> = []
        for id in Set(manifests).sorted() {
            try progress(0, 0)
            report.checked += 1
            let healed = try heal(id, transaction, into: nil)
            Self.note(id, healed, &report)
            if case .lost = healed { continue }
            let manifest = try dryRun && healed.isHealed ? backup.manifest(id) : store.manifest(id)
            objects.formUnion(manifest.objects)
        }
        for id in Set(datasets).sorted() {
            do { objects.formUnion(try store.datasetRegions(id).map(\.id)) } catch let error
                as CheckpointError
                where error.code == .corrupt || error.code == .missing
            {
                guard (try? backup.readDataset(id)) != nil else {
                    report.lost.append(id)
                    continue
                }
                report.datasets.append(id)
                objects.formUnion(try backup.datasetRegions(id).map(\.id))
            }
        }
        let ids = objects.subtracting(manifests).sorted()
        let pipeline = OrderedPipeline<Outcome, Outcome>(
            count: ids.count, threads: threads, slotSize: ChunkPlan.grid,
            fill: { index, slot in (0, try heal(ids[index], transaction, into: slot)) }, work: { $2 })
        let outcomes = try pipeline.run { index, _ in try progress(index + 1, ids.count) }
        for (id, outcome) in zip(ids, outcomes) {
            report.checked += 1
            Self.note(id, outcome, &report)
        }
        try transaction.sync()
        // Their objects are there now, but for those that are lost.
        for id in report.datasets where !dryRun { _ = try store.putDataset(try backup.readDataset(id)) }
        report.healed.sort()
        report.lost.sort()
        return report
    }

    private enum Outcome: Sendable {
        case sound
        case healed(bytes: Int, wasDamaged: Bool)
        case lost

        var isHealed: Bool { if case .healed = self { true } else { false } }
    }

    private static func note(_ id: Digest, _ outcome: Outcome, _ report: inout Report) {
        switch outcome {
        case .sound: break
        case .healed(let bytes, let wasDamaged):
            report.healed.append(id)
            report.healedBytes += bytes
            if wasDamaged { report.damaged += 1 }
        case .lost: report.lost.append(id)
        }
    }

    /// Heals one object, by way of `slot` where one is given.
    private func heal(
        _ id: Digest, _ transaction: StoreTransaction, into slot: UnsafeMutableRawBufferPointer?
    ) throws -> Outcome {
        guard let wasDamaged = try fault(id, slot) else { return .sound }
        let info: ObjectStore.Info
        var whole: [UInt8] = []
        var count = 0
        do {
            guard let found = try backup.stat(id) else { return .lost }
            info = found
            if let slot { count = try backup.get(id, into: slot) } else { whole = try backup.get(id) }
        } catch let error as CheckpointError where error.code == .corrupt || error.code == .missing {
            return .lost
        }
        if !dryRun {
            if wasDamaged { try store.quarantine(id) }
            if let slot {
                let bytes = UnsafeRawBufferPointer(rebasing: slot[..<count])
                _ = try transaction.put(bytes, kind: info.kind, dtype: info.dtype)
            } else {
                _ = try transaction.put(whole, kind: info.kind, dtype: info.dtype)
            }
        }
        return .healed(bytes: info.rawSize, wasDamaged: wasDamaged)
    }

    /// `nil` for an object that is whole; else whether there is something damaged in its place.
    private func fault(_ id: Digest, _ slot: UnsafeMutableRawBufferPointer?) throws -> Bool? {
        do {
            if let slot { _ = try store.get(id, into: slot) } else { _ = try store.get(id) }
            return nil
        } catch let error as CheckpointError {
            switch error.code {
            case .missing: return false
            case .corrupt: return true
            default: throw error
            }
        }
    }
}
