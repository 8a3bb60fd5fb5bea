// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

/// Decides which waiting jobs start now, and says of the others why they wait.
///
/// Order: priority, then number. Jobs that write versions run one at a time per model, jobs that publish one at a time
/// per target; everything else runs beside them. Interactive jobs have a lane of their own, which a paused queue does not hold, and
/// so have those that a cluster runs, which has memory of its own. Once a job waits for memory, no later one of its lane overtakes it:
/// small jobs must not starve a large one.
struct ClaimPlanner: Sendable {
    /// Slots of the queue's lane.
    var parallel: Int
    /// Slots of the interactive lane.
    var interactive: Int
    /// Slots of the cluster's lane: what it may be given at a time.
    var remote: Int
    /// What running jobs may use together on this machine, bytes.
    var memoryLimit: Int64
    /// This daemon, as `owner` of what it starts.
    var owner: String
    var store: String
    var lifeLock: String
    var threads: Int
    /// Threads of each process that a cluster runs.
    var remoteThreads: Int

    /// Jobs that share slots.
    private enum Lane: CaseIterable {
        case interactive, remote, queue

        init(_ row: Row) { self = row["interactive"] ? .interactive : row["remote"] ? .remote : .queue }

        /// The condition of a row.
        var condition: String {
            switch self {
            case .interactive: "interactive = 1"
            case .remote: "interactive = 0 AND remote = 1"
            case .queue: "interactive = 0 AND remote = 0"
            }
        }
    }

    private func slots(of lane: Lane) -> Int {
        switch lane {
        case .interactive: interactive
        case .remote: remote
        case .queue: parallel
        }
    }

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
        var slots: [Lane: Int] = [:]
        /// Whether a job copies the whole store: two would meet in one backup directory.
        var isCopying = false
    }

    /// Starts what may start.
    /// - Returns: The started jobs, and when the next delayed one is due, milliseconds since 1970.
    func claim(in change: Change) throws -> (claims: [Claim], next: Int64?) {
        var load = Load()
        let active = try Row.fetchAll(
            change.db,
            sql: """
                SELECT model, writes, kind, json_extract(spec, '$.parameters.target') AS target, interactive, remote, memory,
                  state
                FROM job
                WHERE state IN ('running', 'paused', 'cancelling', 'committing')
                """)
        for row in active {
            if let place = Self.exclusive(row) { load.busy.insert(place) }
            load.isCopying = load.isCopying || Self.copies(row)
            // A paused job holds its model, but neither memory nor cores.
            if row["state"] == JobState.paused.rawValue { continue }
            let lane = Lane(row)
            if lane != .remote { load.memory += row["memory"] as Int64 }
            load.slots[lane, default: 0] += 1
        }
        var claims = try claim(.interactive, &load, in: change)
        if try Setting.queuePaused.isOn(change.db) {
            try change.db.execute(
                sql:
                    "UPDATE job SET reason = ? WHERE state = 'queued' AND interactive = 0 AND reason IS NOT ?",
                arguments: [Reason.queuePaused.rawValue, Reason.queuePaused.rawValue])
        } else {
            for lane in [Lane.queue, .remote] { claims += try claim(lane, &load, in: change) }
        }
        let next = try Int64.fetchOne(
            change.db, sql: "SELECT min(run_at) FROM job WHERE state = 'queued' AND run_at > ?",
            arguments: [change.now.milliseconds])
        return (claims, next)
    }

    private func claim(_ lane: Lane, _ load: inout Load, in change: Change) throws -> [Claim] {
        let rows = try Row.fetchAll(
            change.db,
            sql: """
                SELECT id, model, writes, kind, json_extract(spec, '$.parameters.target') AS target, memory, run_at, reason
                FROM job WHERE state = 'queued' AND \(lane.condition)
                ORDER BY priority DESC, id LIMIT \(Self.window)
                """)
        let slots = slots(of: lane)
        var claims: [Claim] = []
        var someoneWaitsForMemory = false
        for row in rows {
            let id: JobID = row["id"]
            let place = Self.exclusive(row)
            let memory: Int64 = row["memory"]
            var reason: Reason?
            if row["run_at"] as Int64 > change.now.milliseconds {
                reason = .delayed
            } else if load.slots[lane, default: 0] >= slots {
                reason = .parallel
            } else if let place, load.busy.contains(place) {
                reason = .modelBusy
            } else if load.isCopying, Self.copies(row) {
                reason = .backupBusy
            } else if lane != .remote,
                someoneWaitsForMemory || load.memory > 0 && load.memory + memory > memoryLimit
            {
                reason = .memory
                someoneWaitsForMemory = true
            }
            if let reason {
                // What a job waits for anew says more than that it waits.
                let isSaid =
                    (row["reason"] as String?) == reason.rawValue
                    || reason == .delayed
                        && (row["reason"] as String?) == JobFailure.Kind.unreachable.rawValue
                if !isSaid {
                    try change.db.execute(
                        sql: "UPDATE job SET reason = ? WHERE id = ?", arguments: [reason.rawValue, id])
                }
                continue
            }
            guard let claim = try start(id, lane, memory: memory, in: change) else { continue }
            claims.append(claim)
            load.slots[lane, default: 0] += 1
            if lane != .remote { load.memory += memory }
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
    private func start(_ id: JobID, _ lane: Lane, memory: Int64, in change: Change) throws -> Claim? {
        guard try JobRow.apply(.claim, to: id, owner: owner, in: change) else { return nil }
        try change.db.execute(
            sql: """
                UPDATE job SET epoch = epoch + 1, attempt = attempt + 1, started = ?, cancel_requested = NULL WHERE id = ?
                """, arguments: [change.now.milliseconds, id])
        let row = try JobRow.require(id, change.db)
        var order = WorkerOrder(
            job: id, spec: row.job.spec, store: store, lifeLock: lifeLock,
            threads: lane == .remote ? remoteThreads : row.job.spec.threadsPerRank(of: threads))
        do {
            guard lane == .remote || memory <= memoryLimit else {
                throw JobFailure(
                    .memory,
                    "the job needs about \(memory >> 20) MiB; jobs may use \(memoryLimit >> 20) MiB here",
                    hint: "lower --batch-size or --max-length, or raise memory_limit")
            }
            if row.job.kind.trains { order.checkpoint = TrainingCheckpointFiles(store).path(of: id) }
            let bound = try VersionBinder.bind(
                row.job.spec, job: id, bound: row.job.base, &order, in: change)
            try change.db.execute(
                sql: "UPDATE job SET base = ? WHERE id = ?", arguments: [bound.base?.number, id])
            return Claim(
                id: id, epoch: row.epoch, spec: row.job.spec, submitter: row.job.submitter, base: bound.base,
                head: bound.head, parent: bound.parent, memory: memory, order: order)
        } catch let failure as JobFailure {
            _ = try JobEnd.fail(id, epoch: row.epoch, failure, in: change)
            return nil
        }
    }
}
