// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

/// The tables `hold` and `tag`: which versions people keep, and why.
enum HoldRow {
    /// The holds of a model's versions that have not ended.
    static func holds(of model: ModelName, at now: Timestamp, _ db: Database) throws
        -> [VersionNumber: VersionHold]
    {
        let rows = try Row.fetchAll(
            db, cached: "SELECT * FROM hold WHERE model = ? AND (until IS NULL OR until > ?)",
            arguments: [model.text, now.milliseconds])
        return try rows.reduce(into: [:]) { holds, row in
            guard let number = row.version("n") else { throw UnreadableColumn(table: "hold", column: "n") }
            holds[number] = VersionHold(
                reason: row["reason"], until: row.time("until"), who: row["who"],
                created: Timestamp(milliseconds: row["created"]))
        }
    }

    /// The tags of a model's versions, in order.
    static func tags(of model: ModelName, _ db: Database) throws -> [VersionNumber: [String]] {
        let rows = try Row.fetchAll(
            db, cached: "SELECT n, name FROM tag WHERE model = ? ORDER BY name", arguments: [model.text])
        return try rows.reduce(into: [:]) { tags, row in
            guard let number = row.version("n") else { throw UnreadableColumn(table: "tag", column: "n") }
            tags[number, default: []].append(row["name"])
        }
    }

    /// Every version that is held or tagged.
    static func kept(at now: Timestamp, _ db: Database) throws -> Set<VersionReference> {
        let rows = try Row.fetchAll(
            db,
            cached:
                "SELECT model, n FROM hold WHERE until IS NULL OR until > ? UNION SELECT model, n FROM tag",
            arguments: [now.milliseconds])
        return Set(
            try rows.map {
                VersionReference(
                    model: try $0.named("hold", "model", ModelName.init(_:)), version: $0.version("n"))
            })
    }
}
