// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

/// How often the daemon has the store read by itself, and how long at a time.
package struct VerificationSchedule: Hashable, Sendable {
    /// Hours from one verification to the next; `nil`: none by itself.
    package var everyHours: Int?
    /// Minutes after which one stops; the next goes on there.
    package var minutes: Int

    /// A schedule.
    package init(everyHours: Int? = nil, minutes: Int = 60) {
        self.everyHours = everyHours
        self.minutes = minutes
    }

    /// Who is told by the clock is told a little early rather than a whole hour late.
    private static let tolerance: Int64 = 300_000

    /// When the next verification is due; `nil` where none is scheduled.
    func next(after record: VerificationRecord, now: Timestamp) -> Timestamp? {
        guard let everyHours else { return nil }
        guard let last = record.scheduled else { return now }
        return Timestamp(milliseconds: last.milliseconds + Int64(everyHours) * 3_600_000)
    }

    /// Queues a verification if one is due and none waits or runs.
    /// - Returns: The job.
    func request(in change: Change) throws -> JobID? {
        var record = try VerificationRecord.read(change.db)
        guard let due = next(after: record, now: change.now),
            due.milliseconds <= change.now.milliseconds + Self.tolerance
                // A clock that was set back must not put it off.
                || record.scheduled.map({ $0.milliseconds > change.now.milliseconds }) == true
        else { return nil }
        let active =
            try Int.fetchOne(
                change.db,
                sql: """
                    SELECT count(*) FROM job WHERE kind = 'verify' AND state IN ('held', 'blocked', 'queued', 'running',
                      'paused', 'cancelling', 'committing')
                    """) ?? 0
        guard active == 0 else { return nil }
        record.scheduled = change.now
        try record.write(in: change)
        var spec = JobSpec(kind: .verify)
        var parameters = JobParameters()
        parameters.seconds = Double(minutes) * 60
        parameters.scheduled = true
        spec.parameters = parameters
        return try JobRow.insert(
            spec, state: .queued, reason: nil, submitter: -1,
            memory: JobEstimator.worker + JobEstimator.chunks, warnings: [], keyHash: nil, in: change)
    }
}
