// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import GRDB
import Protocol

extension ControlPlane {
    /// Most jobs that wait or run at the same time.
    static let queueCapacity = 100_000

    /// `job.submit`: checks everything that needs no weights, and stores the job durably.
    ///
    /// - Throws: `invalid_params` for a member that breaks a rule, `not_found`, `gone`, `conflict` for a key that
    ///   stands for another body, `bad_input`, `insufficient_memory`, `storage_full`, `queue_full`.
    package func submit(_ params: JobSubmitParams, peer: Peer) async throws(RPCError) -> JobSubmitResult {
        let spec = configuration.defaults.applied(to: params.spec)
        try SpecRules.check(spec)
        try checkTarget(spec, peer)
        return try await answering {
            // Of what was asked: the daemon's defaults may have changed since.
            let keyHash = try spec.key.map { _ in try IdempotencyKey.hash(params.spec) }
            if spec.key != nil,
                let existing = try await database.read({ try Self.existing(spec, keyHash, peer, $0) })
            {
                return existing
            }
            try configuration.checkGroup(of: spec)
            let restricted = try await restriction(of: spec, peer)
            let isDryRun = params.dryRun == true
            if let place = spec.parameters?.startedBy, let fault = launchMethods.method(place).fault {
                throw RPCError(
                    .badInput, fault.message, hint: fault.hint,
                    field: "spec.parameters.\(spec.parameters?.launcher == nil ? "ranks" : "launcher")")
            }
            if spec.parameters?.device == .cuda, let fault = await card().fault {
                throw RPCError(
                    .badInput, fault.message, hint: fault.hint, field: "spec.parameters.device")
            }
            if spec.gate != nil {
                try await offloading { [store] in try GateRowRules.check(spec, in: store) }
            }
            let plan = try await replayPlan(spec)
            let predicted = try await predict(spec, plan)
            var files: DescriptorSet?
            if !isDryRun, let transfer = spec.parameters?.transfer {
                // Looked at first: a submission that is refused must not use the transfer up.
                try await database.read { [budget, shapes] in
                    _ = try Submission(
                        spec, transferred: 0, predicted: predicted, budget: budget, shapes: shapes, $0)
                }
                let (names, open) = try await transfers.take(transfer, peer: peer)
                files = DescriptorSet(files: names, descriptors: open)
            }
            let transferred = spec.kind == .export ? 0 : files?.size ?? 0
            let submission = try await database.read { [budget, shapes] in
                try Submission(
                    spec, transferred: transferred, predicted: predicted, budget: budget, shapes: shapes,
                    plan: plan, $0)
            }
            let limits = configuration.limits
            try limits.checkRoom(submission.estimate.disk, writes: spec.kind.writesVersion)
            try await database.read {
                try limits.checkQuotas(
                    submission.versionBytes, of: spec.model?.model, for: peer.actor, $0)
            }
            guard !isDryRun else {
                return JobSubmitResult(
                    job: nil, existing: false, estimate: submission.estimate, warnings: submission.warnings,
                    spec: submission.spec)
            }
            let result = try await insert(submission, predicted, keyHash, files, plan, restricted, peer)
            FailPoint.afterSubmit.reach()
            // One that is held, or waits for another, lets nothing start.
            if result.job?.state == .queued || spec.deadline != nil { await scheduler.wake() }
            return result
        }
    }

    /// The card that jobs can compute on, or why there is none.
    package func card() async -> CardReport {
        guard let cardProbe else {
            return CardReport(
                fault: JobFailure(
                    .unsupported, "\(WorkerExecutable.name) was not found",
                    hint: "name it with the setting worker"))
        }
        return await cardProbe.report()
    }

    /// What a job that computes with a model takes, as the worker's program says; `nil` for other jobs, and where it cannot
    /// tell.
    ///
    /// - Parameter plan: Jobs that are done again (`exact`): the largest of them counts, and none can be asked for otherwise.
    func predict(_ spec: JobSpec, _ plan: ReplayPlan? = nil) async throws -> MemoryAnswer? {
        guard let predictor, JobEstimator.asks(spec.kind) else { return nil }
        let estimators = try await database.read { [shapes] db in
            let own = try Submission.estimator(spec, transferred: 0, shapes, db)
            return try [own] + (plan.map { try Submission.estimators($0, own, db) } ?? [])
        }
        var largest: MemoryAnswer?
        for estimator in estimators {
            guard let question = estimator.question(threads: configuration.threads(for: spec)),
                let answer = await predictor.answer(question)
            else { return nil }
            if answer.memory > largest?.memory ?? 0 { largest = answer }
        }
        if plan != nil { largest?.ways = [] }
        return largest
    }

    private func insert(
        _ submission: Submission, _ predicted: MemoryAnswer?, _ keyHash: String?, _ files: DescriptorSet?,
        _ plan: ReplayPlan?, _ restricted: RestrictedUse?, _ peer: Peer
    ) async throws -> JobSubmitResult {
        let (spec, table, budget, shapes) = (submission.spec, scheduler.descriptors, budget, shapes)
        let userJobs = configuration.userJobs
        return try await database.change { change in
            // Again, now that nothing can change between looking and writing.
            if let existing = try Self.existing(spec, keyHash, peer, change.db) { return existing }
            let current = try Submission(
                spec, transferred: submission.estimate.disk, predicted: predicted, budget: budget,
                shapes: shapes, plan: plan, change.db)
            try Self.checkQueue(adding: 1, peer, userJobs, change.db)
            var queued = submission
            queued.state = current.state
            let job = try Self.enqueue(queued, keyHash, peer, in: change)
            try restricted?.record(spec.kind.rawValue, job: job.id, peer, in: change)
            FailPoint.insideSubmit.reach()
            // Before the commit: the scheduler may claim the job right after it.
            if let files { table[job.id] = files }
            return JobSubmitResult(
                job: job, existing: false, estimate: submission.estimate, warnings: submission.warnings)
        }
    }

