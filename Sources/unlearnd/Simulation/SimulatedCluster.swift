// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Nodes that a batch system hands out as Slurm's backfill scheduler does: in the order of arrival, except that a job may go
/// first which ends, by its time limit, before the first one in the line could begin, or leaves it the nodes that it needs.
struct SimulatedCluster {
    /// A job in it. Times are milliseconds.
    struct Job: Hashable {
        var id: JobID
        /// Nodes that it takes.
        var width: Int
        /// How long it runs.
        var length: Int64
        /// How long it was said to run at most.
        var limit: Int64
    }

    let nodes: Int
    private(set) var free: Int
    private(set) var waiting: [Job] = []
    private var running: [(job: Job, begin: Int64)] = []
    /// Node-milliseconds that were used.
    private(set) var used: Int64 = 0

    init(nodes: Int) { (self.nodes, free) = (nodes, nodes) }

    /// When the next running job ends.
    var nextEnd: Int64? { running.map { $0.begin + $0.job.length }.min() }

    /// Takes a job.
    mutating func add(_ job: Job) { waiting.append(job) }

    /// The jobs that have ended by `now`; their nodes are free again.
    mutating func end(at now: Int64) -> [JobID] {
        let ended = running.filter { $0.begin + $0.job.length <= now }
        running.removeAll { $0.begin + $0.job.length <= now }
        for (job, _) in ended {
            free += job.width
            used += Int64(job.width) * job.length
        }
        return ended.map(\.job.id)
    }

    /// Begins what can begin.
    mutating func begin(at now: Int64) -> [JobID] {
        var begun: [JobID] = []
        while let first = waiting.first, first.width <= free {
            start(0, now)
            begun.append(first.id)
        }
        guard let first = waiting.first else { return begun }
        // When the first one has its nodes at the latest, and what is left over then.
        var (found, time) = (free, now)
        for (job, begin) in running.sorted(by: { $0.begin + $0.job.limit < $1.begin + $1.job.limit })
        where found < first.width {
            found += job.width
            time = begin + job.limit
        }
        var spare = found - first.width
        var index = 1
        while index < waiting.count, free > 0 {
            let job = waiting[index]
            let isDoneBefore = now + job.limit <= time
            if job.width <= free, isDoneBefore || job.width <= spare {
                if !isDoneBefore { spare -= job.width }
                start(index, now)
                begun.append(job.id)
            } else {
                index += 1
            }
        }
        return begun
    }

    private mutating func start(_ index: Int, _ now: Int64) {
        let job = waiting.remove(at: index)
        free -= job.width
        running.append((job, now))
    }
}
