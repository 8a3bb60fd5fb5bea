// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

/// What becomes of jobs that wait for others.
enum Dependencies {
    /// What the jobs waited for allow.
    enum Verdict: Hashable, Sendable {
        case ready
        case waiting
        /// The condition on this job can no longer be met.
        case impossible(JobID)
    }

    static func judge(_ condition: DependencyCondition, _ state: JobState) -> Verdict? {
        guard state.isTerminal else { return .waiting }
        switch condition {
        case .any: return .ready
        case .ok: return state == .succeeded ? .ready : nil
        case .notok: return state == .succeeded ? nil : .ready
        }
    }

    /// What the dependencies of a stored job allow.
    static func verdict(of job: JobID, _ db: Database) throws -> Verdict {
        let rows = try Row.fetchAll(
            db,
            cached: """
                SELECT d.on_job, d.condition, j.state FROM job_dep d JOIN job j ON j.id = d.on_job WHERE d.job = ?
                ORDER BY d.on_job
                """, arguments: [job])
        var verdict = Verdict.ready
        for row in rows {
            let condition = try row.named("job_dep", "condition", DependencyCondition.init(rawValue:))
            let state = try row.named("job", "state", JobState.init(rawValue:))
            guard let one = judge(condition, state) else { return .impossible(row["on_job"]) }
            if one == .waiting { verdict = .waiting }
        }
        return verdict
    }

    /// Lets go, or gives up, the blocked jobs that waited for a job that has now ended.
    ///
    /// A loop and not a recursion: a chain of waiting jobs can be as long as the queue.
    static func jobEnded(_ id: JobID, in change: Change) throws {
        change.ended.append(id)
        guard !change.isSettling else { return }
        change.isSettling = true
        defer { change.isSettling = false }
        while let ended = change.ended.popLast() { try settle(ended, in: change) }
    }

    private static func settle(_ id: JobID, in change: Change) throws {
        let waiting = try Int.fetchAll(
            change.db,
            cached:
                "SELECT d.job FROM job_dep d JOIN job j ON j.id = d.job WHERE d.on_job = ? AND j.state = 'blocked'",
            arguments: [id])
        for job in waiting {
            switch try verdict(of: job, change.db) {
            case .waiting: continue
            case .ready: _ = try JobRow.apply(.unblock, to: job, in: change)
            case .impossible: _ = try JobRow.apply(.drop, to: job, reason: "dependency", in: change)
            }
        }
    }
}