    /// Refuses more jobs than may wait, of all and of one user.
    /// - Parameter userJobs: Most waiting and running jobs of a user who is no administrator.
    static func checkQueue(
        adding count: Int, _ peer: Peer, _ userJobs: Int?, _ db: Database
    ) throws {
        if let userJobs, peer.role != .admin {
            let own =
                try Int.fetchOne(
                    db,
                    cached: """
                        SELECT coalesce(sum(jobs), 0) FROM job_count WHERE submitter = ? AND interactive = 0
                          AND state NOT IN ('succeeded', 'failed', 'cancelled', 'lost')
                        """, arguments: [peer.actor]) ?? 0
            guard own + count <= userJobs else {
                throw RPCError(
                    .queueFull,
                    "user \(peer.uid) has \(own) jobs waiting or running; \(userJobs) are allowed",
                    hint:
                        "wait for some to end, or cancel some; user_jobs in the daemon's configuration is the limit",
                    retryAfter: 10_000)
            }
        }
        let waiting =
            try Int.fetchOne(
                db,
                cached: """
                    SELECT coalesce(sum(jobs), 0) FROM job_count
                    WHERE state NOT IN ('succeeded', 'failed', 'cancelled', 'lost')
                    """) ?? 0
        guard waiting + count <= queueCapacity else {
            throw RPCError(
                .queueFull, "\(waiting) jobs wait already", hint: "wait for some to end",
                retryAfter: 10_000)
        }
    }

    /// Stores a job that was checked, with its audit row.
    static func enqueue(_ submission: Submission, _ keyHash: String?, _ peer: Peer, in change: Change) throws
        -> Job
    {
        let spec = submission.spec
        let id = try JobRow.insert(
            spec, state: submission.state, reason: submission.state == .blocked ? "dependency" : nil,
            submitter: peer.actor,
            memory: submission.estimate.memory, disk: submission.estimate.disk, warnings: submission.warnings,
            keyHash: keyHash,
            in: change)
        if !spec.kind.isInteractive {
            var body = JSONObject()
            body["job"] = .integer(Int64(id))
            body["kind"] = .string(spec.kind.rawValue)
            if let model = spec.model { body["model"] = .string(model.description) }
            for (name, set) in [
                ("forget", spec.forget), ("retain", spec.retain), ("holdout", spec.holdout),
            ] {
                if let set { body[name] = .string(set.hex) }
            }
            for set in spec.utility ?? [] { body["utility." + set.name] = .string(set.dataset.hex) }
            if let gate = spec.gate { body["gate"] = .string(gate) }
            if let sweep = spec.sweep { body["sweep"] = .string(sweep.family) }
            try change.audit("job.submit", actor: peer.actor, .object(body))
        }
        return try JobRow.require(id, change.db).job
    }

    /// What an exact job of now would do again. The worker makes its own plan, of the version that it is bound to.
    /// - Throws: `bad_input` that says why there is no such model.
    private func replayPlan(_ spec: JobSpec) async throws -> ReplayPlan? {
        guard spec.kind == .exact, let model = spec.model, let forget = spec.forget else { return nil }
        func rows(_ id: Digest) throws -> [DatasetRow]? {
            do {
                return try DatasetParser.parse(store.readDataset(id), name: "dataset \(id.short)")
            } catch let error as CheckpointError where error.code == .missing { return nil }
        }
        guard let rowsToForget = try rows(forget) else {
            throw RPCError(
                .notFound, "there is no dataset \(forget.short)", hint: "upload the forget set first",
                field: "spec.forget")
        }
        do {
            let lineage = try await database.read { db in
                try Lineage.of(VersionRow.resolve(model, db), db)
            }
            return try ReplayPlan(lineage: lineage, forgetting: rowsToForget, rows: rows)
        } catch let failure as JobFailure {
            throw RPCError(.badInput, failure.message, hint: failure.hint, field: "spec.forget")
        }
    }

    private static func existing(
        _ spec: JobSpec, _ keyHash: String?, _ peer: Peer, _ db: Database
    ) throws -> JobSubmitResult? {
        guard let key = spec.key, let row = try JobRow.find(key: key, submitter: peer.actor, db) else {
            return nil
        }
        guard row.keyHash == keyHash else {
            throw RPCError(
                .conflict,
                "the key \(key.debugDescription) stands for job \(row.id), which asks for something else",
                hint: "use another key for another job", field: "spec.key")
        }
        return JobSubmitResult(
            job: row.job, existing: true,
            estimate: JobEstimate(memory: row.memory, disk: 0, seconds: nil, steps: nil),
            warnings: row.job.warnings)
    }

    /// Free bytes of the store's file system.
    var freeBytes: Int64? { configuration.limits.space?.free }
}
