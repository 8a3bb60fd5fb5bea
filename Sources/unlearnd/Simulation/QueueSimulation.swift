// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import GRDB
import Protocol

/// The queue's own planner and database on a clock that jumps from one event to the next, before a simulated cluster.
///
/// Real are the rows, the transitions, the binding of versions, what starts when and why others wait. Simulated are the clock,
/// the people, the nodes and the work.
final class QueueSimulation {
    /// How long one job took. Times are milliseconds.
    struct Life {
        var item: SimulatedWorkload.Item
        /// When the queue gave it to the cluster.
        var claimed: Int64 = 0
        /// When it had its nodes.
        var began: Int64 = 0

        var wait: Int64 { began - item.time }
        var waitInQueue: Int64 { claimed - item.time }
        /// How many times longer it took than alone; work of less than a minute counts as one.
        var slowdown: Double { max(1, Double(wait + item.job.length) / Double(max(item.job.length, 60_000))) }
    }

    private let database: StateDatabase
    private let planner: ClaimPlanner
    private var cluster: SimulatedCluster
    private(set) var lives: [JobID: Life] = [:]
    /// Seconds that each look at the queue took.
    private(set) var passes: [Double] = []
    /// Most jobs that waited in the queue at a time.
    private(set) var longestQueue = 0
    private var queued = 0
    private var end: Int64 = 0

    /// - Parameters:
    ///   - directory: An empty one, for the database.
    ///   - places: `slurm_parallel`.
    init(directory: String, nodes: Int, places: Int) throws {
        database = try StateDatabase(path: directory + "/unlearnd.sqlite") { _ in }
        planner = ClaimPlanner(
            parallel: 2, interactive: 4, remote: places, memoryLimit: 1 << 30, owner: "simulation",
            store: directory, lifeLock: directory + "/workers.lock", threads: 1, remoteThreads: 1,
            limits: StorageLimits(directory: directory),
            shapes: ModelShapes(store: try ObjectStore(root: directory)),
            descriptors: DescriptorTable())
        cluster = SimulatedCluster(nodes: nodes)
        try database.changeNow(at: Timestamp(milliseconds: 0)) { change in
            for number in 0..<SimulatedWorkload.models {
                let name = try Self.model(number)
                try ModelRow.insert(name, in: change)
                guard let first = VersionNumber(1) else { continue }
                let content = ContentHash.of(Array(name.text.utf8))
                try VersionRow(
                    model: name, number: first, parent: nil, manifest: content, digest: content,
                    bytes: 1, storedBytes: 1, architecture: nil, job: nil, candidate: false,
                    created: change.now,
                    note: nil
                ).insert(in: change)
                try change.db.execute(
                    sql: "UPDATE model SET head = 1 WHERE name = ?", arguments: [name.text])
            }
        }
    }

    /// Runs all jobs to their ends.
    func run(_ workload: SimulatedWorkload) throws {
        var next = 0
        var now: Int64 = 0
        while true {
            let arrival = next < workload.items.count ? workload.items[next].time : nil
            guard let time = [arrival, cluster.nextEnd].compactMap(\.self).min() else { break }
            now = max(now, time)
            let first = next
            while next < workload.items.count, workload.items[next].time <= now { next += 1 }
            try step(workload.items[first..<next], at: now)
        }
        end = now
    }

    /// Used node-time in parts of what there was until the last job ended.
    var utilisation: Double { Double(cluster.used) / (Double(cluster.nodes) * Double(end)) }
    /// Hours from the first submission to the last end.
    var hours: Double { Double(end) / 3_600_000 }

    private func step(_ items: ArraySlice<SimulatedWorkload.Item>, at now: Int64) throws {
        let ended = cluster.end(at: now)
        let claims = try database.changeNow(at: Timestamp(milliseconds: now)) { change in
            for id in ended { try finish(id, in: change) }
            for item in items { try submit(item, in: change) }
            let begin = ContinuousClock.now
            let claims = try planner.claim(in: change).claims
            passes.append((ContinuousClock.now - begin) / .seconds(1))
            return claims
        }
        queued += items.count - claims.count
        longestQueue = max(longestQueue, queued)
        for claim in claims {
            guard var life = lives[claim.id] else { continue }
            life.claimed = now
            life.item.job.id = claim.id
            lives[claim.id] = life
            cluster.add(life.item.job)
        }
        for id in cluster.begin(at: now) { lives[id]?.began = now }
    }

    private func submit(_ item: SimulatedWorkload.Item, in change: Change) throws {
        var spec = JobSpec(kind: item.kind, model: VersionReference(model: try Self.model(item.model)))
        spec.evaluate = item.kind == .evaluate
        var parameters = JobParameters()
        parameters.launcher = .slurm
        if item.job.width > 1 { (parameters.ranks, parameters.batchSize) = (item.job.width, item.job.width) }
        spec.parameters = parameters
        let id = try JobRow.insert(
            spec, state: .queued, reason: nil, submitter: item.user, memory: 1 << 30, disk: 0, warnings: [],
            keyHash: nil,
            in: change)
        lives[id] = Life(item: item)
    }

    private func finish(_ id: JobID, in change: Change) throws {
        let isWriter = lives[id]?.item.kind.writesVersion ?? false
        for transition in isWriter ? [JobTransition.beginCommit, .commit] : [.succeed] {
            guard try JobRow.apply(transition, to: id, in: change) else {
                throw JobFailure(.internal, "job \(id) cannot \(transition.rawValue)")
            }
        }
    }

    private static func model(_ number: Int) throws -> ModelName {
        guard let name = ModelName("m\(number)") else { throw JobFailure(.internal, "m\(number) is no name") }
        return name
    }
}
