// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

/// A submission held against what is stored: everything that can be refused before a job exists.
struct Submission: Sendable {
    var spec: JobSpec
    var estimate: JobEstimate
    /// Bytes of the version that it makes; 0 for none.
    var versionBytes: Int64
    var warnings: [String]
    /// The state that the job begins in.
    var state: JobState

    /// Checks existence, data and room.
    ///
    /// - Parameters:
    ///   - transferred: Bytes of the files whose descriptors came with it.
    ///   - predicted: What the worker's program computed for a training job.
    ///   - plan: What is to be done again (`exact`).
    /// - Throws: `not_found`, `gone`, `conflict`, `bad_input`, `insufficient_memory`.
    init(
        _ spec: JobSpec, transferred: Int64, predicted: MemoryAnswer? = nil, budget: MemoryBudget,
        shapes: ModelShapes, plan: ReplayPlan? = nil, _ db: Database
    ) throws {
        self.spec = spec
        var estimator = try Self.estimator(spec, transferred: transferred, shapes, db)
        estimator.predicted = predicted
        try Self.checkPairing(spec, estimator)
        estimate = try plan.map { try Self.estimate($0, estimator, db) } ?? estimator.estimate
        versionBytes = estimator.versionBytes
        guard spec.parameters?.launcher == .slurm || estimate.memory <= budget.limit else {
            throw RPCError(
                .insufficientMemory,
                "the job needs about \(Self.mebibytes(estimate.memory)) MiB of memory; jobs may use "
                    + "\(Self.mebibytes(budget.limit)) MiB here",
                hint: predicted?.hint(limit: budget.limit)
                    ?? "lower --batch-size or --max-length, or run it on a larger machine")
        }
        warnings = []
        if spec.kind.unlearns, spec.gate == nil, spec.sweep == nil {
            warnings.append(
                "no gate is given: nothing is required of the result, and it becomes head whatever it measures"
            )
        }
        state = try Self.firstState(spec, db)
        if let deadline = spec.deadline { try checkDeadline(deadline) }
    }

    /// - Throws: `invalid_params` for one that is over.
    private mutating func checkDeadline(_ deadline: Timestamp) throws {
        let now = Timestamp.now
        guard deadline > now else {
            throw RPCError(
                .invalidParams, "the deadline \(deadline) is over", hint: "name a later one",
                field: "spec.deadline")
        }
        let begin = max(now, spec.at ?? now).milliseconds
        if let seconds = estimate.seconds, seconds < 1e9,
            begin + Int64(seconds * 1000) > deadline.milliseconds
        {
            warnings.append("the job is expected to take \(Int(seconds)) s, which is beyond its deadline")
        }
    }

    /// What is known of the models and sets that the job names.
    ///
    /// - Throws: `not_found`, `gone`, `conflict`.
    static func estimator(
        _ spec: JobSpec, transferred: Int64, _ shapes: ModelShapes, _ db: Database
    ) throws -> JobEstimator {
        var estimator = JobEstimator(spec: spec, transferred: transferred)
        if let model = spec.model {
            switch spec.kind {
            case .create:
                guard try !ModelRow.isInUse(model.model, db) else {
                    throw RPCError(
                        .conflict, "model \(model.model) exists", hint: "choose another name",
                        field: "spec.model")
                }
            case .import: break
            case .retrain:
                let base = try Self.version(spec.parameters?.from ?? model, "model", db)
                estimator.shape = try shapes.shape(of: base.manifest)
            default:
                let base = try Self.version(model, "model", db)
                estimator.shape = try shapes.shape(of: base.manifest)
            }
        }
        for (reference, field) in [
            (spec.reference, "reference"), (spec.parameters?.finetuned, "parameters.finetuned"),
            (spec.parameters?.from, "parameters.from"), (spec.parameters?.base, "parameters.base"),
            (spec.parameters?.other, "parameters.other"),
        ] {
            if let reference { _ = try Self.version(reference, field, db) }
        }
        estimator.forget = try Self.dataset(spec.forget, "forget", db)
        estimator.retain = try Self.dataset(spec.retain, "retain", db)
        estimator.holdout = try Self.dataset(spec.holdout, "holdout", db)
        estimator.utility = try (spec.utility ?? []).enumerated().compactMap { index, set in
            try Self.dataset(set.dataset, "utility[\(index)].dataset", db)
        }
        return estimator
    }

