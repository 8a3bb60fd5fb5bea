// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

/// A row of `model`: a named line of versions and its head.
struct ModelRow: Hashable, Sendable {
    var name: ModelName
    var head: VersionNumber?
    var created: Timestamp

    private init(_ row: Row) throws {
        name = try row.named("model", "name", ModelName.init(_:))
        head = row.version("head")
        created = Timestamp(milliseconds: row["created"])
    }

    static func find(_ name: ModelName, _ db: Database) throws -> ModelRow? {
        try Row.fetchOne(db, cached: "SELECT * FROM model WHERE name = ?", arguments: [name.text]).map(
            ModelRow.init)
    }

    /// The model of that name.
    /// - Throws: `not_found`.
    static func require(_ name: ModelName, _ db: Database) throws -> ModelRow {
        guard let model = try find(name, db) else {
            let names = try String.fetchAll(db, cached: "SELECT name FROM model ORDER BY name LIMIT 1000")
            let meant = ClosestName.suggest(for: name.text, among: names)
            throw RPCError(
                .notFound, "there is no model \(name)",
                hint: meant.map { "did you mean \($0)?" } ?? "unlearnctl model list shows the models")
        }
        return model
    }

    /// Whether there is a model of that name that was not removed.
    static func isInUse(_ name: ModelName, _ db: Database) throws -> Bool {
        try Int.fetchOne(
            db, cached: "SELECT count(*) FROM model m WHERE m.name = ? AND \(RemovalRecord.isInUse)",
            arguments: [name.text]) == 1
    }

    /// How many models there are that were not removed.
    static func count(_ db: Database) throws -> Int {
        try Int.fetchOne(db, cached: "SELECT count(*) FROM model m WHERE \(RemovalRecord.isInUse)") ?? 0
    }

    /// What is told of the models in use whose names come after another, in the order of the names.
    static func summaries(after name: ModelName?, limit: Int, _ db: Database) throws -> [ModelSummary] {
        try Row.fetchAll(
            db, cached: "\(summary) WHERE m.name > ? AND \(RemovalRecord.isInUse) ORDER BY m.name LIMIT ?",
            arguments: [name?.text ?? "", limit]
        ).map(summary)
    }

    /// What is told of a model in a list.
    static func summary(_ model: ModelRow, _ db: Database) throws -> ModelSummary {
        guard
            let row = try Row.fetchOne(
                db, cached: "\(summary) WHERE m.name = ?", arguments: [model.name.text])
        else { throw RPCError(.notFound, "there is no model \(model.name)") }
        return try summary(row)
    }

    private static let summary = """
        SELECT m.name, m.head, m.created, h.digest, h.bytes, h.architecture,
          (SELECT count(*) FROM version v WHERE v.model = m.name) AS versions,
          (SELECT count(*) FROM version v WHERE v.model = m.name AND v.candidate = 1 AND v.state = 'live') AS candidates
        FROM model m LEFT JOIN version h ON h.model = m.name AND h.n = m.head
        """

    private static func summary(_ row: Row) throws -> ModelSummary {
        ModelSummary(
            model: try row.named("model", "name", ModelName.init(_:)), head: row.version("head"),
            digest: try (row["digest"] as String?).map { _ in
                try row.named("version", "digest", Digest.init(hex:))
            },
            versions: row["versions"], candidates: row["candidates"], bytes: row["bytes"] ?? 0,
            architecture: row["architecture"], created: Timestamp(milliseconds: row["created"]))
    }

    /// All models, in the order of their names.
    static func all(_ db: Database) throws -> [ModelRow] {
        try Row.fetchAll(db, cached: "SELECT * FROM model ORDER BY name").map(ModelRow.init)
    }

    /// The models with more candidates than `depth` whose bytes are there.
    static func all(withCandidatesOver depth: Int, _ db: Database) throws -> [ModelRow] {
        try Row.fetchAll(
            db,
            cached: """
                SELECT * FROM model WHERE name IN (
                  SELECT model FROM version WHERE candidate = 1 AND state = 'live' GROUP BY model HAVING count(*) > ?)
                ORDER BY name
                """, arguments: [depth]
        ).map(ModelRow.init)
    }

