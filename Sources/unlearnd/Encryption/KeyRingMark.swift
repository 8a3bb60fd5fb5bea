// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

/// The number of the key ring at the last purge, in the table `setting`: an older ring has keys that were destroyed.
enum KeyRingMark {
    private static let key = "key-ring"

    /// Refuses a ring that was put in the place of a newer one.
    /// - Throws: ``StartupError``.
    static func check(_ generation: Int, _ root: String, _ db: Database) throws {
        let text = try String.fetchOne(db, sql: "SELECT value FROM setting WHERE key = ?", arguments: [key])
        guard let least = text.flatMap({ Int($0) }), generation < least else { return }
        throw StartupError(
            .encryption,
            "the key ring in \(root)/keys is number \(generation), and the last purge wrote number \(least)",
            hint: "somebody put an older one there: bring back the newer one, or restore a backup as a whole")
    }

    /// Writes the number down.
    static func set(_ generation: Int, in change: Change) throws {
        try change.db.execute(
            sql:
                "INSERT INTO setting(key, value) VALUES (?, ?) ON CONFLICT(key) DO UPDATE SET value = excluded.value",
            arguments: [key, "\(generation)"])
    }

    /// Forgets the number: the store has another ring.
    static func clear(in change: Change) throws {
        try change.db.execute(sql: "DELETE FROM setting WHERE key = ?", arguments: [key])
    }
}
