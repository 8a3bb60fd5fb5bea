// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

/// Gives up the versions that accepted unlearning jobs have replaced, some days after: what there was before an edit
/// still knows what the edit was to take away.
///
/// Never given up: heads, candidates (they have rules of their own), and what ``VersionKeeping`` keeps. Not even then by
/// default: without the setting a rollback finds every version.
enum PreEditExpiry {
    /// The versions of a model that an accepted unlearning job has replaced and that are not head again, with the time
    /// since when they are not.
    ///
    /// - Parameter numbers: Which versions are asked for; `nil`: all.
    static func replaced(
        _ model: ModelRow, _ numbers: ClosedRange<VersionNumber>?, _ db: Database
    ) throws -> [VersionNumber: Timestamp] {
        let statement = try db.cachedStatement(
            sql: """
                SELECT m.origin, m.target, m.time, j.kind FROM head_move m
                  LEFT JOIN version v ON v.model = m.model AND v.n = m.target LEFT JOIN job j ON j.id = v.job
                WHERE m.model = ? AND m.origin BETWEEN ? AND ? ORDER BY m.id
                """)
        let moves = try Row.fetchCursor(
            statement,
            arguments: [
                model.name.text, numbers?.lowerBound.number ?? 1, numbers?.upperBound.number ?? .max,
            ])
        let parents = Parents(of: model.name)
        var left: [VersionNumber: Timestamp] = [:]
        var accepted: Set<VersionNumber> = []
        while let move = try moves.next() {
            guard let from = move.version("origin"), let to = move.version("target") else { continue }
            left[from] = move.time("time")
            if !accepted.contains(from), (move["kind"] as String?).flatMap(JobKind.init)?.unlearns == true,
                try parents.comes(to, from: from, db)
            {
                accepted.insert(from)
            }
        }
        return left.filter { accepted.contains($0.key) && $0.key != model.head }
    }

    /// Those whose time is over, by model and number.
    /// - Parameter days: How long they are kept; `nil` for ever.
    static func due(after days: Double?, now: Timestamp, _ db: Database) throws -> [VersionRow] {
        guard let days else { return [] }
        let oldest = now.milliseconds - Int64(days * 86_400_000)
        // A backup may be about to read their objects.
        guard try !JobRow.isStoreCopied(db) else { return [] }
        let kept = try VersionKeeping.references(at: now, db)
        return try ModelRow.all(leftBefore: oldest, db).flatMap { model in
            try replaced(model, nil, db).filter { $0.value.milliseconds <= oldest }.keys.sorted().compactMap {
                try VersionRow.find(model.name, $0, db)
            }.filter { !$0.isGone && !$0.candidate && !kept.contains($0.reference) }
        }
    }

    /// Gives them up, with an event and an audit row for each.
    static func expire(after days: Double?, in change: Change) throws -> [VersionRow] {
        let due = try due(after: days, now: change.now, change.db)
        for version in due { try version.giveUp(.preEdit, in: change) }
        return due
    }

    /// What the versions of a model were made of.
    private final class Parents {
        private let model: ModelName
        /// Those looked up so far, or all.
        private var known: [Int: Int?] = [:]
        private var isWhole = false
        /// Steps of one walk after which all are read at once.
        private static let patience = 64

        init(of model: ModelName) { self.model = model }

        /// Whether one version was made from another. Parents have smaller numbers, so that the walk ends early.
        func comes(_ version: VersionNumber, from origin: VersionNumber, _ db: Database) throws -> Bool {
            var next: Int? = version.number
            var steps = 0
            while let number = next, number > origin.number {
                steps += 1
                if steps > Self.patience, !isWhole { try readAll(db) }
                next = try parent(number, db).flatMap { $0 < number ? $0 : nil }
            }
            return next == origin.number && version != origin
        }

        private func parent(_ number: Int, _ db: Database) throws -> Int? {
            if let parent = known[number] { return parent }
            guard !isWhole else { return nil }
            let statement = try db.cachedStatement(
                sql: "SELECT parent FROM version WHERE model = ? AND n = ?")
            let parent: Int? = try Row.fetchOne(statement, arguments: [model.text, number])?[0]
            known[number] = .some(parent)
            return parent
        }

        private func readAll(_ db: Database) throws {
            let rows = try Row.fetchCursor(
                db, sql: "SELECT n, parent FROM version WHERE model = ?", arguments: [model.text])
            while let row = try rows.next() { known[row[0]] = .some(row[1]) }
            isWhole = true
        }
    }
}
