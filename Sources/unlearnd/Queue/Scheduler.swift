// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import GRDB
import Logging
import Protocol

/// Starts jobs when something has changed, and keeps hold of those that run. It never polls: the only timer is
/// the one of the next delayed job.
actor Scheduler {
    private var planner: ClaimPlanner
    private let database: StateDatabase
    private let hub: EventHub
    private let store: ObjectStore
    private let ring: KeyRing?
    private var launcher: WorkerLauncher?
    private var grace: Double
    private var retryDelay: Double
    private var deadlines: Deadlines
    private let checkpoints: TrainingCheckpointFiles
    private var backups: BackupPreparation
    private let publisher: Publisher
    private let logger: Logger
    /// Files of jobs that wait or run.
    nonisolated let descriptors: DescriptorTable

    /// Seconds that a training job has, when the daemon stops, to finish its step and write its checkpoint.
    private static let trainingGrace = 60.0

    private var runners: [JobID: (runner: JobRunner, task: Task<Void, Never>)] = [:]
    private var isStarted = false
    private var isStopping = false
    private var isPlanning = false
    private var mustPlanAgain = false
    private var timer: Task<Void, Never>?

    init(
        planner: ClaimPlanner, database: StateDatabase, hub: EventHub, store: ObjectStore, ring: KeyRing?,
        launcher: WorkerLauncher?,
        configuration: ControlConfiguration, checkpoints: TrainingCheckpointFiles, backups: BackupPreparation,
        publisher: Publisher,
        logger: Logger
    ) {
        self.planner = planner
        descriptors = planner.descriptors
        self.database = database
        self.hub = hub
        self.store = store
        self.ring = ring
        self.launcher = launcher
        grace = configuration.grace
        retryDelay = configuration.retryDelay
        deadlines = Deadlines(lead: configuration.deadlineWarning)
        self.checkpoints = checkpoints
        self.backups = backups
        self.publisher = publisher
        self.logger = logger
    }

    /// Lets jobs start.
    func start() {
        isStarted = true
        wake()
    }

    /// Takes other limits; what runs already goes on as it began.
    func reconfigure(_ configuration: ControlConfiguration, memoryLimit: Int64) {
        planner.reconfigure(configuration, memoryLimit: memoryLimit)
        grace = configuration.grace
        retryDelay = configuration.retryDelay
        deadlines = Deadlines(lead: configuration.deadlineWarning)
        backups.targets = configuration.backupTargets
        launcher?.grace = configuration.grace
        wake()
    }

    /// Something has changed that may let a job start.
    func wake() {
        guard isStarted, !isStopping else { return }
        guard !isPlanning else {
            mustPlanAgain = true
            return
        }
        isPlanning = true
        Task { await plan() }
    }

    private func plan() async {
        repeat {
            mustPlanAgain = false
            do {
                let (planner, deadlines) = (planner, deadlines)
                let (claims, told, next) = try await database.change { change in
                    let told = try deadlines.tell(in: change)
                    let (claims, next) = try planner.claim(in: change)
                    return (claims, told.lines, [told.next, next].compactMap(\.self).min())
                }
                for line in told { logger.warning("\(line)") }
                for claim in claims { begin(claim) }
                if !isStopping { setTimer(next) }
                try await dropDescriptors()
                try await sweepCheckpoints()
            } catch {
                logger.error("jobs cannot be started: \(error)")
                setTimer(Timestamp.now.milliseconds + 1000)
            }
        } while mustPlanAgain && !isStopping
        isPlanning = false
    }

    private func begin(_ claim: Claim) {
        let runner = JobRunner(
            claim, files: descriptors[claim.id], launcher: launcher, database: database, hub: hub,
            store: store, ring: ring, backups: backups, publisher: publisher, retryDelay: retryDelay,
            logger: logger)
        let task = Task { [weak self] in
            await runner.run()
            await self?.ended(claim.id)
        }
        runners[claim.id] = (runner, task)
        // A claim that was made while the daemon began to stop is given back at once.
        if isStopping { runner.control.stop(grace: 0, isShutdown: true) }
    }

    private func ended(_ id: JobID) {
        runners[id] = nil
        wake()
    }

    private func setTimer(_ next: Int64?) {
        timer?.cancel()
        timer = nil
        guard let next else { return }
        // At most a minute, so that a clock that was set is noticed.
        let wait = max(0, min(next - Timestamp.now.milliseconds, 60_000))
        timer = Task { [weak self] in
            try? await Task.sleep(for: .milliseconds(wait))
            if !Task.isCancelled { await self?.wake() }
        }
    }

    /// Closes the files of jobs that have ended, or were never recorded: a job has its files before its row is committed,
    /// so that only between two changes a row that is not there will not come.
    private func dropDescriptors() async throws {
        let jobs = descriptors.jobs
        guard !jobs.isEmpty else { return }
        let open = try await database.betweenChanges { db in
            try jobs.filter { try JobRow.find($0, db).map { !$0.state.isTerminal } ?? false }
        }
        for job in jobs where !open.contains(job) { descriptors[job] = nil }
    }

    /// Removes the training checkpoints of jobs that have ended.
    private func sweepCheckpoints() async throws {
        let jobs = checkpoints.jobs
        guard !jobs.isEmpty else { return }
        let ended = try await database.read { db in
            try jobs.filter { try JobRow.find($0, db).map(\.state.isTerminal) ?? true }
        }
        checkpoints.remove(ended)
    }

    /// Asks a training job's worker to write its checkpoint and end; its row says that it is to be paused.
    func pause(_ job: JobID) { runners[job]?.runner.control.pause() }

    /// Stops a running job's worker; its row says `cancelling` already.
    func cancel(_ job: JobID, force: Bool) {
        guard let control = runners[job]?.runner.control else { return }
        if force { control.kill() } else { control.stop(grace: grace) }
    }

    /// Starts nothing any more, stops the workers so that their jobs wait again, and returns when all are gone.
    func stop() async {
        isStopping = true
        timer?.cancel()
        for (runner, _) in runners.values {
            if runner.claim.spec.kind.trains {
                runner.control.stop(grace: max(grace, Self.trainingGrace), with: .pause, isShutdown: true)
            } else {
                runner.control.stop(grace: grace, isShutdown: true)
            }
        }
        while isPlanning || !runners.isEmpty {
            if let task = runners.values.first?.task {
                await task.value
            } else {
                try? await Task.sleep(for: .milliseconds(5))
            }
        }
    }
}
