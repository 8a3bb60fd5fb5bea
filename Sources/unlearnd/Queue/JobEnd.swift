// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

/// How jobs end without a new version.
enum JobEnd {
    /// The job failed; false when somebody ended it before.
    static func fail(_ id: JobID, epoch: Int, _ failure: JobFailure, in change: Change) throws -> Bool {
        guard try JobRow.apply(.fail, to: id, epoch: epoch, reason: failure.kind.rawValue, in: change) else {
            return false
        }
        try change.db.execute(
            cached: "UPDATE job SET error = ? WHERE id = ?", arguments: [try JSONColumn.text(failure), id])
        if failure.kind == .gone { try PurgeRow.reopenNewest(in: change) }
        return true
    }

    /// The daemon stops while it runs: it waits again, as if it had not been started.
    static func interrupt(_ id: JobID, epoch: Int, in change: Change) throws -> Bool {
        guard try JobRow.apply(.interrupt, to: id, epoch: epoch, reason: "interrupted", in: change) else {
            return false
        }
        try giveBackAttempt(id, in: change)
        return true
    }

    /// The start that ends now costs nothing. The base stays bound if there is a training checkpoint to go on from.
    static func giveBackAttempt(_ id: JobID, in change: Change) throws {
        try change.db.execute(
            cached: """
                UPDATE job SET attempt = max(attempt - 1, 0), started = NULL,
                  base = CASE WHEN checkpoint IS NULL THEN NULL ELSE base END WHERE id = ?
                """, arguments: [id])
    }

    /// The worker has stopped because it was told to: the job is paused if somebody still wants that, else it waits
    /// again. False when somebody ended it before.
    static func suspend(_ id: JobID, epoch: Int, in change: Change) throws -> Bool {
        guard try JobRow.require(id, change.db).pauseRequested else {
            return try interrupt(id, epoch: epoch, in: change)
        }
        guard try JobRow.apply(.pause, to: id, epoch: epoch, in: change) else { return false }
        try giveBackAttempt(id, in: change)
        return true
    }

    /// What becomes of a job whose worker is gone without a result.
    private struct Recovery {
        /// Whether it is one of the deaths of which there may be only so many without a newer training checkpoint.
        var isCounted = true
        /// Milliseconds until it may start again.
        var delay: Int64 = 0

        /// `nil`: the job fails.
        init?(_ kind: JobFailure.Kind, _ row: JobRow) {
            switch kind {
            case .workerDied where row.job.kind.trains, .nodeFailed: break
            case .timeLimit where row.job.checkpoint != nil: break
            case .preempted where row.job.spec.parameters?.transfer == nil: isCounted = false
            case .unreachable: (isCounted, delay) = (false, 10_000)
            default: return nil
            }
        }
    }

    /// The worker ended without its fault: a job goes on from its training checkpoint, or begins again where none has been
    /// written. Where it or its node died, and where a time limit ended it, only so often without a newer checkpoint.
    ///
    /// - Returns: Where it goes on, in words; `nil` when the job is to fail.
    static func recover(_ id: JobID, epoch: Int, from failure: JobFailure, in change: Change) throws
        -> String?
    {
        let row = try JobRow.require(id, change.db)
        guard let recovery = Recovery(failure.kind, row),
            !recovery.isCounted || row.interruptions + 1 < OrphanRecovery.mostStarts,
            try row.pauseRequested
                ? suspend(id, epoch: epoch, in: change)
                : JobRow.apply(
                    .interrupt, to: id, epoch: epoch, reason: failure.kind.rawValue, in: change)
        else { return nil }
        if !row.pauseRequested { try giveBackAttempt(id, in: change) }
        try change.db.execute(
            cached: "UPDATE job SET interruptions = interruptions + ?, run_at = max(run_at, ?) WHERE id = ?",
            arguments: [
                recovery.isCounted ? 1 : 0,
                recovery.delay > 0 ? change.now.milliseconds + recovery.delay : 0, id,
            ])
        if recovery.delay > 0 { return "the job tries again in \(recovery.delay / 1000) s" }
        guard let checkpoint = row.job.checkpoint else {
            return "no training checkpoint had been written: the job begins again"
        }
        return "the job goes on from its training checkpoint, step \(checkpoint.step) of \(checkpoint.total)"
    }

