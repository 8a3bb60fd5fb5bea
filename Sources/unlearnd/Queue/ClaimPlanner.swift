// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

/// Decides which waiting jobs start now, and says of the others why they wait.
///
/// Order: priority, then number. Jobs that write versions run one at a time per model, jobs that publish one at a time
/// per target; everything else runs beside them. Interactive jobs have a lane of their own, which a paused queue does not hold. Once a job waits
/// for memory, no later one of its lane overtakes it: small jobs must not starve a large one.
struct ClaimPlanner: Sendable {
    /// Slots of the queue's lane.
    var parallel: Int
    /// Slots of the interactive lane.
    var interactive: Int
    /// What running jobs may use together, bytes.
    var memoryLimit: Int64
    /// This daemon, as `owner` of what it starts.
    var owner: String
    var store: String
    var lifeLock: String
    var threads: Int
    /// What may be stored.
    var limits: StorageLimits
    let shapes: ModelShapes
    /// The files of jobs that wait.
    let descriptors: DescriptorTable

    /// Most waiting jobs of a lane that one pass looks at.
    private static let window = 10_000

    /// Why a queued job waits.
    enum Reason: String {
        case modelBusy = "model-busy"
        case memory, delayed, parallel
        case queuePaused = "queue-paused"
        case backupBusy = "backup-busy"
    }

    /// What runs now.
    private struct Load {
        var busy: Set<String> = []
        var memory: Int64 = 0
        var slots = [true: 0, false: 0]
        /// Whether a job copies the whole store: two would meet in one backup directory.
        var isCopying = false
        /// What the jobs that start in this pass may write, bytes.
        var disk: Int64 = 0
    }

    /// Starts what may start.
    /// - Returns: The started jobs, and when the next delayed one is due, milliseconds since 1970.
    func claim(in change: Change) throws -> (claims: [Claim], next: Int64?) {
        var load = Load()
        let active = try Row.fetchAll(
            change.db,
            sql: """
                SELECT model, writes, kind, json_extract(spec, '$.parameters.target') AS target, interactive, memory, state
                FROM job
                WHERE state IN ('running', 'paused', 'cancelling', 'committing')
                """)
        for row in active {
            if let place = Self.exclusive(row) { load.busy.insert(place) }
            load.isCopying = load.isCopying || Self.copies(row)
            // A paused job holds its model, but neither memory nor cores.
            if row["state"] == JobState.paused.rawValue { continue }
            load.memory += row["memory"] as Int64
            load.slots[row["interactive"], default: 0] += 1
        }
        var claims = try claim(lane: true, &load, in: change)
        if try Setting.queuePaused.isOn(change.db) {
            try change.db.execute(
                sql:
                    "UPDATE job SET reason = ? WHERE state = 'queued' AND interactive = 0 AND reason IS NOT ?",
                arguments: [Reason.queuePaused.rawValue, Reason.queuePaused.rawValue])
        } else {
            claims += try claim(lane: false, &load, in: change)
        }
        let next = try Int64.fetchOne(
            change.db, sql: "SELECT min(run_at) FROM job WHERE state = 'queued' AND run_at > ?",
            arguments: [change.now.milliseconds])
        return (claims, next)
    }

    private func claim(lane isInteractive: Bool, _ load: inout Load, in change: Change) throws -> [Claim] {
        let rows = try Row.fetchAll(
            change.db,
            sql: """
                SELECT id, model, writes, kind, json_extract(spec, '$.parameters.target') AS target, memory, run_at, reason
                FROM job WHERE state = 'queued' AND interactive = ?
                ORDER BY priority DESC, id LIMIT \(Self.window)
                """, arguments: [isInteractive])
        let slots = isInteractive ? interactive : parallel
        var claims: [Claim] = []
        var someoneWaitsForMemory = false
        for row in rows {
            let id: JobID = row["id"]
            let place = Self.exclusive(row)
            let memory: Int64 = row["memory"]
            var reason: Reason?
            if row["run_at"] as Int64 > change.now.milliseconds {
                reason = .delayed
            } else if load.slots[isInteractive, default: 0] >= slots {
                reason = .parallel
            } else if let place, load.busy.contains(place) {
                reason = .modelBusy
            } else if load.isCopying, Self.copies(row) {
                reason = .backupBusy
            } else if someoneWaitsForMemory || load.memory > 0 && load.memory + memory > memoryLimit {
                reason = .memory
                someoneWaitsForMemory = true
            }
            if let reason {
                if (row["reason"] as String?) != reason.rawValue {
                    try change.db.execute(
                        sql: "UPDATE job SET reason = ? WHERE id = ?", arguments: [reason.rawValue, id])
                }
                continue
            }
            guard let claim = try start(id, memory: memory, &load, in: change) else { continue }
            claims.append(claim)
            load.slots[isInteractive, default: 0] += 1
            load.memory += memory
            if let place { load.busy.insert(place) }
            load.isCopying = load.isCopying || Self.copies(row)
        }
        return claims
    }

