// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

/// The table `job_log`: what the job and the daemon said about it, line by line.
enum LogRow {
    /// Most lines that a job keeps; a worker that says more is not believed to say anything.
    static let most: Int64 = 100_000

    /// The number of the last line; 0 before the first.
    static func last(_ job: JobID, _ db: Database) throws -> Int64 {
        try Int64.fetchOne(db, cached: "SELECT max(line) FROM job_log WHERE job = ?", arguments: [job]) ?? 0
    }

    static func append(_ lines: [LogLine], to job: JobID, in change: Change) throws {
        for line in lines where line.line <= most {
            try change.db.execute(
                cached: "INSERT INTO job_log(job, line, time, level, message) VALUES (?, ?, ?, ?, ?)",
                arguments: [job, line.line, line.time.milliseconds, line.level, line.message])
        }
    }

    static func page(_ query: JobLogParams, _ db: Database) throws -> JobLogResult {
        let limit = max(1, min(query.limit ?? 1000, 5000))
        let lines = try Row.fetchAll(
            db, cached: "SELECT * FROM job_log WHERE job = ? AND line > ? ORDER BY line LIMIT ?",
            arguments: [query.job, query.after ?? 0, limit + 1]
        ).map {
            LogLine(
                line: $0["line"], time: Timestamp(milliseconds: $0["time"]), level: $0["level"],
                message: $0["message"])
        }
        guard lines.count > limit else { return JobLogResult(lines: lines, next: nil) }
        return JobLogResult(lines: Array(lines.prefix(limit)), next: lines[limit - 1].line)
    }
}
