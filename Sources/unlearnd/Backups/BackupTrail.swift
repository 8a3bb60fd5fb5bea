// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

/// Which backup targets may still hold what was purged: the jobs that wrote to them tell.
enum BackupTrail {
    /// The targets that a backup was begun to before the purge and that no backup since has brought up to date.
    ///
    /// No purge is recorded while a backup runs, so a backup lies before or after it as a whole.
    /// - Parameter purge: The purge and its time; `nil`: one that would begin now.
    static func holding(_ purge: (id: Int, time: Timestamp)?, _ db: Database) throws -> [String] {
        var holding: Set<String> = []
        var clean: Set<String> = []
        let rows = try Row.fetchAll(
            db,
            sql: """
                SELECT state, started, json_extract(spec, '$.parameters.target') AS target,
                  json_extract(result, '$.purge') AS purge
                FROM job WHERE kind = 'backup' AND epoch > 0
                """)
        for row in rows {
            guard let target: String = row["target"] else { continue }
            let started: Int64? = row["started"]
            if purge == nil || started == nil || started ?? 0 <= purge?.time.milliseconds ?? 0 {
                holding.insert(target)
            }
            if let purge, row["state"] == JobState.succeeded.rawValue, row["purge"] ?? 0 >= purge.id {
                clean.insert(target)
            }
        }
        return holding.subtracting(clean).sorted()
    }

    /// Whether a backup to that target ever ended well.
    static func hasSucceeded(_ target: String, _ db: Database) throws -> Bool {
        try Bool.fetchOne(
            db,
            sql: """
                SELECT EXISTS(SELECT 1 FROM job WHERE kind = 'backup' AND state = 'succeeded'
                  AND json_extract(spec, '$.parameters.target') = ?)
                """, arguments: [target]) ?? false
    }
}
