// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

/// Up to which purge the database has been written anew, in the table `setting`: its pages may hold the old bytes of what
/// later ones replaced.
enum RewrittenPages {
    private static let key = "rewritten"

    /// The newest purge that the database has to be written anew after; `nil` if it was.
    static func due(_ db: Database) throws -> Int? {
        let newest = try Int.fetchOne(db, sql: "SELECT max(id) FROM purge") ?? 0
        return try newest > last(db) ? newest : nil
    }

    /// Whether the database was written anew after this purge.
    static func are(after purge: Int, _ db: Database) throws -> Bool { try last(db) >= purge }

    /// Writes down that the database was written anew after this purge, and those before it.
    static func set(_ purge: Int, in change: Change) throws {
        try Setting.put(key, "\(max(purge, try last(change.db)))", in: change)
    }

    private static func last(_ db: Database) throws -> Int {
        let text = try String.fetchOne(db, sql: "SELECT value FROM setting WHERE key = ?", arguments: [key])
        return text.flatMap { Int($0) } ?? 0
    }
}
