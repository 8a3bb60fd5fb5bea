// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

/// Which versions are given up when, of both classes.
struct VersionExpiry: Sendable {
    /// Versions whose time is over.
    struct Due: Sendable {
        var candidates: [VersionRow]
        var preEdit: [VersionRow]

        var all: [VersionRow] { candidates + preEdit }
        var isEmpty: Bool { candidates.isEmpty && preEdit.isEmpty }
    }

    var candidates: CandidateRules
    /// Days that a version is kept after an accepted job has replaced it; `nil` for ever.
    var preEditDays: Double?

    /// What would be given up now.
    func due(_ db: Database) throws -> Due {
        let now = Timestamp.now
        return Due(
            candidates: try CandidateExpiry.due(candidates, now: now, db),
            preEdit: try PreEditExpiry.due(after: preEditDays, now: now, db))
    }

    /// Gives it up, with an event and an audit row for each.
    func expire(in change: Change) throws -> Due {
        Due(
            candidates: try CandidateExpiry.expire(candidates, in: change),
            preEdit: try PreEditExpiry.expire(after: preEditDays, in: change))
    }
}
