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

    static func all(_ db: Database) throws -> [ModelRow] {
        try Row.fetchAll(db, cached: "SELECT * FROM model ORDER BY name").map(ModelRow.init)
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

    /// The moves of a model's head, oldest first.
    static func moves(of name: ModelName, _ db: Database) throws -> [HeadMove] {
        try Row.fetchAll(
            db, cached: "SELECT * FROM head_move WHERE model = ? ORDER BY id", arguments: [name.text]
        ).map {
            guard let to = $0.version("target") else {
                throw UnreadableColumn(table: "head_move", column: "target")
            }
            return HeadMove(
                model: name, from: $0.version("origin"), to: to, time: Timestamp(milliseconds: $0["time"]),
                who: $0["who"], why: $0["why"], undone: try JSONColumn.decode($0["undone"]))
        }
    }
}
