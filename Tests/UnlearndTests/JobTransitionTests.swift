// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol
import Testing

import unlearnd

@Suite(.timeLimit(.minutes(2)))
struct JobTransitionTests {
    /// Every pair of state and transition that exists, written out: state, transition, next state.
    private static let table: Set<String> = [
        "held release queued", "held releaseBlocked blocked", "held drop cancelled", "held expire failed",
        "blocked hold held", "blocked unblock queued", "blocked drop cancelled", "blocked expire failed",
        "queued hold held", "queued claim running", "queued drop cancelled", "queued expire failed",
        "running requestCancel cancelling", "running beginCommit committing", "running succeed succeeded",
        "running fail failed", "running interrupt queued", "running backOff queued", "running abandon lost",
        "running pause paused", "paused resume queued", "paused drop cancelled",
        "cancelling endCancelled cancelled",
        "committing commit succeeded", "committing fail failed", "committing interrupt queued",
        "committing backOff queued",
        "committing abandon lost",
        "failed retry queued", "cancelled retry queued", "lost retry queued",
    ]

    @Test func `each transition goes from just the states of the table`() throws {
        let directory = try TemporaryDirectory()
        let database = try StateDatabase(path: directory.path + "/db") { _ in }
        var found: Set<String> = []
        for state in JobState.allCases {
            for transition in JobTransition.allCases {
                let after = try database.changeNow { change -> JobState? in
                    let spec = try World.spec("m", as: .taskVector, note: "")
                    let id = try JobRow.insert(
                        spec, state: .queued, reason: nil, submitter: 1, memory: 0, warnings: [],
                        keyHash: nil, in: change)
                    try change.db.execute(
                        sql: "UPDATE job SET writes = 0, state = ?, owner = ?, finished = ? WHERE id = ?",
                        arguments: [
                            state.rawValue, state.isActive ? "me" : nil, state.isTerminal ? 1 : nil, id,
                        ])
                    let count = change.events.count
                    let applied = try JobRow.apply(transition, to: id, owner: "me", in: change)
                    let row = try JobRow.require(id, change.db)
                    #expect((row.owner != nil) == row.state.isActive)
                    #expect((row.job.finished != nil) == row.state.isTerminal)
                    #expect(change.events.count == count + (applied ? 1 : 0))
                    if !applied { #expect(row.state == state) }
                    return applied ? row.state : nil
                }
                if let after { found.insert("\(state) \(transition) \(after)") }
            }
        }
        #expect(found == Self.table)
        // The counts are kept by the file itself, whatever happens to a job.
        let counted = try database.changeNow { change in
            func counts(_ sql: String) throws -> [String: Int] {
                try Dictionary(
                    uniqueKeysWithValues: Row.fetchAll(change.db, sql: sql).map { ($0[0], $0[1]) })
            }
            let kept = try counts(
                "SELECT state, sum(jobs) FROM job_count GROUP BY state HAVING sum(jobs) > 0")
            #expect(kept == (try counts("SELECT state, count(*) FROM job GROUP BY state")))
            return kept
        }
        #expect(counted.count > 5)
    }

    @Test func `a transition of an older start is refused`() throws {
        let directory = try TemporaryDirectory()
        let database = try StateDatabase(path: directory.path + "/db") { _ in }
        try database.changeNow { change in
            let id = try JobRow.insert(
                try World.spec("m", as: .taskVector, note: ""), state: .queued, reason: nil, submitter: 1,
                memory: 0,
                warnings: [], keyHash: nil, in: change)
            try change.db.execute(sql: "UPDATE job SET epoch = 3")
            #expect(try JobRow.apply(.claim, to: id, owner: "me", in: change))
            #expect(try !JobRow.apply(.succeed, to: id, epoch: 2, in: change))
            #expect(try JobRow.apply(.succeed, to: id, epoch: 3, in: change))
        }
    }

    @Test func `a long chain of jobs ends with its first one`() throws {
        let directory = try TemporaryDirectory()
        let database = try StateDatabase(path: directory.path + "/db") { _ in }
        let states = try database.changeNow { change -> [JobState] in
            var spec = try World.spec("m", as: .taskVector, note: "")
            let first = try JobRow.insert(
                spec, state: .queued, reason: nil, submitter: 1, memory: 0, warnings: [], keyHash: nil,
                in: change)
            var last = first
            for _ in 0..<2000 {
                spec.after = [Dependency(job: last)]
                last = try JobRow.insert(
                    spec, state: .blocked, reason: nil, submitter: 1, memory: 0, warnings: [], keyHash: nil,
                    in: change)
            }
            _ = try JobRow.apply(.drop, to: first, in: change)
            return try [first, last].map { try JobRow.require($0, change.db).state }
        }
        #expect(states == [.cancelled, .cancelled])
    }
}
