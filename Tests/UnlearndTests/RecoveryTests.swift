// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol
import Testing
import unlearnd

@Suite(.timeLimit(.minutes(2)))
struct RecoveryTests {
    /// A job in a state, as a daemon that was killed leaves it.
    private func job(
        _ state: JobState, transfer: Bool = false, interruptions: Int = 0, in change: Change
    ) throws -> JobID {
        var spec = try World.spec("m", as: transfer ? .import : .evaluate, note: "")
        if transfer { spec.parameters = World.parameters { $0.transfer = "transfer" } }
        let id = try JobRow.insert(
            spec, state: .queued, reason: nil, submitter: 1, memory: 0, warnings: [], keyHash: nil, in: change
        )
        try change.db.execute(
            sql: """
                UPDATE job SET state = ?, owner = ?, finished = ?, interruptions = ?, attempt = 1, writes = 0 WHERE id = ?
                """,
            arguments: [
                state.rawValue, state.isActive ? "earlier" : nil, state.isTerminal ? 1 : nil, interruptions,
                id,
            ])
        return id
    }

    @Test func `every unfinished job of a dead daemon is put right`() throws {
        let directory = try TemporaryDirectory()
        let database = try StateDatabase(path: directory.path + "/db") { _ in }
        let expected: [(state: JobState, transfer: Bool, interruptions: Int, after: JobState)] = [
            (.held, false, 0, .held), (.blocked, false, 0, .blocked), (.queued, false, 0, .queued),
            (.running, false, 0, .queued), (.running, false, 1, .queued), (.running, false, 2, .lost),
            (.paused, false, 0, .paused), (.cancelling, false, 0, .cancelled),
            (.committing, false, 0, .queued),
            (.committing, false, 2, .lost), (.succeeded, false, 0, .succeeded), (.failed, false, 0, .failed),
            (.held, true, 0, .failed), (.blocked, true, 0, .failed), (.queued, true, 0, .failed),
            (.running, true, 0, .failed), (.cancelling, true, 0, .cancelled),
            (.succeeded, true, 0, .succeeded),
        ]
        try database.changeNow { change in
            let ids = try expected.map {
                try job($0.state, transfer: $0.transfer, interruptions: $0.interruptions, in: change)
            }
            let counts = try OrphanRecovery.run(in: change)
            #expect(counts == ["requeued": 3, "cancelled": 2, "lost": 2, "failed": 4])
            for (id, row) in zip(ids, expected) {
                let found = try JobRow.require(id, change.db)
                #expect(found.state == row.after, "\(row)")
                #expect((found.owner != nil) == found.state.isActive)
                if row.transfer, row.after == .failed { #expect(found.job.error?.kind == .sourceGone) }
                if row.state.isActive, row.after == .queued {
                    #expect(found.job.attempt == 0 && found.interruptions == row.interruptions + 1)
                }
            }
            #expect(try OrphanRecovery.run(in: change).isEmpty)
        }
    }

    @Test func `the third death of a daemon under a job loses it`() throws {
        let directory = try TemporaryDirectory()
        let database = try StateDatabase(path: directory.path + "/db") { _ in }
        try database.changeNow { change in
            let id = try job(.queued, in: change)
            for _ in 0..<3 {
                #expect(try JobRow.apply(.claim, to: id, owner: "me", in: change))
                _ = try OrphanRecovery.run(in: change)
            }
            #expect(try JobRow.require(id, change.db).state == .lost)
        }
    }
}
