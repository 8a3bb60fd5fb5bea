// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

/// What one purge destroys, and what stands in its way.
struct PurgePlan {
    var result: PurgeResult
    var versions: [VersionRow]
    /// Versions that know and whose bytes went before, as their time was over or their model removed: they must not come
    /// back either.
    var expired: [VersionRow] = []

    /// The plan for one version.
    static func version(_ reference: VersionReference, _ now: Timestamp, _ db: Database) throws -> PurgePlan {
        let row = try VersionRow.resolve(reference, db)
        var plan = try PurgePlan(
            [.init(row: row, cause: .named)], [], job: nil, jobs: nil, now: now, db)
        for twin in try VersionRow.everything(db)
        where twin.digest == row.digest && twin.reference != row.reference && !twin.isGone {
            plan.result.obstacles.append(
                PurgeObstacle(
                    "\(twin.reference) has the same bytes, which would stay",
                    hint: "they cannot be purged apart; keep both"))
        }
        return plan
    }

    /// The plan for one dataset.
    static func dataset(_ set: StoredDataset, _ now: Timestamp, _ db: Database) throws -> PurgePlan {
        try PurgePlan([], [PurgedDataset(dataset: set.id, rows: set.rows)], job: nil, jobs: nil, now: now, db)
    }

    /// The plan for what an unlearning job was to forget.
    static func job(_ job: Job, _ shares: [Digest: SharedRows.Share], _ now: Timestamp, _ db: Database) throws
        -> PurgePlan
    {
        let found = try KnowingVersions(db).knowing(job, shares)
        let datasets = try shares.sorted { $0.key < $1.key }.filter {
            try StoredDataset.find($0.key, db) != nil
        }
        .map { PurgedDataset(dataset: $0.key, rows: $0.value.rows) }
        var plan = try PurgePlan(
            found.filter { !$0.row.isGone }, datasets, job: job, jobs: [job.id], now: now, db)
        plan.expired = found.map(\.row).filter(\.isGone)
        return plan
    }

    private init(
        _ found: [KnowingVersions.Found], _ datasets: [PurgedDataset], job: Job?, jobs: [JobID]?,
        now: Timestamp, _ db: Database
    ) throws {
        versions = found.map(\.row)
        let references = Set(versions.map(\.reference))
        let sets = Set(datasets.map(\.dataset))
        let affected = Set(
            try PurgedText.jobs(datasets: sets, versions: references, db) + (jobs ?? [])
        ).sorted()
        result = PurgeResult(
            dryRun: true, job: job?.id,
            versions: found.map {
                PurgedVersion(version: $0.row.reference, digest: $0.row.digest, cause: $0.cause)
            },
            datasets: datasets, jobs: affected, exports: try Self.exports(references, db),
            publications: try PublicationCopyRow.all(db).filter { references.contains($0.reference) }.map {
                PublishedCopy(target: $0.target, version: $0.reference, name: $0.name)
            })
        result.forget = job?.spec.forget
        result.backups = try BackupTrail.holding(nil, db)
        result.obstacles = try Self.obstacles(versions, sets, affected, job, now, db)
    }

    /// Copies of these versions that were handed out.
    private static func exports(_ versions: Set<VersionReference>, _ db: Database) throws -> [ExportedVersion]
    {
        try Row.fetchAll(
            db,
            sql: """
                SELECT id, model, base, finished FROM job WHERE kind = 'export' AND state = 'succeeded' AND base IS NOT NULL
                ORDER BY id
                """
        ).compactMap { row in
            let reference = VersionReference(
                model: try row.named("job", "model", ModelName.init(_:)), version: row.version("base"))
            guard versions.contains(reference) else { return nil }
            return ExportedVersion(job: row["id"], version: reference, time: row.time("finished"))
        }
    }

