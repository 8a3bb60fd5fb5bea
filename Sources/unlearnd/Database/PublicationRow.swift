// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

/// A row of `publication`: a target that follows a model's head, and what it shows.
struct PublicationRow: Hashable, Sendable {
    var target: String
    var model: ModelName
    /// What the target shows; `nil` before the first switch.
    var version: VersionNumber?
    var digest: Digest?
    var switched: Timestamp?
    /// What was wrong with the hook after the last switch.
    var hookFault: String?
    /// The newest job that publishes here.
    var job: JobID?
    /// Whether it is being given up.
    var isEnding: Bool

    private init(_ row: Row) throws {
        target = row["target"]
        model = try row.named("publication", "model", ModelName.init(_:))
        version = row.version("version")
        digest = (row["digest"] as String?).flatMap(Digest.init(hex:))
        switched = row.time("switched")
        hookFault = row["hook_fault"]
        job = row["job"]
        isEnding = row["ending"]
    }

    static func find(_ target: String, _ db: Database) throws -> PublicationRow? {
        try Row.fetchOne(db, cached: "SELECT * FROM publication WHERE target = ?", arguments: [target]).map(
            PublicationRow.init)
    }

    static func all(_ db: Database) throws -> [PublicationRow] {
        try Row.fetchAll(db, cached: "SELECT * FROM publication ORDER BY target").map(PublicationRow.init)
    }

    static func all(of model: ModelName, _ db: Database) throws -> [PublicationRow] {
        try all(db).filter { $0.model == model }
    }

    static func insert(_ target: String, _ model: ModelName, who: Int, in change: Change) throws {
        try change.db.execute(
            cached: "INSERT INTO publication(target, model, who, created) VALUES (?, ?, ?, ?)",
            arguments: [target, model.text, who, change.now.milliseconds])
    }

    static func delete(_ target: String, in change: Change) throws {
        try change.db.execute(cached: "DELETE FROM publication_copy WHERE target = ?", arguments: [target])
        try change.db.execute(cached: "DELETE FROM publication WHERE target = ?", arguments: [target])
    }

    /// From now on it is being given up.
    static func end(_ target: String, in change: Change) throws {
        try change.db.execute(
            cached: "UPDATE publication SET ending = 1 WHERE target = ?", arguments: [target])
    }

    /// Writes down what the target shows.
    static func show(_ copy: PublicationCopyRow?, at target: String, in change: Change) throws {
        try change.db.execute(
            cached: """
                UPDATE publication SET version = ?, digest = ?, switched = ?, hook_fault = NULL WHERE target = ?
                """,
            arguments: [copy?.version.number, copy?.digest.hex, change.now.milliseconds, target])
    }

    static func set(hookFault: String?, at target: String, in change: Change) throws {
        try change.db.execute(
            cached: "UPDATE publication SET hook_fault = ? WHERE target = ?", arguments: [hookFault, target])
    }

    /// Queues a job that brings the target up to the head, unless one waits already.
    ///
    /// - Returns: The job that waits.
    @discardableResult
    func request(who: Int, in change: Change) throws -> JobID {
        if let job, let row = try JobRow.find(job, change.db),
            [.held, .blocked, .queued].contains(row.state)
        {
            return job
        }
        var spec = JobSpec(kind: .publish, model: VersionReference(model: model))
        var parameters = JobParameters()
        parameters.target = target
        spec.parameters = parameters
        let id = try JobRow.insert(
            spec, state: .queued, reason: nil, submitter: who,
            memory: JobEstimator.worker + JobEstimator.chunks, warnings: [], keyHash: nil, in: change)
        try change.db.execute(
            cached: "UPDATE publication SET job = ? WHERE target = ?", arguments: [id, target])
        try change.audit(
            "job.submit", actor: who,
            [
                "job": .integer(Int64(id)), "kind": .string(spec.kind.rawValue), "model": .string(model.text),
                "target": .string(target),
            ])
        return id
    }

    /// The head of a model has moved: every target that follows it is to be switched.
    static func follow(_ model: ModelName, who: Int, in change: Change) throws {
        for row in try all(of: model, change.db) where !row.isEnding {
            try row.request(who: who, in: change)
        }
    }
}
