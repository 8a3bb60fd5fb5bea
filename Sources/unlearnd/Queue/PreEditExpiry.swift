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
    /// - Parameter versions: All of the model's.
    static func replaced(_ model: ModelRow, _ versions: [VersionRow], _ db: Database) throws
        -> [VersionNumber: Timestamp]
    {
        let parents = versions.reduce(into: [VersionNumber: VersionNumber]()) { $0[$1.number] = $1.parent }
        let unlearned = try unlearned(model.name, db)
        var left: [VersionNumber: Timestamp] = [:]
        var accepted: Set<VersionNumber> = []
        for move in try ModelRow.moves(of: model.name, db) {
            guard let from = move.from else { continue }
            left[from] = move.time
            if unlearned.contains(move.to), comes(move.to, from: from, parents) { accepted.insert(from) }
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
        return try ModelRow.all(db).flatMap { model in
            let versions = try VersionRow.all(of: model.name, db)
            let replaced = try replaced(model, versions, db)
            return versions.filter { version in
                guard !version.isGone, !version.candidate, !kept.contains(version.reference),
                    let since = replaced[version.number]
                else { return false }
                return since.milliseconds <= oldest
            }
        }
    }

    /// Gives them up, with an event and an audit row for each.
    static func expire(after days: Double?, in change: Change) throws -> [VersionRow] {
        let due = try due(after: days, now: change.now, change.db)
        for version in due { try version.giveUp(.preEdit, in: change) }
        return due
    }

    /// The model's versions that unlearning jobs made.
    private static func unlearned(_ model: ModelName, _ db: Database) throws -> Set<VersionNumber> {
        let rows = try Row.fetchAll(
            db, sql: "SELECT v.n, j.kind FROM version v JOIN job j ON j.id = v.job WHERE v.model = ?",
            arguments: [model.text])
        return Set(
            rows.filter { JobKind(rawValue: $0["kind"])?.unlearns == true }.compactMap { $0.version("n") })
    }

    /// Whether one version was made from another. Parents have smaller numbers, so that the walk ends early.
    private static func comes(
        _ version: VersionNumber, from origin: VersionNumber, _ parents: [VersionNumber: VersionNumber]
    ) -> Bool {
        var next = parents[version]
        while let number = next, number > origin { next = parents[number].flatMap { $0 < number ? $0 : nil } }
        return next == origin
    }
}
