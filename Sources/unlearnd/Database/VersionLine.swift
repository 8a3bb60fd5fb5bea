// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

/// The line that a version comes from: itself, what it was made of, what that was made of, and so on.
///
/// Parents have smaller numbers, so that one pass over the model's rows, newest first, meets each in its turn: a line of
/// ten thousand takes one query, not ten thousand.
enum VersionLine {
    /// A version of a line, and the job that made it.
    struct Link: Hashable, Sendable {
        var version: VersionNumber
        var job: JobID?
    }

    /// The line of a version, newest first.
    static func behind(_ version: VersionNumber, of model: ModelName, _ db: Database) throws -> [Link] {
        var links: [Link] = []
        try walk([version.number, nil], of: model, db) { number, job in
            if let version = VersionNumber(number) { links.append(Link(version: version, job: job)) }
        }
        return links
    }

    /// The jobs whose results are in the line of `from` and not in that of `to`, in order.
    static func undone(
        of model: ModelName, from: VersionNumber?, to: VersionNumber, _ db: Database
    ) throws -> [JobID] {
        var undone: [JobID] = []
        try walk([from?.number, to.number], of: model, db) { _, job in
            if let job { undone.append(job) }
        }
        return undone.sorted()
    }

    /// Goes back from both ends until they meet or the first one's line is over, and tells what is in the first's.
    private static func walk(
        _ ends: [Int?], of model: ModelName, _ db: Database, _ visit: (Int, JobID?) -> Void
    ) throws {
        var (left, other) = (ends[0], ends[1])
        guard let newest = [left, other].compactMap(\.self).max() else { return }
        let statement = try db.cachedStatement(
            sql: "SELECT n, parent, job FROM version WHERE model = ? AND n <= ? ORDER BY n DESC")
        let rows = try Row.fetchCursor(statement, arguments: [model.text, newest])
        while left != nil, left != other, let row = try rows.next() {
            let number: Int = row[0]
            guard number == left || number == other else { continue }
            let parent = (row[1] as Int?).flatMap { $0 < number ? $0 : nil }
            if number == left {
                visit(number, row[2])
                left = parent
            } else {
                other = parent
            }
        }
    }
}
