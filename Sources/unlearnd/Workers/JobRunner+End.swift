// SPDX-License-Identifier: Apache-2.0

import Logging
import Protocol
import Synchronization

/// What the job has come to is written down: all of it in one transaction, or nothing.
extension JobRunner {
    func end(_ outcome: Outcome, _ log: JobLog) async {
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
    func publish(_ log: JobLog) async throws {
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

    static func failure(_ error: any Error) -> JobFailure {
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
    func giveUp(_ failure: JobFailure?, _ log: JobLog, isSuspended: Bool = false) async {
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
    static func goOn(
        _ id: JobID, _ failure: JobFailure, _ next: String, _ line: LogLine?, in change: Change
    ) throws {
        let text = "\(failure.message); \(next)"
        try JobRow.warn(id, [text], in: change)
        try LogRow.append([line].compactMap(\.self), to: id, in: change)
        try change.record(.warning, job: id, ["message": .string(text)])
    }
}