    private static func obstacles(
        _ versions: [VersionRow], _ datasets: Set<Digest>, _ affected: [JobID], _ job: Job?, _ now: Timestamp,
        _ db: Database
    ) throws -> [PurgeObstacle] {
        var obstacles: [PurgeObstacle] = []
        let references = Set(versions.map(\.reference))
        for row in versions {
            let isGivenUp = try job != nil && job?.model != row.model && isWhole(row.model, references, db)
            if try ModelRow.find(row.model, db)?.head == row.number, !isGivenUp {
                let better =
                    if let version = job?.version, job?.model == row.model { "\(row.model)@\(version)" } else
                    {
                        "\(row.model)@vN"
                    }
                obstacles.append(
                    PurgeObstacle(
                        "\(row.reference) is the head of \(row.model)",
                        hint:
                            "make another version the head first: unlearnctl promote \(better) --reason TEXT")
                )
            }
            if try HoldRow.holds(of: row.model, at: now, db)[row.number] != nil {
                obstacles.append(
                    PurgeObstacle(
                        "\(row.reference) is held",
                        hint: "an administrator ends the hold: unlearnctl model unhold \(row.reference)"))
            }
        }
        var pinned: [JobID: Set<VersionReference>] = [:]
        for row in try Row.fetchAll(db, sql: "SELECT job, model, n FROM pin") {
            let model = try row.named("pin", "model", ModelName.init(_:))
            pinned[row["job"], default: []].insert(VersionReference(model: model, version: row.version("n")))
        }
        let affected = Set(affected)
        for job in try JobRow.unfinished(db)
        where affected.contains(job.id) || job.kind?.copiesStore == true && job.state.isActive
            || !(pinned[job.id] ?? []).isDisjoint(with: references)
        {
            obstacles.append(
                PurgeObstacle(
                    "job \(job.id) is \(job.state.rawValue) and reads what is to be purged",
                    hint: "wait for it, or: unlearnctl cancel \(job.id)"))
        }
        return obstacles
    }

    /// Whether nothing of a model would be left: another model, made of what is purged, goes with its head, for there is
    /// nothing to move that head to.
    private static func isWhole(_ model: ModelName, _ versions: Set<VersionReference>, _ db: Database) throws
        -> Bool
    {
        try VersionRow.all(of: model, db).allSatisfy { $0.isGone || versions.contains($0.reference) }
    }

    /// Destroys the rows: tombstones, states, texts, work list, events and audit, all in this transaction.
    ///
    /// - Returns: The purge's number.
    func record(reason: String?, actor: Int, in change: Change) throws -> Int {
        var result = result
        result.dryRun = false
        let purge = try PurgeRow.insert(result, reason: reason, actor: actor, in: change)
        var body = JSONObject()
        body["purge"] = .integer(Int64(purge))
        body["job"] = result.job.map { .integer(Int64($0)) } ?? .null
        body["versions"] = .integer(Int64(versions.count))
        body["datasets"] = .integer(Int64(result.datasets.count))
        body["jobs"] = .array(result.jobs.map { .integer(Int64($0)) })
        body["exports"] = .integer(Int64(result.exports.count))
        body["publications"] = .integer(Int64(result.publications?.count ?? 0))
        body["erasure"] = .string(result.erasure)
        try change.audit("purge.begin", actor: actor, .object(body))
        for row in versions {
            try change.db.execute(
                sql: "UPDATE version SET state = 'gone', purged = ? WHERE model = ? AND n = ?",
                arguments: [change.now.milliseconds, row.model.text, row.number.number])
            try Tombstone.insert(row.digest, purge: purge, in: change)
            try change.db.execute(
                sql: "UPDATE model SET head = NULL, generation = generation + 1 WHERE name = ? AND head = ?",
                arguments: [row.model.text, row.number.number])
            let data: JSONValue = [
                "version": .string(row.number.description), "digest": .string(row.digest.hex),
                "purge": .integer(Int64(purge)),
            ]
            try change.record(.purged, model: row.model, data)
            var audited = data.objectValue ?? JSONObject()
            audited["model"] = .string(row.model.text)
            try change.audit("version.purge", actor: actor, .object(audited))
        }
        for row in expired { try Tombstone.insert(row.digest, purge: purge, in: change) }
        try RemovalRecord.eraseReasons(about: versions + expired, in: change)
        for set in result.datasets {
            try change.db.execute(sql: "DELETE FROM dataset WHERE id = ?", arguments: [set.dataset.hex])
            try Tombstone.insert(set.dataset, purge: purge, in: change)
            let data: JSONValue = [
                "dataset": .string(set.dataset.hex), "digest": .string(set.dataset.hex),
                "purge": .integer(Int64(purge)),
            ]
            try change.record(.purged, data)
            try change.audit("dataset.purge", actor: actor, data)
        }
        try PurgedText.purge(result.jobs, in: change)
        try PurgedText.purge(about: versions, in: change)
        FailPoint.insidePurge.reach()
        return purge
    }
}
