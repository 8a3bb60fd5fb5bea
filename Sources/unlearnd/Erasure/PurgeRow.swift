// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

/// The table `purge`: what was destroyed, and, until `finished`, what is still to be done.
enum PurgeRow {
    /// The purges whose files are not all gone, oldest first.
    static func unfinished(_ db: Database) throws -> [Int] {
        try Int.fetchAll(db, sql: "SELECT id FROM purge WHERE finished IS NULL ORDER BY id")
    }

    /// One purge as far as it has come.
    static func find(_ id: Int, _ db: Database) throws -> PurgeResult? {
        try Row.fetchOne(db, sql: "SELECT * FROM purge WHERE id = ?", arguments: [id]).map {
            try result($0, db)
        }
    }

    /// The purges of a job, oldest first.
    static func all(of job: JobID, _ db: Database) throws -> [PurgeResult] {
        try Row.fetchAll(db, sql: "SELECT * FROM purge WHERE job = ? ORDER BY id", arguments: [job]).map {
            try result($0, db)
        }
    }

    /// Writes down what a purge has to destroy and returns its number.
    static func insert(_ result: PurgeResult, reason: String?, actor: Int, in change: Change) throws -> Int {
        try change.db.execute(
            sql: "INSERT INTO purge(job, reason, actor, started, result) VALUES (?, ?, ?, ?, ?)",
            arguments: [
                result.job, reason, actor, change.now.milliseconds, try JSONColumn.text(result),
            ])
        return Int(change.db.lastInsertedRowID)
    }

    /// Writes down how far a purge has come; with `isWhole` that nothing is left to do.
    static func update(_ id: Int, _ result: PurgeResult, isWhole: Bool, in change: Change) throws {
        try change.db.execute(
            sql: "UPDATE purge SET result = ?, finished = ? WHERE id = ?",
            arguments: [try JSONColumn.text(result), isWhole ? change.now.milliseconds : nil, id])
    }

    /// The newest purge has to collect once more: somebody tried to bring purged bytes back, and they lie in the store.
    static func reopenNewest(in change: Change) throws {
        try change.db.execute(
            sql: "UPDATE purge SET finished = NULL WHERE id = (SELECT max(id) FROM purge)")
    }

    private static func result(_ row: Row, _ db: Database) throws -> PurgeResult {
        var result: PurgeResult = try JSONColumn.decode(row["result"])
        result.purge = row["id"]
        result.finished = row.time("finished")
        result.backups = try BackupTrail.holding((row["id"], Timestamp(milliseconds: row["started"])), db)
        PurgeWords.fill(&result, isRewritten: try RewrittenPages.are(after: row["id"], db))
        return result
    }
}