    private static func copies(_ row: Row) -> Bool {
        JobKind(rawValue: row["kind"])?.copiesStore ?? false
    }

    /// What a job needs for itself alone: the model that it writes to, or the target that it publishes to.
    private static func exclusive(_ row: Row) -> String? {
        if row["writes"] { return row["model"] }
        guard row["kind"] == JobKind.publish.rawValue, let target: String = row["target"] else { return nil }
        // No model is called that.
        return "target/\(target)"
    }

    /// Moves one job to `running` and binds its versions; a job whose versions are gone fails here.
    private func start(_ id: JobID, memory: Int64, _ load: inout Load, in change: Change) throws -> Claim? {
        guard try JobRow.apply(.claim, to: id, owner: owner, in: change) else { return nil }
        try change.db.execute(
            sql: """
                UPDATE job SET epoch = epoch + 1, attempt = attempt + 1, started = ?, cancel_requested = NULL WHERE id = ?
                """, arguments: [change.now.milliseconds, id])
        let row = try JobRow.require(id, change.db)
        var order = WorkerOrder(
            job: id, spec: row.job.spec, store: store, lifeLock: lifeLock,
            threads: row.job.spec.threadsPerRank(of: threads))
        do {
            guard memory <= memoryLimit else {
                throw JobFailure(
                    .memory,
                    "the job needs about \(memory >> 20) MiB; jobs may use \(memoryLimit >> 20) MiB here",
                    hint: "lower --batch-size or --max-length, or raise memory_limit")
            }
            try checkRoom(row, &load, change.db)
            if row.job.kind.trains { order.checkpoint = TrainingCheckpointFiles(store).path(of: id) }
            let bound = try VersionBinder.bind(
                row.job.spec, job: id, bound: row.job.base, &order, in: change)
            try change.db.execute(
                sql: "UPDATE job SET base = ? WHERE id = ?", arguments: [bound.base?.number, id])
            return Claim(
                id: id, epoch: row.epoch, spec: row.job.spec, submitter: row.job.submitter, base: bound.base,
                head: bound.head, parent: bound.parent, order: order)
        } catch let failure as JobFailure {
            _ = try JobEnd.fail(id, epoch: row.epoch, failure, in: change)
            return nil
        }
    }

    /// Looks once more whether the disk and the quotas have room for what a job writes, now that others have written.
    /// - Throws: ``JobFailure`` with the figures.
    private func checkRoom(_ row: JobRow, _ load: inout Load, _ db: Database) throws {
        let spec = row.job.spec
        guard spec.kind.writesVersion else { return }
        let need: JobEstimator
        do {
            need = try Submission.estimator(
                spec, transferred: descriptors[row.id]?.size ?? 0, shapes, db)
        } catch {
            // What is gone or cannot be read fails the job by itself, and better told.
            return
        }
        // What goes on from a training checkpoint has that on the disk already.
        let disk = row.job.checkpoint == nil ? need.estimate.disk : need.versionBytes
        do {
            try limits.checkRoom(load.disk + disk, writes: true)
            try limits.checkQuotas(
                need.versionBytes, of: spec.model?.model, for: row.job.submitter, job: row.id, db)
        } catch let error as RPCError {
            throw JobFailure(.storage, error.message, hint: error.hint)
        }
        load.disk += disk
    }
}
