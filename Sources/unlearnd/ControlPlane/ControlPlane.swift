// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import GRDB
import Logging
import Protocol
import Synchronization

/// Everything the daemon decides: jobs, versions, heads, datasets, events and the audit log. The server calls it;
/// it knows nothing of sockets.
///
/// Every method may be called from anywhere at any time. A change that was answered is durable.
package final class ControlPlane: Sendable {
    /// What may change while the daemon runs, always as a whole.
    private let settings: Mutex<(configuration: ControlConfiguration, budget: MemoryBudget)>
    let transfers: any TransferSource
    let directory: StateDirectory
    let database: StateDatabase
    let hub: EventHub
    let store: ObjectStore
    /// The keys of an encrypted store.
    let ring: KeyRing?
    let shapes: ModelShapes
    let scheduler: Scheduler
    let predictor: MemoryPredictor?
    let cardProbe: CardProbe?
    let checkpoints: TrainingCheckpointFiles
    let uploads = OpenUploads()
    let sharedRows: SharedRows
    let reserve: SpaceReserve
    let publisher: Publisher
    let launchMethods: LaunchMethods
    let logger: Logger

    /// What was found unfinished at the start, and what became of it: `requeued`, `cancelled`, `lost`, `failed`.
    package let recovered: [String: Int]

    /// Takes the state directory, checks and opens what is there, and puts right what an earlier daemon left.
    ///
    /// - Throws: ``StartupError``; nothing that cannot be read has been touched then.
    package init(
        configuration: ControlConfiguration, transfers: any TransferSource, logger: Logger
    ) throws(StartupError) {
        let budget = MemoryBudget(configured: configuration.memoryLimit)
        settings = Mutex((configuration, budget))
        self.transfers = transfers
        self.logger = logger
        // Before so much as the lock is written: a newer version's directory is left as it is.
        try Self.refuseNewer(configuration.stateDirectory)
        directory = try StateDirectory(path: configuration.stateDirectory)
        try directory.refuseHalfRestored()
        try directory.waitForWorkers(seconds: 10)
        checkpoints = TrainingCheckpointFiles(directory.path)
        let hub = EventHub()
        self.hub = hub
        database = try StateDatabase(path: directory.database) { hub.publish($0) }
        let instance = String(UInt64.random(in: .min ... .max), radix: 16)
        let master: MasterKey?
        do {
            let opened = try StoreOpening(
                directory.path, encryption: configuration.encryption, master: configuration.masterKey)
            (store, ring, master) = (opened.store, opened.ring, opened.master)
            if let ring = opened.ring {
                let path = directory.path
                try database.readNow { try KeyRingMark.check(ring.generation, path, $0) }
                logger.info(
                    "the store is encrypted: key ring \(ring.generation), master key \(ring.masterID)")
            }
            let swept = try store.sweepStaging()
            if swept > 0 { logger.info("swept what \(swept) unfinished writers left") }
            guard checkpoints.make() else {
                throw JobFailure(.storage, "the directory training cannot be made")
            }
            checkpoints.remove([], unfinished: true)
        } catch let error as StartupError {
            throw error
        } catch let error as CheckpointError where error.code == .locked {
            throw StartupError(.encryption, error.message, hint: error.hint)
        } catch {
            throw StartupError(
                .store, "the object store in \(directory.path) cannot be used: \(error)",
                hint: "nothing was changed; check the disk")
        }
        do {
            recovered = try database.changeNow { change in
                let counts = try OrphanRecovery.run(in: change)
                try change.record(
                    .started,
                    .object(
                        counts.sorted { $0.key < $1.key }.reduce(into: JSONObject()) {
                            $0[$1.key] = .integer(Int64($1.value))
                        }))
                hub.begin(next: try EventRow.bounds(change.db).next)
                return counts
            }
        } catch {
            throw StartupError(
                .database, "the jobs of the earlier daemon cannot be put back: \(error)",
                hint: "check the disk's space")
        }
        let storeName = try StoreName.read(directory.path)
        shapes = ModelShapes(store: store)
        sharedRows = SharedRows(store: store)
        publisher = Publisher(
            targets: configuration.publishTargets, store: storeName, objects: store,
            database: database, sharedRows: sharedRows)
        reserve = SpaceReserve(directory.path)
        reserve.take()
        let executable = WorkerExecutable.find(configured: configuration.workerPath)
        if executable == nil { logger.warning("\(WorkerExecutable.name) was not found: every job will fail") }
        predictor = executable.map {
            MemoryPredictor(executable: $0, environment: WorkerExecutable.environment())
        }
        let hasBeenElsewhere =
            (try? database.readNow {
                try Bool.fetchOne($0, sql: "SELECT EXISTS(SELECT 1 FROM job WHERE placement IS NOT NULL)")
            })
            ?? false
        launchMethods = LaunchMethods(
            mpi: MPILauncher(path: configuration.mpirun),
            slurm: SlurmLauncher(
                settings: configuration.slurm,
                watch: SlurmWatch(
                    store: storeName, settings: configuration.slurm, hasLeft: hasBeenElsewhere, logger: logger
                )))
        cardProbe = executable.map {
            CardProbe(executable: $0, environment: WorkerExecutable.environment())
        }
        scheduler = Scheduler(
            planner: ClaimPlanner(
                parallel: configuration.parallel, interactive: configuration.interactive,
                remote: configuration.slurm.parallel, memoryLimit: budget.limit,
                owner: instance, store: directory.path, lifeLock: directory.lifeLock,
                threads: configuration.threads, threadLimit: configuration.threadLimit,
                remoteThreads: configuration.slurm.threads ?? configuration.threads,
                groups: configuration.groups, limits: configuration.limits, shapes: shapes,
                descriptors: DescriptorTable()),
            database: database, hub: hub, store: store, ring: ring,
            launcher: executable.map { [launchMethods] in
                WorkerLauncher(
                    executable: $0, environment: WorkerExecutable.environment(), methods: launchMethods,
                    grace: configuration.grace)
            },
            configuration: configuration, checkpoints: checkpoints,
            backups: BackupPreparation(
                targets: configuration.backupTargets, stateDirectory: directory.path, database: database,
                master: master),
            publisher: publisher, logger: logger)
        if !recovered.isEmpty {
            logger.notice(
                "recovered jobs: \(recovered.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", "))"
            )
        }
    }

    /// Refuses a state directory that a newer version has used.
    private static func refuseNewer(_ path: String) throws(StartupError) {
        try DatabaseFormat.refuseForeign(path + "/unlearnd.sqlite")
        do { try ObjectStore.refuseForeign(root: path) } catch {
            throw StartupError(
                .store, "the object store in \(path) cannot be used: \(error)",
                hint: "nothing was changed; start the version that wrote it")
        }
    }

    /// Finishes what purges of an earlier daemon have left to do, and lets jobs start. Until then everything but running
    /// jobs works.
    package func start() async {
        await finishPurges()
        await repairPublications()
        await launchMethods.slurm.watch.sweep()
        await scheduler.start()
    }

    /// Starts, waits until the calling task is cancelled, and then stops as ``shutdown()`` does.
    package func run() async {
        await start()
        let tidying = Task { await tidyRegularly() }
        defer { tidying.cancel() }
        let (stream, continuation) = AsyncStream<Never>.makeStream()
        // Ends only with the task.
        for await _ in stream {}
        continuation.finish()
        await shutdown()
    }

    /// Gives up versions whose time is over, tries again what purges have left, and has the store verified when that is
    /// due, until the calling task is cancelled.
    package func tidyRegularly() async {
        while !Task.isCancelled {
            await tidyVersions()
            await finishPurges()
            await verifyRegularly()
            // Often enough for rules that count in days.
            try? await Task.sleep(for: .seconds(3600))
        }
    }

    /// Starts nothing more, stops the workers (their jobs wait again, at no cost), ends the subscriptions and
    /// closes the database's log. Safe to call twice.
    package func shutdown() async {
        await scheduler.stop()
        hub.close()
        await Task { [database, logger] in
            do { try database.checkpoint() } catch {
                logger.warning("the write-ahead log was not emptied: \(error)")
            }
        }.value
    }

    /// What the operator decides, as it is now.
    var configuration: ControlConfiguration { settings.withLock { $0.configuration } }
    /// The memory that jobs may use, as it is now.
    var budget: MemoryBudget { settings.withLock { $0.budget } }

    /// Takes another configuration while jobs run. State directory and worker stay what they were.
    ///
    /// - Parameter keys: What changed, from and to, for the audit log.
    /// - Throws: What the database says; nothing has changed then.
    package func apply(_ configuration: ControlConfiguration, changed keys: JSONObject) async throws {
        var configuration = configuration
        configuration.stateDirectory = self.configuration.stateDirectory
        configuration.workerPath = self.configuration.workerPath
        configuration.mpirun = self.configuration.mpirun
        // Only how much goes to Slurm can change, not how.
        (configuration.slurm.srun, configuration.slurm.allocation, configuration.slurm.options) = (
            self.configuration.slurm.srun, self.configuration.slurm.allocation,
            self.configuration.slurm.options
        )
        configuration.publishTargets = self.configuration.publishTargets
        configuration.encryption = self.configuration.encryption
        configuration.masterKey = self.configuration.masterKey
        if !keys.isEmpty {
            try await database.change { try $0.audit("configuration.reload", actor: -1, .object(keys)) }
        }
        let budget = MemoryBudget(configured: configuration.memoryLimit)
        settings.withLock { [configuration] in $0 = (configuration, budget) }
        await scheduler.reconfigure(configuration, memoryLimit: budget.limit)
    }

    /// Threads of each worker.
    package var threads: Int { configuration.threads }
    /// Physical memory, bytes.
    package var memoryTotal: Int64 { budget.total }
    /// What running jobs may use together, bytes.
    package var memoryLimit: Int64 { budget.limit }
}
