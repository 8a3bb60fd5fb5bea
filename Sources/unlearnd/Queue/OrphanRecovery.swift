// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

/// Puts right what an earlier daemon left unfinished. Nothing here looks at a clock: whoever holds the state
/// directory's lock owns every row, so an active row of another owner has no worker.
package enum OrphanRecovery {
    /// After so many starts that died, a job is given up.
    static let mostStarts = 3

    /// Paused jobs have no worker and stay as they are.
    ///
    /// - Returns: How many jobs were `requeued`, `paused`, `cancelled`, `lost`, `failed`.
    package static func run(in change: Change) throws -> [String: Int] {
        var counts: [String: Int] = [:]
        for row in try JobRow.all(in: [.running, .cancelling, .committing], change.db) {
            if row.state == .cancelling {
                if try JobRow.apply(.endCancelled, to: row.id, reason: "cancelled", in: change) {
                    counts["cancelled", default: 0] += 1
                }
            } else if row.job.spec.parameters?.transfer != nil {
                if try JobEnd.fail(row.id, epoch: row.epoch, sourceGone(row.job), in: change) {
                    counts["failed", default: 0] += 1
                }
            } else if row.pauseRequested, row.state == .running {
                if try JobRow.apply(.pause, to: row.id, in: change) {
                    try JobEnd.giveBackAttempt(row.id, in: change)
                    counts["paused", default: 0] += 1
                }
            } else if row.interruptions + 1 >= mostStarts {
                if try JobRow.apply(.abandon, to: row.id, reason: "interrupted", in: change) {
                    counts["lost", default: 0] += 1
                }
            } else if try JobRow.apply(.interrupt, to: row.id, reason: "interrupted", in: change) {
                try JobEnd.giveBackAttempt(row.id, in: change)
                try change.db.execute(
                    sql: "UPDATE job SET interruptions = interruptions + 1 WHERE id = ?", arguments: [row.id])
                counts["requeued", default: 0] += 1
            }
        }
        for row in try JobRow.withFiles(change.db) {
            guard
                try JobRow.apply(.expire, to: row.id, reason: JobFailure.Kind.sourceGone.rawValue, in: change)
            else {
                continue
            }
            try change.db.execute(
                sql: "UPDATE job SET error = ? WHERE id = ?",
                arguments: [try JSONColumn.text(sourceGone(row.job)), row.id])
            counts["failed", default: 0] += 1
        }
        FailPoint.insideRecovery.reach()
        return counts
    }

    /// Why a job whose files came by descriptor cannot go on.
    static func sourceGone(_ job: Job) -> JobFailure {
        JobFailure(
            .sourceGone, "the files of this \(job.kind.rawValue) were open in a daemon that has ended",
            hint: "submit it again")
    }
}
