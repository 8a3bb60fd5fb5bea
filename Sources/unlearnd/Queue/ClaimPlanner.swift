// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

/// Decides which waiting jobs start now, and says of the others why they wait.
///
/// Order: priority, then users by turns, then number. Jobs that write versions run one at a time per model, jobs that
/// publish one at a time per target, those of a group so many at a time as it may; everything else runs beside them.
/// Interactive jobs have a lane of their own, which a paused queue does not hold, and so have those that a cluster runs,
/// which has memory and processors of its own. Once a job waits for memory, threads or room on the disk, no later one of
/// its lane overtakes it: small jobs must not starve a large one.
struct ClaimPlanner: Sendable {
    /// Slots of the queue's lane.
    var parallel: Int
    /// Slots of the interactive lane.
    var interactive: Int
    /// Slots of the cluster's lane: what it may be given at a time.
    var remote: Int
    /// What running jobs may use together on this machine, bytes.
    var memoryLimit: Int64
    /// This daemon, as `owner` of what it starts.
    var owner: String
    var store: String
    var lifeLock: String
    /// Threads of one job.
    var threads: Int
    /// Threads that the queue's running jobs may use together; `nil`: any number.
    var threadLimit: Int?
    /// Threads of each process that a cluster runs.
    var remoteThreads: Int
    /// How many jobs of a group run at a time.
    var groups: [String: Int] = [:]
    /// What may be stored.
    var limits: StorageLimits
    let shapes: ModelShapes
    /// The files of jobs that wait.
    let descriptors: DescriptorTable

    /// Most waiting jobs of a lane that one pass looks at, and how many when none of them can start.
    private static let (window, fullWindow) = (10_000, 1000)
    /// How long a job that waits for room on the disk waits to look again, milliseconds: nothing else may tell.
    private static let diskPause: Int64 = 60_000

    /// Why a queued job waits.
    enum Reason: String {
        case modelBusy = "model-busy"
        case memory, threads, disk, delayed, retrying, parallel, group
        case queuePaused = "queue-paused"
        case backupBusy = "backup-busy"
    }

    /// What runs now.
    private struct Load {
        var busy: Set<String> = []
        var memory: Int64 = 0
        var threads = 0
        /// What running jobs may still write: all that was expected of them, since nobody knows how much is written.
        var disk: Int64 = 0
        var slots: [Lane: Int] = [:]
        var groups: [String: Int] = [:]
        /// Jobs of each user in each lane.
        var users: [Lane: [Int: Int]] = [:]
        /// Whether a job copies the whole store: two would meet in one backup directory.
        var isCopying = false
        var someoneWaitsForDisk = false

        mutating func add(_ job: Candidate) {
            if job.lane != .remote {
                memory += job.memory
                threads += job.threads
            }
            disk += job.disk
            slots[job.lane, default: 0] += 1
            users[job.lane, default: [:]][job.submitter, default: 0] += 1
            if let group = job.group { groups[group, default: 0] += 1 }
        }

        mutating func hold(_ job: Candidate) {
            if let place = job.place { busy.insert(place) }
            isCopying = isCopying || job.copiesStore
        }
    }

    /// Takes other limits.
    mutating func reconfigure(_ configuration: ControlConfiguration, memoryLimit: Int64) {
        parallel = configuration.parallel
        threads = configuration.threads
        threadLimit = configuration.threadLimit
        remote = configuration.slurm.parallel
        remoteThreads = configuration.slurm.threads ?? configuration.threads
        groups = configuration.groups
        limits = configuration.limits
        self.memoryLimit = memoryLimit
    }

