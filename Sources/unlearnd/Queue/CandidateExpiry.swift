// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

/// How long candidates are kept: as long as they are among the newest of their model, or younger than some days.
package struct CandidateRules: Hashable, Sendable {
    /// So many of the newest candidates of each model are kept, however old.
    package var depth: Int
    /// Younger ones are kept, however many.
    package var days: Int

    /// Rules.
    package init(depth: Int = 3, days: Int = 7) {
        self.depth = depth
        self.days = days
    }
}

/// Gives up candidates whose time is over, so that sweeps and refused results do not fill the disk. Their rows, jobs,
/// figures and evidence stay; their bytes become garbage.
///
/// Never given up: heads, what was head once (such versions are no candidates), versions that a running job holds, that
/// a waiting job names, that are held or tagged, or that a version which stays was made from.
enum CandidateExpiry {
    /// The candidates whose time is over, newest first within each model.
    static func due(_ rules: CandidateRules, now: Timestamp, _ db: Database) throws -> [VersionRow] {
        let oldest = now.milliseconds - Int64(rules.days) * 86_400_000
        // A backup may be about to read their objects.
        guard try !JobRow.isStoreCopied(db) else { return [] }
        var needed: Set<VersionReference>?
        var due: [VersionRow] = []
        for model in try ModelRow.all(db) {
            let live = try VersionRow.all(of: model.name, db).filter { !$0.isGone }
            var staying = live
            for (place, version) in live.filter(\.candidate).sorted(by: { $0.number > $1.number })
                .enumerated()
            where place >= rules.depth && version.created.milliseconds < oldest
                && version.number != model.head
            {
                if needed == nil { needed = try named(now, db) }
                let reference = VersionReference(model: version.model, version: version.number)
                guard needed?.contains(reference) != true,
                    !staying.contains(where: { $0.parent == version.number })
                else { continue }
                due.append(version)
                staying.removeAll { $0.number == version.number }
            }
        }
        return due
    }

    /// Gives them up, with an event and an audit row for each.
    static func expire(_ rules: CandidateRules, in change: Change) throws -> [VersionRow] {
        let due = try due(rules, now: change.now, change.db)
        for version in due {
            try change.db.execute(
                sql: "UPDATE version SET state = 'gone' WHERE model = ? AND n = ?",
                arguments: [version.model.text, version.number.number])
            try change.record(
                .expired, job: version.job, model: version.model,
                ["version": .string(version.number.description), "digest": .string(version.digest.hex)])
            try change.audit(
                "version.expire", actor: -1,
                [
                    "model": .string(version.model.text), "version": .string(version.number.description),
                    "digest": .string(version.digest.hex),
                ])
        }
        return due
    }

    /// The versions that unfinished jobs hold or name by number, and those that people keep.
    private static func named(_ now: Timestamp, _ db: Database) throws -> Set<VersionReference> {
        var named: Set<VersionReference> = []
        for row in try Row.fetchAll(db, sql: "SELECT model, n FROM pin") {
            let model = try row.named("pin", "model", ModelName.init(_:))
            named.insert(VersionReference(model: model, version: row.version("n")))
        }
        named.formUnion(try HoldRow.kept(at: now, db))
        for job in try JobRow.all(in: JobState.allCases.filter { !$0.isTerminal }, db) {
            let spec = job.job.spec
            let parameters = spec.parameters
            let references = [
                spec.model, spec.reference, parameters?.finetuned, parameters?.base, parameters?.other,
            ]
            named.formUnion(references.compactMap(\.self).filter { $0.version != nil })
        }
        return named
    }
}
