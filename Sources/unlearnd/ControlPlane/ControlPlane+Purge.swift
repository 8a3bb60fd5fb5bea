// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import GRDB
import Glibc
import Logging
import Protocol

extension ControlPlane {
    /// `model.purge`: destroys one version for good. Its number stays taken.
    /// - Throws: `not_found`, `gone`, `conflict` for a head, a held version, or one that a job needs.
    package func purge(_ params: PurgeVersionParams, peer: Peer) async throws(RPCError) -> PurgeResult {
        guard params.version.version != nil else {
            throw RPCError(
                .invalidParams, "name the version: \(params.version.model)@v1",
                hint: "unlearnctl model history \(params.version.model) lists the versions", field: "version")
        }
        return try await purge(reason: params.reason, peer) { now, db in
            try PurgePlan.version(params.version, now, db)
        }
    }

    /// `dataset.purge`: destroys one dataset and the texts of the jobs that it was given to.
    /// - Throws: `not_found`, `conflict` for one that an unfinished job reads.
    package func purge(_ params: PurgeDatasetParams, peer: Peer) async throws(RPCError) -> PurgeResult {
        let id = try await dataset(params.dataset).dataset
        return try await purge(reason: params.reason, peer) { now, db in
            guard let set = try StoredDataset.find(id, db) else {
                throw RPCError(.gone, "dataset \(id.short) was purged meanwhile")
            }
            return try PurgePlan.dataset(set, now, db)
        }
    }

    /// `job.purge`: destroys everything that still knows what an unlearning job was to forget, or tells what that is.
    /// - Throws: `not_found`, `invalid_params` for a job that was to forget nothing, `conflict` where something is in the
    ///   way.
    package func purge(_ params: PurgeJobParams, peer: Peer) async throws(RPCError) -> PurgeResult {
        let (job, datasets, shares) = try await answering {
            () -> (Job, Set<Digest>, [Digest: SharedRows.Share]) in
            let (job, datasets) = try await database.read { db in
                (try JobRow.require(params.job, db).job, Set(try StoredDataset.all(db).map(\.id)))
            }
            guard job.kind.unlearns, let forget = job.spec.forget, job.state.isTerminal else {
                throw RPCError(
                    .invalidParams, "job \(job.id) is no finished unlearning job with a forget set",
                    hint: "name the job whose forget set is to be destroyed; unlearnctl ps --all lists them",
                    field: "job")
            }
            let shared = sharedRows
            return (job, datasets, try await offloading { try shared.shares(of: forget, in: datasets) })
        }
        if params.dryRun == true {
            return try await answering {
                var result = try await database.read { try PurgePlan.job(job, shares, .now, $0).result }
                result.erasure = erasure
                PurgeWords.fill(&result, isRewritten: false)
                return result
            }
        }
        return try await purge(reason: params.reason, peer) { now, db in
            guard Set(try StoredDataset.all(db).map(\.id)) == datasets else {
                throw RPCError(.conflict, "datasets came or went meanwhile", hint: "try again")
            }
            return try PurgePlan.job(job, shares, now, db)
        }
    }

    /// What a purge promises of the bytes.
    private var erasure: String {
        ring == nil ? PurgeResult.logicalDeletion : PurgeResult.cryptographicErasure
    }

    private func purge(
        reason: String?, _ peer: Peer,
        _ plan: @escaping @Sendable (Timestamp, Database) throws -> PurgePlan
    ) async throws(RPCError) -> PurgeResult {
        guard reason?.utf8.count ?? 0 <= 4096 else {
            throw RPCError(.invalidParams, "a reason has at most 4096 bytes", field: "reason")
        }
        return try await answering {
            try await detach(plan)
            let (erasure, ring) = (erasure, ring)
            let purge = try await reserve.spending {
                try await database.change { change in
                    var plan = try plan(change.now, change.db)
                    plan.result.erasure = erasure
                    plan.result.keys = ring.map {
                        PurgedKeys(
                            destroyed: 0, earlier: $0.destroyed, kept: 0, ring: $0.generation,
                            masterKey: $0.masterID)
                    }
                    if let first = plan.result.obstacles.first {
                        let rest = plan.result.obstacles.count - 1
                        throw RPCError(
                            .conflict, first.message + (rest > 0 ? "; and \(rest) more in the way" : ""),
                            hint: first.hint)
                    }
                    return try plan.record(reason: reason, actor: peer.actor, in: change)
                }
            }
            FailPoint.afterPurgeRecord.reach()
            defer { reserve.take() }
            return try await finish(purge: purge)
        }
    }

    /// Writes in full what stays and is stored as a difference from what goes, as long as everything is still there: that
    /// needs space, and where there is none nothing may be destroyed.
    private func detach(_ plan: @escaping @Sendable (Timestamp, Database) throws -> PurgePlan) async throws {
        let manifests = try await database.read { db in
            let plan = try plan(.now, db)
            return plan.result.obstacles.isEmpty
                ? try VersionRow.liveManifests(db, leaving: plan.versions) : nil
        }
        guard let manifests else { return }
        _ = try await offloading { [store] in
            try store.detach(liveManifests: manifests, givesUpDamaged: false)
        }
    }

    /// Does what unfinished purges have left to do; what cannot be done now is tried again later.
    func finishPurges() async {
        do {
            for purge in try await database.read(PurgeRow.unfinished) {
                let result = try await finish(purge: purge)
                logger.notice(
                    "purge \(purge): \(result.objects ?? 0) objects removed, \(result.pending ?? 0) pending")
            }
            // Purges of earlier versions of this software left that out.
            try await rewritePages()
        } catch {
            logger.error("a purge cannot be finished yet: \(error)")
        }
    }

