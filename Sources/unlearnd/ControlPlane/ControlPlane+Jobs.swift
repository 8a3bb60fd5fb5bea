// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

extension ControlPlane {
    /// `job.list`: the newest jobs that fit, oldest first.
    package func jobs(_ params: JobListParams) async throws(RPCError) -> [Job] {
        try await answering {
            try await database.read { try JobRow.list(params, $0) }.map { withProgress($0.job) }
        }
    }

    /// `job.show`.
    /// - Throws: `not_found`.
    package func job(_ id: JobID) async throws(RPCError) -> Job {
        try await answering { withProgress(try await database.read { try JobRow.require(id, $0).job }) }
    }

    private func withProgress(_ job: Job) -> Job {
        guard job.state.isActive else { return job }
        var job = job
        job.progress = hub.progress(of: job.id)
        return job
    }

    /// `job.log`.
    /// - Throws: `not_found`.
    package func log(_ params: JobLogParams) async throws(RPCError) -> JobLogResult {
        try await answering {
            try await database.read {
                _ = try JobRow.require(params.job, $0)
                return try LogRow.page(params, $0)
            }
        }
    }

    /// `job.cancel`: a waiting job ends at once, a running one as soon as its worker stops. Asking again is no error.
    /// - Throws: `not_found`, `conflict` while the result is being committed.
    package func cancel(_ params: JobCancelParams, peer: Peer) async throws(RPCError) -> JobCancelResult {
        let (id, force) = (params.job, params.force == true)
        return try await answering {
            let result = try await database.change { change -> JobCancelResult in
                let row = try JobRow.require(id, change.db)
                func answer(_ state: JobState, already: Bool) -> JobCancelResult {
                    JobCancelResult(job: id, state: state, already: already)
                }
                switch row.state {
                case .succeeded, .failed, .cancelled, .lost: return answer(row.state, already: true)
                case .committing:
                    throw RPCError(
                        .conflict, "job \(id) is committing its result, which cannot be cancelled",
                        hint: "wait for its end; unlearnctl rollback undoes it")
                case .cancelling:
                    if force { try Self.markCancelled(id, force: true, change) }
                    return answer(.cancelling, already: true)
                case .held, .blocked, .queued, .paused:
                    _ = try JobRow.apply(.drop, to: id, reason: "cancelled", in: change)
                case .running:
                    _ = try JobRow.apply(
                        .requestCancel, to: id, epoch: row.epoch, reason: "cancelled", in: change)
                    try Self.markCancelled(id, force: force, change)
                }
                if !row.job.kind.isInteractive {
                    try change.audit("job.cancel", actor: peer.actor, ["job": .integer(Int64(id))])
                }
                return answer(try JobRow.require(id, change.db).state, already: false)
            }
            if result.state == .cancelling {
                await scheduler.cancel(id, force: force)
            } else {
                await scheduler.wake()
            }
            return result
        }
    }

    private static func markCancelled(_ id: JobID, force: Bool, _ change: Change) throws {
        try change.db.execute(
            cached: "UPDATE job SET cancel_requested = ? WHERE id = ?",
            arguments: [force ? "force" : "graceful", id])
    }

    /// `job.retry`: a job that failed, was cancelled or lost waits again under its number.
    /// - Throws: `not_found`, `conflict` in another state, and for jobs whose files came by descriptor.
    package func retry(_ id: JobID, peer: Peer) async throws(RPCError) -> Job {
        let userJobs = configuration.userJobs
        return try await command("job.retry", id, peer) { row, change in
            if row.job.spec.parameters?.transfer != nil {
                throw RPCError(
                    .conflict, "job \(id) is a \(row.job.kind.rawValue) job, whose files are no longer open",
                    hint: "submit it again")
            }
            try Self.checkRole(row.job.kind, peer)
            guard try JobRow.apply(.retry, to: id, in: change) else { return false }
            // It counts already, as one that waits again.
            try Self.checkQueue(adding: 0, peer, userJobs, change.db)
            try change.db.execute(
                cached: """
                    UPDATE job SET started = NULL, interruptions = 0, cancel_requested = NULL, base = NULL, digest = NULL,
                      head_moved = NULL, head_reason = NULL, gate = NULL, evaluation = NULL, training = NULL, result = NULL,
                      error = NULL, checkpoint = NULL, pause_requested = 0, run_at = 0, retried = 0,
                      retries_left = ? WHERE id = ?
                    """, arguments: [row.job.spec.retries ?? 0, id])
            return true
        }
    }

    /// `job.hold`: a waiting job does not start until it is released.
    /// - Throws: `not_found`, `conflict` in another state.
    package func hold(_ id: JobID, peer: Peer) async throws(RPCError) -> Job {
        try await command("job.hold", id, peer) { row, change in
            try row.state == .held || JobRow.apply(.hold, to: id, in: change)
        }
    }

    /// `job.release`: a held job may start.
    /// - Throws: `not_found`, `conflict` in another state.
    package func release(_ id: JobID, peer: Peer) async throws(RPCError) -> Job {
        try await command("job.release", id, peer) { _, change in
            switch try Dependencies.verdict(of: id, change.db) {
            case .ready: try JobRow.apply(.release, to: id, in: change)
            case .waiting: try JobRow.apply(.releaseBlocked, to: id, reason: "dependency", in: change)
            case .impossible: try JobRow.apply(.drop, to: id, reason: "dependency", in: change)
            }
        }
    }