    /// What is known of recorded jobs that are done again, one after the other.
    static func estimators(
        _ plan: ReplayPlan, _ own: JobEstimator, _ db: Database
    ) throws -> [JobEstimator] {
        try plan.repeated.map { step in
            var estimator = own
            estimator.spec = step.spec
            estimator.spec.evaluate = false
            estimator.forget = try step.spec.forget.flatMap { try StoredDataset.find($0, db) }
            estimator.retain = try step.spec.retain.flatMap { try StoredDataset.find($0, db) }
            estimator.holdout = nil
            return estimator
        }
    }

    /// What it takes to do recorded jobs again.
    private static func estimate(
        _ plan: ReplayPlan, _ own: JobEstimator, _ db: Database
    ) throws -> JobEstimate {
        var estimate = own.estimate
        var steps: Int? = 0
        for one in try estimators(plan, own, db).map(\.estimate) {
            estimate.memory = max(estimate.memory, one.memory)
            estimate.disk += one.disk
            estimate.seconds = estimate.seconds.flatMap { sum in one.seconds.map { sum + $0 } }
            steps = steps.flatMap { sum in one.steps.map { sum + $0 } }
        }
        estimate.steps = steps
        estimate.replay = plan.words
        return estimate
    }

    private static func mebibytes(_ bytes: Int64) -> Int64 { bytes >> 20 }

    private static func version(_ reference: VersionReference, _ field: String, _ db: Database) throws
        -> VersionRow
    {
        do {
            return try VersionRow.resolve(reference, db)
        } catch var error as RPCError {
            error.field = "spec.\(field)"
            throw error
        }
    }

    private static func dataset(_ id: Digest?, _ field: String, _ db: Database) throws -> StoredDataset? {
        guard let id else { return nil }
        guard let dataset = try StoredDataset.find(id, db) else {
            throw RPCError(
                .notFound, "there is no dataset \(id.short)", hint: "upload the \(field) set first",
                field: "spec.\(field)")
        }
        return dataset
    }

    /// An erasure request must not lose rows to a short retain set: steps per epoch are those of the shorter set.
    private static func checkPairing(_ spec: JobSpec, _ estimator: JobEstimator) throws {
        guard spec.needsRetain, spec.parameters?.pairing == nil, let forget = estimator.forget,
            let retain = estimator.retain, retain.textRows == 0
        else { return }
        let batch = spec.rowsPerStep
        let (forgetBatches, retainBatches) = (
            (forget.rows + batch - 1) / batch, (retain.rows + batch - 1) / batch
        )
        guard forgetBatches > retainBatches else { return }
        throw RPCError(
            .badInput,
            "the retain set has \(retainBatches) batches and the forget set \(forgetBatches): "
                + "\(forget.rows - retainBatches * batch) forget rows would never be used",
            hint:
                "give at least as many retain rows, or --pairing cycle to repeat them, or --pairing min to accept it",
            field: "spec.retain")
    }

    private static func firstState(_ spec: JobSpec, _ db: Database) throws -> JobState {
        var state = JobState.queued
        for dependency in spec.after ?? [] {
            guard let job = try JobRow.find(dependency.job, db) else {
                throw RPCError(
                    .notFound, "there is no job \(dependency.job) to wait for", field: "spec.after")
            }
            guard let verdict = Dependencies.judge(dependency.condition, job.state) else {
                throw RPCError(
                    .conflict,
                    "job \(dependency.job) ended \(job.state.rawValue), so “\(dependency.condition.rawValue)” can never be met",
                    hint: "wait for another job, or for any end with \(dependency.job):any",
                    field: "spec.after")
            }
            if verdict == .waiting { state = .blocked }
        }
        return spec.hold == true ? .held : state
    }
}
