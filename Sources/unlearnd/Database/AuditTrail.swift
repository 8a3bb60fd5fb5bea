// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import GRDB
import Protocol

/// The chain of audit rows: each row's hash covers the row before it, so that a later change shows.
package enum AuditTrail {
    /// What the first row's `previous` is.
    static let origin = Digest(bytes: [UInt8](repeating: 0, count: 32))

    /// SHA-256(0x00 ‖ previous ‖ canonical JSON of the other members).
    static func hash(
        seq: Int64, time: Timestamp, actor: Int, action: String, body: JSONValue, previous: Digest
    ) -> Digest {
        let rest: JSONValue = [
            "seq": .integer(seq), "time": .string(time.description), "actor": .integer(Int64(actor)),
            "action": .string(action), "body": body,
        ]
        return ContentHash.of([0] + previous.bytes + rest.serialized(sortedKeys: true))
    }

    static func append(action: String, actor: Int, body: JSONValue, in change: Change) throws {
        let last = try Row.fetchOne(
            change.db, cached: "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")
        let seq = (last?["seq"] ?? 0) + 1 as Int64
        let previous = try last.map { try $0.named("audit", "hash", Digest.init(hex:)) } ?? origin
        guard let previous else { throw UnreadableColumn(table: "audit", column: "hash") }
        let hash = hash(
            seq: seq, time: change.now, actor: actor, action: action, body: body, previous: previous)
        try change.db.execute(
            cached:
                "INSERT INTO audit(seq, time, actor, action, body, previous, hash) VALUES (?, ?, ?, ?, ?, ?, ?)",
            arguments: [
                seq, change.now.milliseconds, actor, action, body.serializedString(sortedKeys: true),
                previous.hex,
                hash.hex,
            ])
    }

    /// The newest rows from `since` on, oldest first.
    static func rows(since: Int64?, limit: Int, _ db: Database) throws -> [AuditRow] {
        try Row.fetchAll(
            db,
            cached:
                "SELECT * FROM (SELECT * FROM audit WHERE seq >= ? ORDER BY seq DESC LIMIT ?) ORDER BY seq",
            arguments: [since ?? 0, limit]
        ).map(row)
    }

    /// Recomputes the whole chain.
    package static func verify(_ db: Database) throws -> AuditVerifyResult {
        let cursor = try Row.fetchCursor(db, sql: "SELECT * FROM audit ORDER BY seq")
        var count: Int64 = 0
        var head = origin
        while let stored = try cursor.next() {
            let row = try? row(stored)
            guard let row, row.seq == count + 1, row.previous == head,
                hash(
                    seq: row.seq, time: row.time, actor: row.actor, action: row.action, body: row.body,
                    previous: row.previous) == row.hash
            else { return AuditVerifyResult(valid: false, rows: count, head: head, brokenAt: count + 1) }
            head = row.hash
            count += 1
        }
        return AuditVerifyResult(valid: true, rows: count, head: count == 0 ? nil : head, brokenAt: nil)
    }

    private static func row(_ row: Row) throws -> AuditRow {
        AuditRow(
            seq: row["seq"], time: Timestamp(milliseconds: row["time"]), actor: row["actor"],
            action: row["action"],
            body: try StrictJSON.parse(row["body"] as String),
            previous: try row.named("audit", "previous", Digest.init(hex:)),
            hash: try row.named("audit", "hash", Digest.init(hex:)))
    }
}
