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
        for model in try ModelRow.all(withCandidatesOver: rules.depth, db) {
            let live = try VersionRow.all(of: model.name, db).filter { !$0.isGone }
            // How many versions that stay were made from each.
            var children: [VersionNumber: Int] = [:]
            for version in live { if let parent = version.parent { children[parent, default: 0] += 1 } }
            for (place, version) in live.filter(\.candidate).sorted(by: { $0.number > $1.number })
                .enumerated()
            where place >= rules.depth && version.created.milliseconds < oldest
                && version.number != model.head
            {
                if needed == nil { needed = try VersionKeeping.references(at: now, db) }
                guard needed?.contains(version.reference) != true, children[version.number, default: 0] == 0
                else { continue }
                due.append(version)
                if let parent = version.parent { children[parent, default: 0] -= 1 }
            }
        }
        return due
    }

    /// Gives them up, with an event and an audit row for each.
    static func expire(_ rules: CandidateRules, in change: Change) throws -> [VersionRow] {
        let due = try due(rules, now: change.now, change.db)
        for version in due { try version.giveUp(.candidate, in: change) }
        return due
    }
}
