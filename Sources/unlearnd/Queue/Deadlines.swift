// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

/// Says once that a job's deadline comes near and once that it is over. The job itself goes on: what must be erased is not
/// given up because it is late.
struct Deadlines: Sendable {
    /// How long before the deadline the first warning comes, milliseconds.
    let lead: Int64

    /// - Parameter lead: How long before the deadline the first warning comes, seconds.
    init(lead: Double) { self.lead = Int64(lead * 1000) }

    /// Records what is due, as an event and as a warning of the job.
    /// - Returns: The same for the log, and when the next is due, milliseconds since 1970.
    func tell(in change: Change) throws -> (lines: [String], next: Int64?) {
        let now = change.now.milliseconds
        let rows = try Row.fetchAll(
            change.db,
            cached: """
                SELECT id, model, state, deadline, deadline_told FROM job
                WHERE deadline IS NOT NULL AND deadline_told < 2 AND finished IS NULL AND deadline <= ? ORDER BY deadline
                """, arguments: [now + lead])
        var lines: [String] = []
        for row in rows {
            let time = Timestamp(milliseconds: row["deadline"])
            let isMissed = time.milliseconds <= now
            guard isMissed || row["deadline_told"] == 0 else { continue }
            let (id, state): (JobID, String) = (row["id"], row["state"])
            let text =
                isMissed
                ? "the deadline \(time) is missed: the job is \(state)"
                : "the deadline \(time) comes near: the job is \(state)"
            try change.db.execute(
                cached: "UPDATE job SET deadline_told = ? WHERE id = ?", arguments: [isMissed ? 2 : 1, id])
            try JobRow.warn(id, [text], in: change)
            try change.record(
                .deadline, job: id, model: (row["model"] as String?).flatMap { ModelName($0) },
                ["deadline": .string(time.description), "missed": .bool(isMissed), "state": .string(state)])
            lines.append("job \(id): \(text)")
        }
        return (lines, try next(change.db))
    }

    private func next(_ db: Database) throws -> Int64? {
        try Int64.fetchOne(
            db,
            cached: """
                SELECT min(CASE deadline_told WHEN 0 THEN deadline - ? ELSE deadline END) FROM job
                WHERE deadline IS NOT NULL AND deadline_told < 2 AND finished IS NULL
                """, arguments: [lead])
    }
}
