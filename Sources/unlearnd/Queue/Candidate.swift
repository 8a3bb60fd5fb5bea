// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

/// What the planner looks at of a job that waits or runs.
struct Candidate {
    let id: JobID
    let state: String
    let reason: String?
    let lane: Lane
    let writes: Bool
    let priority: Int
    let submitter: Int
    let group: String?
    /// Earliest start, milliseconds since 1970.
    let runAt: Int64
    let isRetried: Bool
    /// Bytes that it is expected to need and to write.
    let memory, disk: Int64
    /// Threads of all its processes.
    let threads: Int
    /// What it needs for itself alone: the model that it writes to, or the target that it publishes to.
    let place: String?
    let copiesStore: Bool
    /// How many jobs of its user come before it.
    var turn = 0
    /// When a job of its user started last, milliseconds since 1970.
    var served: Int64 = 0

    /// What ``init(_:threads:)`` reads, in its order.
    static let columns = """
        id, state, reason, interactive, writes, priority, submitter, job_group, run_at, retried, memory, disk, kind, model,
        CASE kind WHEN 'publish' THEN json_extract(spec, '$.parameters.target') END,
        json_extract(spec, '$.parameters.ranks'), remote
        """

    /// - Parameter threads: Threads of a job that one process does.
    init(_ row: Row, threads: Int) {
        id = row[0]
        state = row[1]
        reason = row[2]
        lane = Lane(isInteractive: row[3], isRemote: row[16])
        writes = row[4]
        priority = row[5]
        submitter = row[6]
        group = row[7]
        runAt = row[8]
        isRetried = row[9] as Int > 0
        memory = row[10]
        disk = row[11]
        let kind = JobKind(rawValue: row[12])
        copiesStore = kind?.copiesStore ?? false
        // No model is called like a target.
        place = writes ? row[13] : (row[14] as String?).map { "target/\($0)" }
        let ranks = max(1, row[15] as Int? ?? 1)
        self.threads = ranks * max(1, threads / ranks)
    }
}