    /// Starts what may start.
    /// - Returns: The started jobs, and when to look again, milliseconds since 1970.
    func claim(in change: Change) throws -> (claims: [Claim], next: Int64?) {
        var load = Load()
        let active = try Row.fetchCursor(
            change.db,
            sql:
                "SELECT \(Candidate.columns) FROM job WHERE state IN ('running', 'paused', 'cancelling', 'committing')"
        )
        while let row = try active.next() {
            let job = Candidate(row, threads: threads)
            load.hold(job)
            // A paused job holds its model, but neither memory nor cores.
            if job.state != JobState.paused.rawValue { load.add(job) }
        }
        var claims = try claim(.interactive, &load, in: change)
        if try Setting.queuePaused.isOn(change.db) {
            try change.db.execute(
                cached:
                    "UPDATE job SET reason = ? WHERE state = 'queued' AND interactive = 0 AND reason IS NOT ?",
                arguments: [Reason.queuePaused.rawValue, Reason.queuePaused.rawValue])
        } else {
            for lane in [Lane.queue, .remote] { claims += try claim(lane, &load, in: change) }
        }
        var next = try Int64.fetchOne(
            change.db,
            cached:
                "SELECT min(run_at) FROM job INDEXED BY job_delayed WHERE state = 'queued' AND run_at > 0 AND run_at > ?",
            arguments: [change.now.milliseconds])
        if load.someoneWaitsForDisk { next = min(next ?? .max, change.now.milliseconds + Self.diskPause) }
        return (claims, next)
    }

    private func slots(of lane: Lane) -> Int {
        switch lane {
        case .interactive: interactive
        case .remote: remote
        case .queue: parallel
        }
    }

    private func claim(_ lane: Lane, _ load: inout Load, in change: Change) throws -> [Claim] {
        let slots = slots(of: lane)
        let isFull = load.slots[lane, default: 0] >= slots
        let waiting = try waiting(
            lane, load.users[lane] ?? [:], most: isFull ? Self.fullWindow : Self.window, change.db)
        var claims: [Claim] = []
        var shortage: Reason?
        for job in waiting {
            var reason: Reason?
            if job.runAt > change.now.milliseconds {
                reason = job.isRetried ? .retrying : .delayed
            } else if load.slots[lane, default: 0] >= slots {
                reason = .parallel
            } else if let place = job.place, load.busy.contains(place) {
                reason = .modelBusy
            } else if let group = job.group, let limit = groups[group],
                load.groups[group, default: 0] >= limit
            {
                reason = .group
            } else if load.isCopying, job.copiesStore {
                reason = .backupBusy
            } else if let missing = shortage ?? self.shortage(for: job, load) {
                reason = missing
                shortage = missing
                load.someoneWaitsForDisk = load.someoneWaitsForDisk || missing == .disk
            }
            if let reason {
                // What a job waits for anew says more than that it waits.
                let isSaid =
                    job.reason == reason.rawValue
                    || reason == .delayed && job.reason == JobFailure.Kind.unreachable.rawValue
                if !isSaid {
                    try change.db.execute(
                        cached: "UPDATE job SET reason = ? WHERE id = ?",
                        arguments: [reason.rawValue, job.id])
                }
                continue
            }
            guard let claim = try start(job, in: change) else { continue }
            claims.append(claim)
            load.add(job)
            load.hold(job)
        }
        if isFull { try explain(lane, in: change) }
        return claims
    }

    /// What there is not enough of for a job to start now.
    private func shortage(for job: Candidate, _ load: Load) -> Reason? {
        if job.lane != .remote, load.memory > 0, load.memory + job.memory > memoryLimit { return .memory }
        if let threadLimit, job.lane == .queue, load.threads > 0, load.threads + job.threads > threadLimit {
            return .threads
        }
        if job.disk > 0, let space = limits.space {
            let floor = job.writes ? limits.floor?.bytes(of: space.total) ?? 0 : 0
            if job.disk > space.free - floor - load.disk { return .disk }
        }
        return nil
    }

    /// Of jobs that a pass did not look at: without a free slot there is one reason for all that have none yet.
    private func explain(_ lane: Lane, in change: Change) throws {
        try change.db.execute(
            cached: """
                UPDATE job SET reason = CASE WHEN run_at > ? THEN 'delayed' ELSE 'parallel' END
                WHERE state = 'queued' AND \(lane.condition) AND reason IS NULL
                """, arguments: [change.now.milliseconds])
    }