    /// The models whose head has left a version at that time or before.
    static func all(leftBefore time: Int64, _ db: Database) throws -> [ModelRow] {
        try Row.fetchAll(
            db,
            cached: """
                SELECT * FROM model WHERE name IN (
                  SELECT model FROM head_move WHERE origin IS NOT NULL AND time <= ?) ORDER BY name
                """, arguments: [time]
        ).map(ModelRow.init)
    }

    static func insert(_ name: ModelName, in change: Change) throws {
        try change.db.execute(
            cached: "INSERT INTO model(name, created) VALUES (?, ?)",
            arguments: [name.text, change.now.milliseconds])
    }

    /// Moves the head, if it still is `from`, and writes the move down: row, event, audit.
    ///
    /// - Returns: The move, or `nil` when the head was elsewhere.
    static func moveHead(
        _ name: ModelName, from: VersionNumber?, to: VersionNumber, who: Int, why: String,
        undone: [JobID] = [],
        job: JobID? = nil, in change: Change
    ) throws -> HeadMove? {
        try change.db.execute(
            cached: "UPDATE model SET head = ?, generation = generation + 1 WHERE name = ? AND head IS ?",
            arguments: [to.number, name.text, from?.number])
        guard change.db.changesCount == 1 else { return nil }
        // What was once head is no candidate any more.
        try change.db.execute(
            cached: "UPDATE version SET candidate = 0 WHERE model = ? AND n = ?",
            arguments: [name.text, to.number])
        try change.db.execute(
            cached: """
                INSERT INTO head_move(model, origin, target, time, who, why, undone) VALUES (?, ?, ?, ?, ?, ?, ?)
                """,
            arguments: [
                name.text, from?.number, to.number, change.now.milliseconds, who, why,
                try JSONColumn.text(undone),
            ])
        let data: JSONValue = [
            "from": from.map { .string($0.description) } ?? .null, "to": .string(to.description),
            "who": .integer(Int64(who)), "why": .string(why),
            "undone": .array(undone.map { .integer(Int64($0)) }),
        ]
        try change.record(.head, job: job, model: name, data)
        var body = data.objectValue ?? JSONObject()
        body["model"] = .string(name.text)
        // Reasons are people's free text; the audit chain cannot be cleaned of a name once written.
        if job == nil { body["why"] = nil }
        try change.audit("head.move", actor: who, .object(body))
        try PublicationRow.follow(name, who: who, in: change)
        return HeadMove(model: name, from: from, to: to, time: change.now, who: who, why: why, undone: undone)
    }

    /// Whether the head went from a version, the last time that it did, by undoing jobs.
    static func wasUndone(_ version: VersionNumber, of name: ModelName, _ db: Database) throws -> Bool {
        try Bool.fetchOne(
            db,
            cached: """
                SELECT json_array_length(undone) > 0 FROM head_move WHERE model = ? AND origin = ?
                ORDER BY id DESC LIMIT 1
                """, arguments: [name.text, version.number]) ?? false
    }

    /// The newest moves of a model's head, oldest first, and before which the older ones are found.
    /// - Parameter before: Only such with smaller numbers; they count the moves of all models.
    static func moves(
        of name: ModelName, before: Int64?, limit: Int?, _ db: Database
    ) throws -> (moves: [HeadMove], next: Int64?) {
        let rows = try Row.fetchCursor(
            db, sql: "SELECT * FROM head_move WHERE model = ? AND id < ? ORDER BY id DESC",
            arguments: [name.text, before ?? .max])
        var budget = PageBudget(limit: limit)
        var moves: [HeadMove] = []
        var last: Int64?
        while let row = try rows.next() {
            let (why, undone): (String, String) = (row["why"], row["undone"])
            guard budget.takes(300 + PageBudget.size(why) + undone.utf8.count) else {
                return (moves.reversed(), last)
            }
            guard let to = row.version("target") else {
                throw UnreadableColumn(table: "head_move", column: "target")
            }
            moves.append(
                HeadMove(
                    model: name, from: row.version("origin"), to: to,
                    time: Timestamp(milliseconds: row["time"]), who: row["who"], why: why,
                    undone: try JSONColumn.decode(undone)))
            last = row["id"]
        }
        return (moves.reversed(), nil)
    }
}