    /// The job failed in a way that may pass, and is tried again when some time has gone by, if it may be.
    ///
    /// - Parameter delay: The first wait, seconds; each further one is twice as long, up to an hour, and all differ by up to
    ///   a fifth so that jobs that failed together do not come back together.
    /// - Returns: When, in words; `nil` when the job is to fail.
    static func tryAgain(
        _ id: JobID, epoch: Int, _ failure: JobFailure, delay: Double, in change: Change
    ) throws -> String? {
        let row = try JobRow.require(id, change.db)
        guard failure.isRetryable, row.retriesLeft > 0,
            try JobRow.apply(.backOff, to: id, epoch: epoch, reason: "retrying", in: change)
        else { return nil }
        let retried = row.job.retried ?? 0
        let wait = min(delay * Double(1 << min(retried, 20)), longestWait) * .random(in: 0.8...1.2)
        let time = Timestamp(milliseconds: change.now.milliseconds + Int64(wait * 1000))
        try change.db.execute(
            cached: """
                UPDATE job SET retries_left = retries_left - 1, retried = retried + 1, run_at = ?, error = ?,
                  started = NULL, pause_requested = 0,
                  base = CASE WHEN checkpoint IS NULL THEN NULL ELSE base END WHERE id = ?
                """, arguments: [time.milliseconds, try JSONColumn.text(failure), id])
        return "tried again at \(time), for the \(retried + 1). of \(retried + row.retriesLeft) times"
    }

    /// The longest wait before a job is tried again, seconds.
    private static let longestWait = 3600.0

    /// Writes down what the worker handed over.
    static func store(_ result: WorkerResult, of id: JobID, in change: Change) throws {
        try change.db.execute(
            cached: "UPDATE job SET evaluation = ?, training = ?, result = ? WHERE id = ?",
            arguments: [
                try JSONColumn.text(result.evaluation), try JSONColumn.text(result.training),
                try JSONColumn.text(result.result), id,
            ])
        try EvidenceRow.replace(result.evidence, of: id, in: change)
    }

    /// A job that writes no version has done its work; false when somebody ended it before.
    static func succeed(_ claim: Claim, _ result: WorkerResult, in change: Change) throws -> Bool {
        guard try JobRow.apply(.succeed, to: claim.id, epoch: claim.epoch, in: change) else { return false }
        var result = result
        if claim.spec.kind == .verify, let found = result.result {
            result.result = try VerificationRecord.note(found, of: claim, in: change)
        }
        try store(result, of: claim.id, in: change)
        if claim.spec.kind == .export, let base = claim.order.base {
            try change.audit(
                "version.export", actor: claim.submitter,
                [
                    "job": .integer(Int64(claim.id)), "model": .string(base.model.text),
                    "version": .string(base.version.description), "digest": .string(base.digest.hex),
                ])
        }
        if claim.spec.kind.copiesStore { try auditCopy(claim, result, in: change) }
        if claim.spec.kind == .optimize, claim.spec.parameters?.dryRun != true {
            var body = JSONObject()
            body["job"] = .integer(Int64(claim.id))
            for name in ["deltas", "bytes_before", "bytes_after", "restored"] {
                body[name] = result.result?[name]?.integerValue.map { .integer($0) } ?? .null
            }
            try change.audit("store.optimize", actor: claim.submitter, .object(body))
        }
        return true
    }

    /// Who copied what: counts, not the objects' ids.
    private static func auditCopy(_ claim: Claim, _ result: WorkerResult, in change: Change) throws {
        var body = JSONObject()
        body["job"] = .integer(Int64(claim.id))
        for member in result.result?.objectValue?.members ?? [] {
            let count = member.value.arrayValue.map { JSONValue.integer(Int64($0.count)) }
            body[member.key] = count ?? member.value
        }
        try change.audit("store.\(claim.spec.kind.rawValue)", actor: claim.submitter, .object(body))
    }
}
