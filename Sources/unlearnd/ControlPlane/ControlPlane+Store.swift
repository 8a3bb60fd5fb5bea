// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import GRDB
import Logging
import Protocol

extension ControlPlane {
    /// `store.status`.
    package func storeStatus() async throws(RPCError) -> Protocol.StoreStatus {
        try await answering {
            let (manifests, versions, models, datasets) = try await database.read { db in
                (
                    try VersionRow.liveManifests(db),
                    try Int.fetchOne(db, sql: "SELECT count(*) FROM version WHERE state = 'live'") ?? 0,
                    try ModelRow.count(db),
                    try Int.fetchOne(db, sql: "SELECT count(*) FROM dataset") ?? 0
                )
            }
            let status = try await offloading { [store] in
                try Checkpoints.StoreStatus.compute(store: store, liveManifests: manifests)
            }
            let verification = try await verification()
            return Protocol.StoreStatus(
                rawBytes: Int64(status.rawBytes), storedBytes: Int64(status.storedBytes),
                objects: status.objects,
                versions: versions, models: models, datasets: datasets, garbageObjects: status.garbageObjects,
                garbageBytes: Int64(status.garbageBytes), freeBytes: freeBytes ?? 0,
                trainingBytes: checkpoints.bytes, deltaObjects: status.deltaObjects,
                deltaSavedBytes: Int64(status.deltaSavedBytes), verification: verification,
                encryption: ring.map { ring in
                    let count = ring.count
                    return StoreEncryption(
                        masterKey: ring.masterID, ring: ring.generation, versionKeys: count.versions,
                        fileKeys: count.files)
                })
        }
    }

    /// `store.optimize`: the job, for those who want it done and know nothing of specifications.
    package func optimize(_ params: StoreOptimizeParams, peer: Peer) async throws(RPCError) -> JobSubmitResult
    {
        var spec = JobSpec(kind: .optimize)
        if params.dryRun == true {
            spec.parameters = JobParameters()
            spec.parameters?.dryRun = true
        }
        return try await submit(JobSubmitParams(spec: spec), peer: peer)
    }

    /// `store.gc`: removes what no live version and no dataset needs, beside running jobs.
    ///
    /// What was written or used since shortly before the oldest running job or upload began stays: it may be
    /// needed by what is not recorded yet.
    /// Versions whose time is over are given up first.
    package func gc(dryRun: Bool, peer: Peer) async throws(RPCError) -> StoreGCResult {
        try await collect(dryRun: dryRun, actor: peer.actor)
    }

    /// Gives up versions whose time is over and, if there were any, frees their bytes.
    package func tidyVersions() async {
        do {
            guard try await database.read({ [expiry] in try !expiry.due($0).isEmpty }) else { return }
            let freed = try await collect(dryRun: false, actor: -1)
            for (versions, what) in [
                (freed.expired, "candidates"), (freed.expiredPreEdit, "versions from before an edit"),
            ] where !versions.isEmpty {
                logger.notice(
                    "\(what) expired: \(versions.map(\.description).joined(separator: ", "))",
                    metadata: ["freed": .stringConvertible(freed.bytes)])
            }
        } catch {
            logger.warning("versions whose time is over were not removed: \(error)")
        }
    }

    /// The rules by which versions expire, as they are now.
    private var expiry: VersionExpiry {
        VersionExpiry(candidates: configuration.candidates, preEditDays: configuration.expirePreEditDays)
    }