    /// `job.pause`: a training job writes its checkpoint after the step that it is in, and frees memory and cores.
    ///
    /// The answer comes at once; the job is `running`, for the reason `pausing`, until its worker has ended.
    /// - Throws: `not_found`, `conflict` in another state and for jobs that do not train.
    package func pause(_ id: JobID, peer: Peer) async throws(RPCError) -> Job {
        let job = try await command("job.pause", id, peer) { row, change in
            if row.state == .paused { return true }
            if [.held, .blocked, .queued].contains(row.state) {
                throw RPCError(
                    .conflict, "job \(id) is \(row.state.rawValue): there is nothing to pause yet",
                    hint: "unlearnctl hold \(id) keeps it from starting")
            }
            guard row.state == .running else { return false }
            guard row.job.kind.trains else {
                throw RPCError(
                    .conflict,
                    "job \(id) is a \(row.job.kind.rawValue) job, which keeps no training checkpoint to go on from",
                    hint: "let it end, or unlearnctl cancel \(id) and submit it again later")
            }
            try change.db.execute(
                cached: "UPDATE job SET pause_requested = 1, reason = 'pausing' WHERE id = ?", arguments: [id]
            )
            return true
        }
        await scheduler.pause(id)
        return job
    }

    /// `job.resume`: a paused job goes on when there is room for it.
    /// - Throws: `not_found`, `conflict` in another state.
    package func resume(_ id: JobID, peer: Peer) async throws(RPCError) -> Job {
        try await command("job.resume", id, peer) { row, change in
            guard row.state == .paused || row.state == .running && row.pauseRequested else { return false }
            // A worker that is being paused ends nevertheless; its job then waits to go on.
            try change.db.execute(
                cached: """
                    UPDATE job SET pause_requested = 0,
                      reason = CASE WHEN reason = 'pausing' THEN NULL ELSE reason END WHERE id = ?
                    """, arguments: [id])
            return try row.state == .running || JobRow.apply(.resume, to: id, in: change)
        }
    }

    /// Changes one job's state by a person's wish. `body` says false when the state does not allow it.
    private func command(
        _ action: String, _ id: JobID, _ peer: Peer,
        _ body: @escaping @Sendable (JobRow, Change) throws -> Bool
    ) async throws(RPCError) -> Job {
        try await answering {
            let job = try await database.change { change in
                let row = try JobRow.require(id, change.db)
                guard try body(row, change) else {
                    let verb = action.split(separator: ".").last ?? ""
                    throw RPCError(
                        .conflict, "job \(id) is \(row.state.rawValue): \(verb) does not apply",
                        hint: "unlearnctl show \(id) tells more")
                }
                try change.audit(action, actor: peer.actor, ["job": .integer(Int64(id))])
                return try JobRow.require(id, change.db).job
            }
            await scheduler.wake()
            return job
        }
    }

    /// `queue.status`.
    package func queueStatus() async throws(RPCError) -> QueueStatus {
        let groups = configuration.groups
        return try await answering { try await database.read { try Self.queueStatus(groups, $0) } }
    }

    private static func queueStatus(_ groups: [String: Int], _ db: Database) throws -> QueueStatus {
        let rows = try Row.fetchAll(
            db,
            cached: """
                SELECT state, sum(jobs) AS jobs FROM job_count
                WHERE state NOT IN ('succeeded', 'failed', 'cancelled', 'lost') GROUP BY state HAVING sum(jobs) > 0
                """)
        let running = try Int.fetchAll(
            db,
            cached:
                "SELECT id FROM job WHERE state IN ('running', 'cancelling', 'committing') ORDER BY id"
        )
        return QueueStatus(
            paused: try Setting.queuePaused.isOn(db),
            jobs: Dictionary(uniqueKeysWithValues: rows.map { ($0["state"], $0["jobs"]) }), running: running,
            groups: try queueGroups(groups, db))
    }

    private static func queueGroups(_ limits: [String: Int], _ db: Database) throws -> [QueueGroup]? {
        let rows = try Row.fetchAll(
            db,
            cached: """
                SELECT job_group, sum(state IN ('running', 'cancelling', 'committing')) AS running,
                  sum(state IN ('held', 'blocked', 'queued')) AS waiting
                FROM job WHERE job_group IS NOT NULL AND finished IS NULL GROUP BY job_group
                """)
        var groups = limits.mapValues { QueueGroup(name: "", parallel: $0, running: 0, waiting: 0) }
        for row in rows {
            let name: String = row["job_group"]
            groups[name] = QueueGroup(
                name: name, parallel: limits[name], running: row["running"], waiting: row["waiting"])
        }
        guard !groups.isEmpty else { return nil }
        return groups.sorted { $0.key < $1.key }.map { name, group in
            var group = group
            group.name = name
            return group
        }
    }

    /// `queue.pause` and `queue.resume`: kept over restarts; running and interactive jobs go on.
    package func setPaused(_ isPaused: Bool, peer: Peer) async throws(RPCError) -> QueueStatus {
        let groups = configuration.groups
        return try await answering {
            let status = try await database.change { change in
                if try Setting.queuePaused.isOn(change.db) != isPaused {
                    try Setting.queuePaused.set(isPaused, in: change)
                    try change.record(.queue, ["paused": .bool(isPaused)])
                    try change.audit(isPaused ? "queue.pause" : "queue.resume", actor: peer.actor, [:])
                }
                return try Self.queueStatus(groups, change.db)
            }
            await scheduler.wake()
            return status
        }
    }
}
