// SPDX-License-Identifier: Apache-2.0

import GRDB

/// The table `setting`: what operators switch, kept over restarts.
enum Setting: String {
    case queuePaused = "queue-paused"

    /// Whether the switch is on; off when nobody touched it.
    func isOn(_ db: Database) throws -> Bool {
        try String.fetchOne(db, cached: "SELECT value FROM setting WHERE key = ?", arguments: [rawValue])
            == "on"
    }

    func set(_ on: Bool, in change: Change) throws { try Self.put(rawValue, on ? "on" : "off", in: change) }

    /// Writes the value of a key.
    static func put(_ key: String, _ value: String, in change: Change) throws {
        try change.db.execute(
            cached:
                "INSERT INTO setting(key, value) VALUES (?, ?) ON CONFLICT(key) DO UPDATE SET value = excluded.value",
            arguments: [key, value])
    }
}