    private func collect(dryRun: Bool, actor: Int) async throws(RPCError) -> StoreGCResult {
        try await answering {
            let rules = expiry
            let expired =
                dryRun
                ? try await database.read { try rules.due($0) }
                : try await database.change { try rules.expire(in: $0) }
            let now = Timestamp.now.milliseconds
            let uploading = uploads.oldest
            let (manifests, oldest) = try await database.read { db in
                (
                    try VersionRow.liveManifests(db, leaving: expired.all),
                    try Int64.fetchOne(
                        db,
                        sql: """
                            SELECT min(started) FROM job WHERE state IN ('running', 'cancelling', 'committing')
                            """)
                )
            }
            let writing = [uploading, oldest].compactMap(\.self).min().map { $0 - 60_000 }
            let cutoff = min(writing ?? now, now) * 1_000_000
            let garbage = try await offloading { [store] in
                dryRun
                    ? try GarbageCollector.plan(store: store, liveManifests: manifests, cutoff: cutoff)
                    : try GarbageCollector.run(store: store, liveManifests: manifests, cutoff: cutoff)
            }
            if !dryRun {
                try await database.change {
                    try $0.audit(
                        "store.gc", actor: actor,
                        [
                            "objects": .integer(Int64(garbage.objects)),
                            "bytes": .integer(Int64(garbage.bytes)),
                        ])
                }
            }
            if !dryRun { await finishPurges() }
            return StoreGCResult(
                objects: garbage.objects, bytes: Int64(garbage.bytes), dryRun: dryRun,
                expired: expired.candidates.map(\.reference),
                expiredPreEdit: expired.preEdit.map(\.reference))
        }
    }

    /// Stores a dataset that was uploaded, durably; the same bytes again give the same dataset.
    ///
    /// - Parameters:
    ///   - bytes: The whole text.
    ///   - name: What errors call it.
    /// - Throws: `bad_input` naming file and line, `storage_full`, `gone` for a text that was purged.
    package func putDataset(_ bytes: [UInt8], name: String?, peer: Peer) async throws(RPCError)
        -> DatasetSummary
    {
        try await answering {
            let digest = ContentHash.of(bytes)
            // Before a byte of it is written, and once more with the row: a purge may come between.
            try await database.read { try Tombstone.refuse(dataset: digest, $0) }
            let ticket = uploads.begin()
            defer { uploads.end(ticket) }
            let (id, rows) = try await offloading { [store] in
                let rows = try DatasetParser.parse(bytes, name: name ?? "the dataset")
                return (try store.putDataset(bytes), rows)
            }
            let dataset = StoredDataset(id: id, bytes: Int64(bytes.count), rows: rows, created: .now)
            return try await database.change { change in
                try Tombstone.refuse(dataset: id, change.db)
                if let stored = try StoredDataset.find(id, change.db) { return stored.summary }
                try dataset.insert(in: change)
                try change.audit(
                    "dataset.put", actor: peer.actor,
                    [
                        "dataset": .string(id.hex), "bytes": .integer(dataset.bytes),
                        "rows": .integer(Int64(dataset.rows)),
                    ])
                return dataset.summary
            }
        }
    }

    /// `dataset.list`: oldest first.
    package func datasets(_ query: DatasetListParams = DatasetListParams()) async throws(RPCError)
        -> [DatasetSummary]
    {
        try await answering {
            try await database.read { db in
                try StoredDataset.page(after: query.after, limit: PageBudget.entries(query.limit), db).map(
                    \.summary)
            }
        }
    }

    /// The dataset with that id, if it is stored: an upload of it needs no bytes.
    /// - Throws: `gone` for one that was purged.
    package func dataset(id: Digest) async throws(RPCError) -> DatasetSummary? {
        try await answering {
            try await database.read { db in
                try Tombstone.refuse(dataset: id, db)
                return try StoredDataset.find(id, db)?.summary
            }
        }
    }

    /// `dataset.show`: by the beginning of its id, at least 8 digits.
    /// - Throws: `invalid_params`, `not_found`, `gone` for the whole id of one that was purged, `conflict` when several
    ///   begin so.
    package func dataset(_ prefix: String) async throws(RPCError) -> DatasetSummary {
        guard (8...64).contains(prefix.utf8.count),
            prefix.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) })
        else {
            throw RPCError(
                .invalidParams, "a dataset is named by 8 to 64 lower-case hexadecimal digits",
                hint: "unlearnctl dataset list shows the ids", field: "dataset")
        }
        return try await answering {
            let found = try await database.read { db in
                if let id = Digest(hex: prefix) { try Tombstone.refuse(dataset: id, db) }
                return try StoredDataset.find(prefix: prefix, db)
            }
            guard let first = found.first else { throw RPCError(.notFound, "there is no dataset \(prefix)") }
            guard found.count == 1 else {
                throw RPCError(.conflict, "several datasets begin with \(prefix)", hint: "give more digits")
            }
            return first.summary
        }
    }
}
