// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Logging
import Protocol
import Subprocess
import Synchronization

/// One job from its start to its end: the worker, what it says, and what that changes.
final class JobRunner: Sendable {
    let claim: Claim
    let control = WorkerControl()
    private let files: DescriptorSet?
    private let launcher: WorkerLauncher?
    let database: StateDatabase
    let hub: EventHub
    let store: ObjectStore
    private let ring: KeyRing?
    /// The backup that the job writes or reads.
    let backup = Mutex<BackupPreparation.Prepared?>(nil)
    private let backups: BackupPreparation
    let publisher: Publisher
    /// Seconds before a job is tried again for the first time.
    let retryDelay: Double
    /// The copy that the job publishes.
    let publication = Mutex<Publisher.Work?>(nil)
    let logger: Logger
    let meter = ProgressMeter()
    let outcome = Mutex<Outcome?>(nil)
    let evidence = Mutex<[EvidencePiece]>([])
    /// Whether it is known where a cluster has put the job.
    let isPlaced = Mutex(false)
    /// Whether the snapshot is recorded and the edit is not.
    let awaitsEdit = Mutex(false)

    /// What the worker said last.
    enum Outcome: Sendable {
        case finished(WorkerResult)
        case failed(JobFailure)
        case paused
    }

    init(
        _ claim: Claim, files: DescriptorSet?, launcher: WorkerLauncher?, database: StateDatabase,
        hub: EventHub,
        store: ObjectStore, ring: KeyRing?, backups: BackupPreparation, publisher: Publisher,
        retryDelay: Double, logger: Logger
    ) {
        self.retryDelay = retryDelay
        var claim = claim
        claim.order.files = files?.files
        claim.order.descriptors = files?.descriptors.count ?? 0
        self.claim = claim
        self.files = files
        self.launcher = launcher
        self.database = database
        self.hub = hub
        self.store = store
        self.ring = ring
        self.backups = backups
        self.publisher = publisher
        self.logger = logger
    }

    /// Runs the job; when this returns, no process and no active row is left of it.
    func run() async {
        FailPoint.afterClaim.reach()
        let id = claim.id
        let last = try? await database.read { try LogRow.last(id, $0) }
        let log = JobLog(
            job: id, model: claim.model, last: last ?? 0, database: database, hub: hub, logger: logger)
        let outcome = await work(log)
        await log.flush()
        await end(outcome, log)
        if let work = publication.withLock({ $0 }) { await publisher.discard(work) }
        backup.withLock { $0 }?.release()
        hub.forgetProgress(of: id)
    }

    private func work(_ log: JobLog) async -> Outcome {
        guard let launcher else {
            return .failed(
                JobFailure(
                    .internal, "the program \(WorkerExecutable.name) was not found",
                    hint: "install it beside unlearnd, or name it with the setting worker"))
        }
        if claim.spec.parameters?.transfer != nil, files == nil {
            return .failed(
                JobFailure(.sourceGone, "the files of this job are no longer open", hint: "submit it again"))
        }
        do {
            var (order, files) = (claim.order, files)
            if claim.spec.kind == .publish {
                let work = try await publisher.prepare(claim)
                publication.withLock { $0 = work }
                guard let made = work.files else { return .finished(WorkerResult()) }
                files = made
                order.files = made.files
                order.descriptors = made.descriptors.count
            }
            if claim.spec.kind.copiesStore {
                let prepared = try await backups.prepare(&order)
                backup.withLock { $0 = prepared }
                for line in prepared.lines { log.add("info", line) }
                FailPoint.afterBackupDraft.reach()
            }
            let handed = try await handKeys()
            // The worker is gone then and writes nothing more; who purges what it made finds its key given back.
            defer { if let handed { ring?.take(back: handed) } }
            order.keys = handed.map { WorkerKeys(keys: $0.keys, writing: $0.writing) }
            let start = LaunchStart(claim)
            let end = try await launcher.run(start, order, files, control) { placement in
                await self.place(placement, log)
            } handle: { message in
                do { try await self.handle(message, log) } catch { throw Self.failure(error) }
            }
            let method = launcher.method(for: order.spec)
            // What was over before anybody looked was somewhere too.
            if control.hasSpoken, !isPlaced.withLock(\.self), let placement = await method.placement(start) {
                await place(placement, log)
            }
            return await interpret(end, start, method, log)
        } catch {
            return .failed(
                error as? JobFailure ?? JobFailure(.internal, "the worker cannot be started: \(error)"))
        }
    }

    /// The keys of an encrypted store for the worker. They are in no other place than its order.
    private func handKeys() async throws -> KeyRing.Handed? {
        guard let ring else { return nil }
        let kind = claim.spec.kind
        let writes = kind.writesVersion || kind == .optimize || kind == .restore
        do {
            return try await offloading { [control] in
                try ring.hand(writes: writes) { control.add(WorkerKeys(keys: $0)) }
            }
        } catch let error as CheckpointError {
            throw JobFailure(.storage, error.message, hint: error.hint.isEmpty ? nil : error.hint)
        }
    }

    private func interpret(
        _ end: WorkerLauncher.End, _ start: LaunchStart, _ method: any LaunchMethod, _ log: JobLog
    ) async -> Outcome {
        let said = outcome.withLock { $0 }
        if let fault = end.fault { return .failed(fault) }
        if let said { return said }
        if control.isWithdrawn { return .paused }
        // mpirun underlines what it says.
        let lines = end.errors.split(separator: "\n", omittingEmptySubsequences: true)
            .filter { !$0.allSatisfy { $0 == "-" } }
        for line in lines.suffix(200) { log.add("error", String(line)) }
        if let failure = await method.failure(start, hasBegun: control.hasSpoken, errors: lines.suffix(200)) {
            return .failed(failure)
        }
        let how: String
        switch end.status {
        case .exited(let code): how = "exited with status \(code) without a result"
        case .signaled(let signal):
            how =
                "was killed by signal \(signal)"
                + (signal == 9 ? "; too little memory is the usual reason" : "")
        }
        let words = lines.suffix(3).joined(separator: " | ").prefix(1000)
        return .failed(
            JobFailure(
                .workerDied, "the worker \(how)" + (words.isEmpty ? "" : ": \(words)"),
                hint: "the model is unchanged; unlearnctl logs \(claim.id) has the worker's last words"))
    }
}