    /// Every step can be done again, so a purge that was cut off begins here anew.
    private func finish(purge: Int) async throws -> PurgeResult {
        guard var result = try await database.read({ try PurgeRow.find(purge, $0) }) else {
            throw RPCError(.notFound, "there is no purge \(purge)")
        }
        let sets = result.datasets.map(\.dataset)
        try await offloading { [store] in for set in sets { _ = try store.removeDataset(set) } }
        FailPoint.afterPurgeDatasets.reach()
        let isUnpublished = await removePublications(&result)
        let written = checkpoints.jobs.intersection(result.jobs)
        checkpoints.remove(written)
        result.checkpoints = Set(result.checkpoints + written).sorted()
        // What a file system writes into a time stamp may lie some milliseconds behind the clock.
        try await Task.sleep(for: .milliseconds(20))
        let (garbage, pending) = try await collectPurged()
        FailPoint.afterPurgeObjects.reach()
        if let ring { try await destroyKeys(ring, &result) }
        FailPoint.afterPurgeKeys.reach()
        result.objects = (result.objects ?? 0) + garbage.objects
        result.bytes = (result.bytes ?? 0) + Int64(garbage.bytes)
        result.pending = pending
        let counted = result
        try await reserve.spending {
            try await database.change { try PurgeRow.update(purge, counted, isWhole: false, in: $0) }
        }
        try await rewritePages()
        let whole = result
        return try await reserve.spending {
            try await database.change { change in
                try PurgeRow.update(purge, whole, isWhole: pending == 0 && isUnpublished, in: change)
                if let keys = whole.keys { try KeyRingMark.set(keys.ring, in: change) }
                try Self.auditEnd(purge, garbage, pending, whole.keys, in: change)
                var done = whole
                done.finished = pending == 0 && isUnpublished ? change.now : nil
                PurgeWords.fill(&done, isRewritten: true)
                return done
            }
        }
    }

    /// Has the database written anew if that was not done since the newest purge.
    private func rewritePages() async throws {
        guard let purge = try await database.read(RewrittenPages.due) else { return }
        do {
            try await reserve.spending { try await offloading { [database] in try database.rewrite() } }
        } catch let error as DatabaseError where error.resultCode == .SQLITE_FULL {
            var file = stat()
            let bytes = stat(database.path, &file) == 0 ? Int(file.st_size) : 0
            throw RPCError(
                .storageFull,
                "purge \(purge) is recorded and its files are gone, but the disk has no room to write the database anew: its pages may still hold the texts",
                hint:
                    "free \(((2 * bytes) >> 20) + 1) MiB, then: unlearnctl store gc; the daemon also tries every hour"
            )
        }
        try await database.change { try RewrittenPages.set(purge, in: $0) }
    }

    private static func auditEnd(
        _ purge: Int, _ garbage: GarbageCollector.Garbage, _ pending: Int, _ keys: PurgedKeys?,
        in change: Change
    ) throws {
        var body = JSONObject()
        body["purge"] = .integer(Int64(purge))
        body["objects"] = .integer(Int64(garbage.objects))
        body["bytes"] = .integer(Int64(garbage.bytes))
        body["pending"] = .integer(Int64(pending))
        if let keys {
            body["keys"] = .integer(Int64(keys.destroyed))
            body["ring"] = .integer(Int64(keys.ring))
        }
        try change.audit("purge.end", actor: -1, .object(body))
    }

    /// Destroys every key that no file is left for, those of versions that were collected earlier among them.
    private func destroyKeys(_ ring: KeyRing, _ result: inout PurgeResult) async throws {
        let thinned = try await offloading { [store] in try ring.thin(to: store) }
        // By the ring's own count: an attempt that was cut off after it had destroyed them left no other.
        let (destroyed, earlier) = (ring.destroyed, result.keys?.earlier ?? 0)
        result.keys = PurgedKeys(
            destroyed: destroyed - earlier, earlier: earlier, kept: thinned.kept, ring: thinned.generation,
            masterKey: ring.masterID)
    }

    /// Removes what no live version and no dataset needs, but for what writers that run now may have begun to use.
    private func collectPurged() async throws -> (garbage: GarbageCollector.Garbage, pending: Int) {
        let now = Timestamp.now.milliseconds - 10
        let uploading = uploads.oldest
        let (manifests, oldest) = try await database.read { db in
            (
                try VersionRow.liveManifests(db),
                try Int64.fetchOne(
                    db,
                    sql: "SELECT min(started) FROM job WHERE state IN ('running', 'cancelling', 'committing')"
                )
            )
        }
        let writing = [uploading, oldest].compactMap(\.self).min().map { $0 - 60_000 }
        let cutoff = min(writing ?? now, now) * 1_000_000
        return try await offloading { [store] in
            // What became a difference since the purge was asked for, too.
            _ = try store.detach(liveManifests: manifests, givesUpDamaged: true)
            let garbage = try GarbageCollector.run(
                store: store, liveManifests: manifests, cutoff: cutoff, durably: true)
            _ = try store.sweepQuarantine(liveManifests: manifests)
            guard writing != nil else { return (garbage, 0) }
            return (
                garbage,
                try GarbageCollector.plan(store: store, liveManifests: manifests, cutoff: .max).objects
            )
        }
    }
}
