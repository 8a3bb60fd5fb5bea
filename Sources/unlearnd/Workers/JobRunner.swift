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
    private let database: StateDatabase
    private let hub: EventHub
    private let store: ObjectStore
    private let ring: KeyRing?
    /// The backup that the job writes or reads.
    private let backup = Mutex<BackupPreparation.Prepared?>(nil)
    private let backups: BackupPreparation
    private let publisher: Publisher
    /// Seconds before a job is tried again for the first time.
    private let retryDelay: Double
    /// The copy that the job publishes.
    private let publication = Mutex<Publisher.Work?>(nil)
    private let logger: Logger
    private let meter = ProgressMeter()
    private let outcome = Mutex<Outcome?>(nil)
    private let evidence = Mutex<[EvidencePiece]>([])
    /// Whether it is known where a cluster has put the job.
    private let isPlaced = Mutex(false)
    /// Whether the snapshot is recorded and the edit is not.
    private let awaitsEdit = Mutex(false)

    /// What the worker said last.
    private enum Outcome: Sendable {
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

    private func handle(_ message: WorkerMessage, _ log: JobLog) async throws {
        let (id, model) = (claim.id, claim.model)
        switch message {
        case .started:
            // The worker's own first line says on which kernels and threads.
            break
        case .log(let level, let message): log.add(level, message)
        case .progress(let progress):
            if progress.phase == "edit" { try await recordEdit() }
            if meter.admits(progress) { hub.publish(progress, job: id, model: model) }
        case .snapshot(let report):
            let data = try JSONValue(encoding: report)
            try await database.change { try $0.record(.snapshot, job: id, model: model, data) }
            FailPoint.afterSnapshot.reach()
            log.add(
                "info", "snapshot of \(report.version), digest \(report.digest.short), is whole and pinned")
            awaitsEdit.withLock { $0 = claim.spec.kind.editsVersion }
            control.proceed()
        case .epoch(let epoch):
            try await recordEdit()
            let losses = [
                ("loss", epoch.loss), ("forget loss", epoch.forgetLoss), ("retain loss", epoch.retainLoss),
            ]
            let words = losses.compactMap { name, loss in loss.map { "\(name) \($0)" } }
            log.add("info", "epoch \(epoch.epoch): \(epoch.steps) steps, \(words.joined(separator: ", "))")
            let data = try JSONValue(encoding: epoch)
            try await database.change { try $0.record(.epoch, job: id, model: model, data) }
        case .checkpoint(let checkpoint):
            let epoch = claim.epoch
            let data = try JSONValue(encoding: checkpoint)
            try await database.change { change in
                try JobRow.keep(checkpoint, of: id, epoch: epoch, in: change)
                try change.record(.checkpoint, job: id, model: model, data)
            }
        case .paused: outcome.withLock { $0 = .paused }
        case .evaluation(let role, let figures):
            let data: JSONValue = ["role": .string(role), "figures": try JSONValue(encoding: figures)]
            try await database.change { try $0.record(.evaluation, job: id, model: model, data) }
        case .warning(let warning):
            let text = String(warning.prefix(8192))
            log.add("warning", text)
            try await database.change {
                try JobRow.warn(id, [text], in: $0)
                try $0.record(.warning, job: id, model: model, ["message": .string(text)])
            }
        case .evidence(let piece): try await keep(piece, log)
        case .finished(var result):
            try await recordEdit()
            result.evidence = evidence.withLock { $0 }
            let whole = result
            outcome.withLock { $0 = .finished(whole) }
        case .failed(let failure): outcome.withLock { $0 = .failed(failure) }
        }
    }

    /// Takes a piece of evidence until the job's end; one that is too large is left out, and that is said.
    private func keep(_ piece: EvidencePiece, _ log: JobLog) async throws {
        let fault =
            piece.fault
            ?? evidence.withLock { pieces in
                pieces.removeAll { $0.name == piece.name }
                guard pieces.count < EvidencePiece.mostPieces else {
                    return "the job has \(EvidencePiece.mostPieces) pieces already"
                }
                pieces.append(piece)
                return nil
            }
        guard let fault else { return }
        let text = "the evidence \(piece.name.rawValue.debugDescription.prefix(80)) is not kept: \(fault)"
        try await handle(.warning(text), log)
    }

    /// Writes down where a cluster has put the job, or why it waits there.
    private func place(_ placement: JobPlacement, _ log: JobLog) async {
        isPlaced.withLock { $0 = true }
        let place = placement.nodes.map { " on \($0)" } ?? ""
        log.add(
            "info",
            "\(placement.launcher.rawValue) job \(placement.id) is \(placement.state)\(place)"
                + (placement.reason.map { " (\($0))" } ?? ""))
        do {
            try await database.change { [claim] change in
                guard try JobRow.place(placement, of: claim.id, epoch: claim.epoch, in: change) else {
                    return
                }
                try change.record(.placed, job: claim.id, model: claim.model, JSONValue(encoding: placement))
            }
        } catch { logger.error("job \(claim.id): its place cannot be recorded: \(error)") }
    }

    /// Records that the edit begins, the first time that the worker shows it after the snapshot.
    private func recordEdit() async throws {
        let isFirst = awaitsEdit.withLock { awaits in
            defer { awaits = false }
            return awaits
        }
        if isFirst {
            try await database.change { try $0.record(.edit, job: self.claim.id, model: self.claim.model) }
        }
    }

    // MARK: The end

    private func end(_ outcome: Outcome, _ log: JobLog) async {
        let claim = claim
        if case .finished = outcome { FailPoint.afterResult.reach() }
        switch outcome {
        case .finished(let result) where claim.spec.kind.writesVersion:
            do {
                let proposal = try VersionCommitter.propose(claim, result, store: store)
                guard
                    try await database.change({
                        try JobRow.apply(.beginCommit, to: claim.id, epoch: claim.epoch, in: $0)
                    })
                else { return await giveUp(nil, log) }
                FailPoint.beforeCommit.reach()
                _ = try await database.change { try VersionCommitter.commit(claim, proposal, in: $0) }
                FailPoint.afterCommit.reach()
            } catch {
                await giveUp(Self.failure(error), log)
            }
        case .finished where claim.spec.kind == .publish:
            do { try await publish(log) } catch { await giveUp(Self.failure(error), log) }
        case .finished(let result):
            do {
                // Before the backup counts as one that has not what was purged.
                if let prepared = backup.withLock({ $0 }) {
                    for line in try await prepared.finish(claim.spec.kind) { log.add("info", line) }
                    await log.flush()
                }
                guard try await database.change({ try JobEnd.succeed(claim, result, in: $0) }) else {
                    return await giveUp(nil, log)
                }
            } catch {
                await giveUp(Self.failure(error), log)
            }
        case .failed(let failure): await giveUp(failure, log)
        case .paused: await giveUp(nil, log, isSuspended: true)
        }
    }

    /// Switches the target, unless the head has moved on: then the job that followed the move does.
    private func publish(_ log: JobLog) async throws {
        let claim = claim
        guard let work = publication.withLock({ $0 }) else {
            throw JobFailure(.internal, "the job has nothing to publish")
        }
        let isHead = try await database.change { change -> Bool? in
            guard try JobRow.apply(.beginCommit, to: claim.id, epoch: claim.epoch, in: change) else {
                return nil
            }
            return try claim.model.flatMap { try ModelRow.find($0, change.db)?.head } == claim.base
        }
        guard let isHead else { return await giveUp(nil, log) }
        var result = WorkerResult()
        if isHead {
            result.result = try await publisher.finish(claim, work) { text in
                try? await self.handle(.warning(text), log)
            }
        } else {
            result.result = ["target": .string(work.target.name), "switched": false, "reason": "head-moved"]
        }
        let whole = result
        await log.flush()
        try await database.change { change in
            guard try JobRow.apply(.commit, to: claim.id, epoch: claim.epoch, in: change) else { return }
            try JobEnd.store(whole, of: claim.id, in: change)
        }
    }

    private static func failure(_ error: any Error) -> JobFailure {
        if let failure = error as? JobFailure { return failure }
        let described = RPCError(describing: error)
        return JobFailure(
            described.kind == .storageFull ? .storage : .internal,
            "the job cannot be recorded: \(described.message)",
            hint: described.hint ?? "retry the job; its objects are reused")
    }

    /// Ends the job without a result: cancelled if somebody asked for it, paused or waiting if the worker stopped in
    /// order or can be followed by another, waiting again if the daemon stops or the failure may pass, else failed. Goes on trying, because a
    /// row that stays active blocks its model.
    private func giveUp(_ failure: JobFailure?, _ log: JobLog, isSuspended: Bool = false) async {
        let (id, epoch, transfer) = (claim.id, claim.epoch, claim.spec.parameters?.transfer)
        let (isShutdown, retryDelay) = (control.isShutdown, retryDelay)
        let failure = failure ?? JobFailure(.internal, "the job was ended by somebody else")
        // With the end itself, so that whoever sees the end can read why.
        await log.flush()
        let line = isSuspended ? nil : log.line("error", failure.message)
        var wait = 1.0
        while true {
            do {
                let hasFailed = try await database.change { change in
                    if try JobRow.apply(.endCancelled, to: id, epoch: epoch, reason: "cancelled", in: change)
                    {
                        return false
                    }
                    if isSuspended, try JobEnd.suspend(id, epoch: epoch, in: change) { return false }
                    if !isShutdown, let next = try JobEnd.recover(id, epoch: epoch, from: failure, in: change)
                    {
                        try Self.goOn(id, failure, next, line, in: change)
                        return true
                    }
                    if isShutdown, transfer == nil, try JobEnd.interrupt(id, epoch: epoch, in: change) {
                        return false
                    }
                    if let next = try JobEnd.tryAgain(
                        id, epoch: epoch, failure, delay: retryDelay, in: change)
                    {
                        try Self.goOn(id, failure, next, line, in: change)
                        return true
                    }
                    guard try JobEnd.fail(id, epoch: epoch, failure, in: change) else { return false }
                    try LogRow.append([line].compactMap(\.self), to: id, in: change)
                    return true
                }
                if hasFailed, let line { log.publish(line) }
                return
            } catch {
                logger.error("job \(id) cannot be ended: \(error)")
                if isShutdown { return }
                try? await Task.sleep(for: .seconds(wait))
                wait = min(wait * 2, 60)
            }
        }
    }

    /// Says why the job has to begin again, and when or where.
    private static func goOn(
        _ id: JobID, _ failure: JobFailure, _ next: String, _ line: LogLine?, in change: Change
    ) throws {
        let text = "\(failure.message); \(next)"
        try JobRow.warn(id, [text], in: change)
        try LogRow.append([line].compactMap(\.self), to: id, in: change)
        try change.record(.warning, job: id, ["message": .string(text)])
    }
}
