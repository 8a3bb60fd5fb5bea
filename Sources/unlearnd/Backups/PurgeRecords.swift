// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

/// What was purged, as one state of a store knows it, to be applied to an earlier state of the same store.
struct PurgeRecords: Sendable {
    private struct Purge: Sendable {
        var id: Int
        var job: JobID?
        var reason: String?
        var actor: Int
        var started: Int64
        var finished: Int64?
        var result: String
    }
    private struct Stone: Sendable {
        var digest: String
        var purge: Int
        var time: Int64
    }

    private var purges: [Purge]
    private var stones: [Stone]

    /// The records of a database; none in one that is older than purges.
    init(_ db: Database) throws {
        guard try db.tableExists("purge"), try db.tableExists("tombstone") else {
            (purges, stones) = ([], [])
            return
        }
        purges = try Row.fetchAll(db, sql: "SELECT * FROM purge ORDER BY id").map {
            Purge(
                id: $0["id"], job: $0["job"], reason: $0["reason"], actor: $0["actor"],
                started: $0["started"],
                finished: $0["finished"], result: $0["result"])
        }
        stones = try Row.fetchAll(db, sql: "SELECT * FROM tombstone").map {
            Stone(digest: $0["digest"], purge: $0["purge"], time: $0["time"])
        }
    }

    /// Does to an earlier state what the purges did to the later one: tombstones, versions gone, datasets and texts
    /// taken. What was applied before is left alone.
    ///
    /// - Returns: The versions that are gone by it.
    func apply(in change: Change) throws -> [VersionReference] {
        let db = change.db
        let known = Set(try Int.fetchAll(db, sql: "SELECT id FROM purge"))
        let jobs = Set(try Int.fetchAll(db, sql: "SELECT id FROM job"))
        var texts: Set<JobID> = []
        for purge in purges where !known.contains(purge.id) {
            try db.execute(
                sql: """
                    INSERT INTO purge(id, job, reason, actor, started, finished, result) VALUES (?, ?, ?, ?, ?, ?, ?)
                    """,
                arguments: [
                    purge.id, purge.job.flatMap { jobs.contains($0) ? $0 : nil }, purge.reason, purge.actor,
                    purge.started, purge.finished, purge.result,
                ])
            let result: PurgeResult = try JSONColumn.decode(purge.result)
            texts.formUnion(result.jobs.filter(jobs.contains))
        }
        var times: [String: Int64] = [:]
        for stone in stones {
            times[stone.digest] = stone.time
            try db.execute(
                sql: "INSERT INTO tombstone(digest, purge, time) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                arguments: [stone.digest, stone.purge, stone.time])
            try db.execute(sql: "DELETE FROM dataset WHERE id = ?", arguments: [stone.digest])
        }
        let gone = try VersionRow.everything(db).filter { !$0.isGone && times[$0.digest.hex] != nil }
        for row in gone {
            try db.execute(
                sql: "UPDATE version SET state = 'gone', purged = ? WHERE model = ? AND n = ?",
                arguments: [times[row.digest.hex], row.model.text, row.number.number])
            try db.execute(
                sql: "UPDATE model SET head = NULL, generation = generation + 1 WHERE name = ? AND head = ?",
                arguments: [row.model.text, row.number.number])
        }
        try PurgedText.purge(texts.sorted(), in: change)
        try PurgedText.purge(about: gone, in: change)
        try RemovalRecord.eraseReasons(
            about: try VersionRow.everything(db).filter { times[$0.digest.hex] != nil }, in: change)
        return gone.map(\.reference)
    }
}
