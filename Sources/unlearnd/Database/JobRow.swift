// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

/// A row of `job`: the job as clients see it, and what only the daemon needs.
package struct JobRow: Sendable {
    package var job: Job
    /// Grows with every start; a commit that carries an older one is refused.
    package var epoch: Int
    /// How often a daemon died under it since it was submitted or retried.
    package var interruptions: Int
    /// Which daemon runs it.
    package var owner: String?
    /// How its cancellation was asked for.
    var cancelRequested: String?
    /// Whether somebody wants it paused.
    package var pauseRequested: Bool
    /// What admission counts for it, bytes.
    var memory: Int64
    /// How often it may still be tried again by itself.
    package var retriesLeft: Int
    /// The hash of the body that its idempotency key stands for.
    var keyHash: String?

    var id: JobID { job.id }
    /// The job's state.
    package var state: JobState { job.state }

    /// What ``init(_:)`` reads, in its order: by position, because a name is searched for in every row anew.
    private static let columns = """
        id, spec, state, submitter, created, reason, base, version, digest, head_moved, head_reason, gate, evaluation,
        training, result, error, warnings, checkpoint, attempt, started, finished, retried, run_at, epoch, interruptions,
        owner, cancel_requested, pause_requested, memory, retries_left, idempotency_hash,
        placement
        """

    private init(_ row: Row) throws {
        func time(_ index: Int) -> Timestamp? {
            (row[index] as Int64?).map { Timestamp(milliseconds: $0) }
        }
        func version(_ index: Int) -> VersionNumber? { (row[index] as Int?).flatMap { VersionNumber($0) } }
        func json<T: Decodable>(_ index: Int) throws -> T? {
            guard let text: String = row[index] else { return nil }
            return try JSONColumn.decode(text) as T
        }
        guard let state = (row[2] as String?).flatMap(JobState.init(rawValue:)) else {
            throw UnreadableColumn(table: "job", column: "state")
        }
        job = Job(
            id: row[0], spec: try JSONColumn.decode(row[1]), state: state, submitter: row[3],
            created: Timestamp(milliseconds: row[4]))
        job.reason = row[5]
        job.base = version(6)
        job.version = version(7)
        job.digest = (row[8] as String?).flatMap(Digest.init(hex:))
        job.headMoved = row[9]
        job.headReason = row[10]
        job.gate = try json(11)
        job.evaluation = try json(12)
        job.training = try json(13)
        job.result = try json(14)
        job.error = try json(15)
        job.warnings = try JSONColumn.decode(row[16])
        job.checkpoint = try json(17)
        job.placement = try json(31)
        job.attempt = row[18]
        job.started = time(19)
        job.finished = time(20)
        job.retried = row[21]
        if state == .queued, job.reason == ClaimPlanner.Reason.retrying.rawValue { job.retryAt = time(22) }
        epoch = row[23]
        interruptions = row[24]
        owner = row[25]
        cancelRequested = row[26]
        pauseRequested = row[27]
        memory = row[28]
        retriesLeft = row[29]
        keyHash = row[30]
    }

    /// The job with that number.
    static func find(_ id: JobID, _ db: Database) throws -> JobRow? {
        try Row.fetchOne(db, cached: "SELECT \(columns) FROM job WHERE id = ?", arguments: [id]).map(
            JobRow.init)
    }

    /// The job with that number.
    /// - Throws: `not_found`.
    package static func require(_ id: JobID, _ db: Database) throws -> JobRow {
        guard let row = try find(id, db) else {
            throw RPCError(.notFound, "there is no job \(id)", hint: "unlearnctl ps --all lists the jobs")
        }
        return row
    }

    /// The jobs that unlearned a forget set and made versions of a model.
    static func unlearning(of model: ModelName, _ db: Database) throws -> [JobID: Job] {
        let kinds = JobKind.allCases.filter(\.unlearns).map { "'\($0.rawValue)'" }.joined(separator: ", ")
        let rows = try Row.fetchCursor(
            db,
            sql: """
                SELECT \(columns) FROM job WHERE id IN (SELECT job FROM version WHERE model = ?)
                  AND kind IN (\(kinds)) AND json_extract(spec, '$.forget') IS NOT NULL
                """, arguments: [model.text])
        var jobs: [JobID: Job] = [:]
        while let row = try rows.next() {
            let job = try JobRow(row).job
            jobs[job.id] = job
        }
        return jobs
    }

    /// The jobs that made versions.
    static func makers(_ db: Database) throws -> [JobID: Job] {
        let rows = try Row.fetchCursor(
            db, sql: "SELECT \(columns) FROM job WHERE id IN (SELECT job FROM version)")
        var jobs: [JobID: Job] = [:]
        while let row = try rows.next() {
            let job = try JobRow(row).job
            jobs[job.id] = job
        }
        return jobs
    }

    /// The job that a user's key stands for.
    static func find(key: String, submitter: Int, _ db: Database) throws -> JobRow? {
        try Row.fetchOne(
            db, cached: "SELECT \(columns) FROM job WHERE submitter = ? AND idempotency_key = ?",
            arguments: [submitter, key]
        ).map(JobRow.init)
    }

    /// The jobs in any of these states, oldest first.
    static func all(in states: [JobState], _ db: Database) throws -> [JobRow] {
        let names = states.map { "'\($0.rawValue)'" }.joined(separator: ", ")
        return try Row.fetchAll(
            db, cached: "SELECT \(columns) FROM job WHERE state IN (\(names)) ORDER BY id"
        )
        .map(
            JobRow.init)
    }

    /// Every job that has not ended, by its number, without its specification: of very many it takes long to read.
    static func unfinished(_ db: Database) throws -> [(id: JobID, kind: JobKind?, state: JobState)] {
        let names = JobState.allCases.filter { !$0.isTerminal }.map { "'\($0.rawValue)'" }
        return try Row.fetchAll(
            db,
            cached:
                "SELECT id, kind, state FROM job WHERE state IN (\(names.joined(separator: ", "))) ORDER BY id"
        ).map {
            ($0["id"], JobKind(rawValue: $0["kind"]), try $0.named("job", "state", JobState.init(rawValue:)))
        }
    }

    /// The waiting jobs whose files lie open in the daemon.
    static func withFiles(_ db: Database) throws -> [JobRow] {
        try Row.fetchAll(
            db,
            cached: """
                SELECT \(columns) FROM job INDEXED BY job_files WHERE state IN ('held', 'blocked', 'queued')
                  AND json_extract(spec, '$.parameters.transfer') IS NOT NULL ORDER BY id
                """
        ).map(JobRow.init)
    }

    /// Whether a job reads or heals the whole store now.
    static func isStoreCopied(_ db: Database) throws -> Bool {
        try all(in: [.running, .cancelling, .committing], db).contains { $0.job.kind.copiesStore }
    }

    /// The newest jobs that fit the query, oldest first.
    static func list(_ query: JobListParams, _ db: Database) throws -> [JobRow] {
        var conditions = ["1"]
        var arguments: StatementArguments = []
        if let model = query.model {
            conditions.append("model = ?")
            arguments += [model.text]
        }
        if let before = query.before {
            conditions.append("id < ?")
            arguments += [before]
        }
        if let sweep = query.sweep {
            conditions.append("json_extract(spec, '$.sweep.family') = ?")
            arguments += [sweep]
        }
        if query.all != true { conditions.append("(interactive = 0 OR kind = 'publish')") }
        let limit = max(1, min(query.limit ?? 100, 1000))
        arguments += [limit]
        // One query for each state: they come in order from an index, however many jobs are in other states.
        let states = query.states.map { Set($0).map { "state = '\($0.rawValue)' AND " } } ?? [""]
        let rows = try states.flatMap { state in
            try Row.fetchAll(
                db,
                cached:
                    "SELECT \(columns) FROM job WHERE \(state)\(conditions.joined(separator: " AND ")) ORDER BY id DESC LIMIT ?",
                arguments: arguments)
        }
        let newest = rows.count > limit ? rows.sorted { $0[0] as Int > $1[0] }.prefix(limit) : rows[...]
        return try newest.map(JobRow.init).sorted { $0.id < $1.id }
    }

    /// Adds a job in its first state and returns its number.
    package static func insert(
        _ spec: JobSpec, state: JobState, reason: String?, submitter: Int, memory: Int64, disk: Int64 = 0,
        warnings: [String], keyHash: String?, in change: Change
    ) throws -> JobID {
        try change.db.execute(
            cached: """
                INSERT INTO job(kind, model, spec, state, reason, interactive, writes, priority, run_at, created, memory,
                  warnings, submitter, idempotency_key, idempotency_hash, disk, job_group, deadline, retries_left,
                  remote)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
                """,
            arguments: [
                spec.kind.rawValue, spec.model?.model.text, try JSONColumn.text(spec), state.rawValue, reason,
                spec.kind.isPrompt, spec.kind.writesVersion, spec.priority ?? 0,
                spec.at?.milliseconds ?? 0,
                change.now.milliseconds, memory, try JSONColumn.text(warnings), submitter, spec.key, keyHash,
                disk, spec.group, spec.deadline?.milliseconds, spec.retries ?? 0,
                spec.parameters?.launcher == .slurm,
            ])
        let id = JobID(change.db.lastInsertedRowID)
        for dependency in spec.after ?? [] {
            try change.db.execute(
                cached: "INSERT INTO job_dep(job, on_job, condition) VALUES (?, ?, ?)",
                arguments: [id, dependency.job, dependency.condition.rawValue])
        }
        try change.record(
            .submitted, job: id, model: spec.model?.model,
            ["kind": .string(spec.kind.rawValue), "state": .string(state.rawValue)])
        return id
    }

    /// Changes the job's state, if it is in one of the states from which `transition` goes, and, where `epoch` is
    /// given, if nobody started it anew meanwhile. The one place where states are written.
    ///
    /// - Parameter owner: Who runs it, for a claim.
    /// - Returns: Whether the state changed; if not, somebody else was first.
    package static func apply(
        _ transition: JobTransition, to id: JobID, epoch: Int? = nil, reason: String? = nil,
        owner: String? = nil,
        in change: Change
    ) throws -> Bool {
        let from = transition.from.map { "'\($0.rawValue)'" }.sorted().joined(separator: ", ")
        let target = transition.to
        guard
            let before = try Row.fetchOne(
                change.db,
                cached:
                    "SELECT state, model, checkpoint FROM job WHERE id = ? AND state IN (\(from)) AND (? IS NULL OR epoch = ?)",
                arguments: [id, epoch, epoch])
        else { return false }
        try change.db.execute(
            cached: """
                UPDATE job SET state = ?, reason = ?,
                  owner = CASE WHEN ? THEN coalesce(?, owner) ELSE NULL END,
                  finished = CASE WHEN ? THEN ? ELSE NULL END
                WHERE id = ? AND state IN (\(from)) AND (? IS NULL OR epoch = ?)
                """,
            arguments: [
                target.rawValue, reason, target.isActive, owner, target.isTerminal, change.now.milliseconds,
                id, epoch,
                epoch,
            ])
        guard change.db.changesCount == 1 else { return false }
        // A job that will go on from a training checkpoint goes on with the versions that it began with.
        let goesOn = !target.isTerminal && (before["checkpoint"] as String?) != nil
        if !target.isActive, !goesOn {
            try change.db.execute(cached: "DELETE FROM pin WHERE job = ?", arguments: [id])
        }
        if target.isTerminal {
            try change.db.execute(
                cached: "UPDATE job SET checkpoint = NULL, pause_requested = 0 WHERE id = ?", arguments: [id])
        }
        try change.record(
            .state, job: id, model: (before["model"] as String?).flatMap { ModelName($0) },
            [
                "from": .string(before["state"]), "to": .string(target.rawValue),
                "reason": reason.map { .string($0) } ?? .null,
            ])
        if target.isTerminal { try Dependencies.jobEnded(id, in: change) }
        return true
    }

    /// Notes what the job would go on from. What has come this far was not in vain: deaths are counted anew.
    static func keep(_ checkpoint: TrainingCheckpoint, of id: JobID, epoch: Int, in change: Change) throws {
        try change.db.execute(
            cached: "UPDATE job SET checkpoint = ?, interruptions = 0 WHERE id = ? AND epoch = ?",
            arguments: [try JSONColumn.text(checkpoint), id, epoch])
    }

    /// Notes where a cluster has put the job; false when that start of it is over. The reason why it waits there is the
    /// job's own.
    static func place(_ placement: JobPlacement, of id: JobID, epoch: Int, in change: Change) throws -> Bool {
        try change.db.execute(
            cached: """
                UPDATE job SET placement = ?, reason = CASE WHEN state = 'running' AND pause_requested = 0 THEN ? ELSE reason END
                WHERE id = ? AND epoch = ? AND state IN ('running', 'cancelling')
                """,
            arguments: [
                try JSONColumn.text(placement),
                placement.state == "PENDING"
                    ? "\(placement.launcher.rawValue): \(placement.reason ?? placement.state)" : nil,
                id, epoch,
            ])
        return change.db.changesCount == 1
    }

    /// Adds warnings that the job does not have yet.
    static func warn(_ id: JobID, _ warnings: [String], in change: Change) throws {
        guard
            let text = try String.fetchOne(
                change.db, cached: "SELECT warnings FROM job WHERE id = ?", arguments: [id])
        else { return }
        var all: [String] = try JSONColumn.decode(text)
        // A worker that warns without end must not fill the row.
        for warning in warnings where !all.contains(warning) && all.count < 1000 { all.append(warning) }
        try change.db.execute(
            cached: "UPDATE job SET warnings = ? WHERE id = ?", arguments: [try JSONColumn.text(all), id])
    }
}
