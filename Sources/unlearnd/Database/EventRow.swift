// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

/// Reads the table `event`: the durable log of what happened.
enum EventRow {
    /// The events with `range.lowerBound <= seq < range.upperBound` that pass `filter`, at most `limit`, and
    /// where the next page begins.
    static func page(
        _ range: Range<Int64>, _ filter: EventFilter, limit: Int, _ db: Database
    ) throws -> (events: [Event], next: Int64) {
        let rows = try Row.fetchAll(
            db, cached: "SELECT * FROM event WHERE seq >= ? AND seq < ? ORDER BY seq LIMIT ?",
            arguments: [range.lowerBound, range.upperBound, limit])
        let events = try rows.map(event).filter(filter.accepts)
        return (
            events, rows.count < limit ? range.upperBound : (rows.last?["seq"] ?? range.upperBound - 1) + 1
        )
    }

    /// The number of the next event, and of the oldest one that is kept.
    static func bounds(_ db: Database) throws -> (oldest: Int64, next: Int64) {
        let last = try Int64.fetchOne(db, cached: "SELECT seq FROM sqlite_sequence WHERE name = 'event'") ?? 0
        let oldest = try Int64.fetchOne(db, cached: "SELECT min(seq) FROM event") ?? last + 1
        return (oldest, last + 1)
    }

    private static func event(_ row: Row) throws -> Event {
        Event(
            seq: row["seq"], time: Timestamp(milliseconds: row["time"]),
            type: EventType(rawValue: row["type"]),
            job: row["job"], model: (row["model"] as String?).flatMap { ModelName($0) },
            data: try StrictJSON.parse(row["data"] as String))
    }
}