    /// The queued jobs of a lane in the order in which they may start.
    ///
    /// Of one priority the user comes first who has fewer jobs before it, running ones included, and of equal ones whoever
    /// was served longer ago: whoever queues a thousand
    /// does not hold up whoever queues one.
    private func waiting(
        _ lane: Lane, _ running: [Int: Int], most: Int, _ db: Database
    ) throws -> [Candidate] {
        let users = try Int.fetchAll(
            db,
            cached: "SELECT submitter FROM job_count WHERE interactive = ? AND state = 'queued' AND jobs > 0",
            arguments: [lane == .interactive])
        var all: [Candidate] = []
        for user in users {
            let rows = try Row.fetchCursor(
                db,
                sql: """
                    SELECT \(Candidate.columns) FROM job WHERE state = 'queued' AND \(lane.condition) AND submitter = ?
                    ORDER BY priority DESC, id LIMIT ?
                    """, arguments: [user, max(100, most / users.count)])
            let served =
                users.count == 1
                ? nil
                : try Int64.fetchOne(
                    db,
                    cached: """
                        SELECT max(started) FROM job INDEXED BY job_started
                        WHERE submitter = ? AND interactive = ? AND started IS NOT NULL
                        """, arguments: [user, lane == .interactive])
            var (turn, priority) = (0, Int.max)
            while let row = try rows.next() {
                var job = Candidate(row, threads: threads)
                if job.priority < priority { (turn, priority) = (running[user] ?? 0, job.priority) }
                job.turn = turn
                job.served = served ?? 0
                turn += 1
                all.append(job)
            }
        }
        guard users.count > 1 else { return all }
        return all.sorted {
            ($1.priority, $0.turn, $0.served, $0.id) < ($0.priority, $1.turn, $1.served, $1.id)
        }
    }

    /// Moves one job to `running` and binds its versions; a job whose versions are gone fails here.
    private func start(_ job: Candidate, in change: Change) throws -> Claim? {
        let (id, memory, isRemote) = (job.id, job.memory, job.lane == .remote)
        guard try JobRow.apply(.claim, to: id, owner: owner, in: change) else { return nil }
        try change.db.execute(
            cached: """
                UPDATE job SET epoch = epoch + 1, attempt = attempt + 1, started = ?, cancel_requested = NULL, error = NULL
                WHERE id = ?
                """, arguments: [change.now.milliseconds, id])
        let row = try JobRow.require(id, change.db)
        var order = WorkerOrder(
            job: id, spec: row.job.spec, store: store, lifeLock: lifeLock,
            threads: isRemote ? remoteThreads : row.job.spec.threadsPerRank(of: threads))
        do {
            guard isRemote || memory <= memoryLimit else {
                throw JobFailure(
                    .memory,
                    "the job needs about \(memory >> 20) MiB; jobs may use \(memoryLimit >> 20) MiB here",
                    hint: "lower --batch-size or --max-length, or raise memory_limit")
            }
            try checkQuotas(row, change.db)
            if row.job.kind.trains { order.checkpoint = TrainingCheckpointFiles(store).path(of: id) }
            let bound = try VersionBinder.bind(
                row.job.spec, job: id, bound: row.job.base, &order, in: change)
            try change.db.execute(
                cached: "UPDATE job SET base = ? WHERE id = ?", arguments: [bound.base?.number, id])
            return Claim(
                id: id, epoch: row.epoch, spec: row.job.spec, submitter: row.job.submitter, base: bound.base,
                head: bound.head, parent: bound.parent, memory: memory, order: order)
        } catch let failure as JobFailure {
            _ = try JobEnd.fail(id, epoch: row.epoch, failure, in: change)
            return nil
        }
    }

    /// Looks once more whether the quotas have room for what a job makes, now that others have made theirs.
    /// - Throws: ``JobFailure`` with the figures.
    private func checkQuotas(_ row: JobRow, _ db: Database) throws {
        let spec = row.job.spec
        guard spec.kind.writesVersion else { return }
        let need: JobEstimator
        do {
            need = try Submission.estimator(
                spec, transferred: descriptors[row.id]?.size ?? 0, shapes, db)
        } catch {
            // What is gone or cannot be read fails the job by itself, and better told.
            return
        }
        do {
            try limits.checkQuotas(
                need.versionBytes, of: spec.model?.model, for: row.job.submitter, job: row.id, db)
        } catch let error as RPCError {
            throw JobFailure(.storage, error.message, hint: error.hint)
        }
    }
}
