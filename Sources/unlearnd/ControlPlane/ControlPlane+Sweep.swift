// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

extension ControlPlane {
    /// `job.sweep`: stores a family of jobs, all or none. The base is bound here, once for all of them, and none of them
    /// moves the head: the family is ranked when it has ended, and a person promotes the best.
    ///
    /// - Throws: As `job.submit`, for the first job that breaks a rule.
    package func sweep(_ params: JobSweepParams, peer: Peer) async throws(RPCError) -> JobSweepResult {
        // The rules that need no store, before anything is looked up.
        let family = String(RandomToken.make().prefix(12))
        let (budget, shapes, defaults) = (budget, shapes, configuration.defaults)
        let userJobs = configuration.userJobs
        guard let model = params.spec.model else {
            throw RPCError(
                .invalidParams, "a sweep needs a model", hint: "name one with --model NAME",
                field: "spec.model")
        }
        return try await answering {
            let (base, specs) = try await database.read { db in
                let row = try VersionRow.resolve(model, db)
                let base = VersionReference(model: row.model, version: row.number)
                return (base, try SweepExpansion.specs(params, on: base, family: family, defaults))
            }
            try configuration.checkGroup(of: params.spec)
            // The family has one gate and one set of rows.
            if let spec = specs.first {
                try await offloading { [store] in try GateRowRules.check(spec, in: store) }
            }
            var predictions: [MemoryAnswer?] = []
            for spec in specs { predictions.append(try await predict(spec)) }
            let predicted = predictions
            let submit: @Sendable (Database) throws -> [Submission] = { db in
                try zip(specs, predicted).map {
                    try Submission(
                        $0, transferred: 0, predicted: $1, budget: budget, shapes: shapes, db)
                }
            }
            let submissions = try await database.read(submit)
            let estimate = Self.together(submissions.map(\.estimate))
            let limits = configuration.limits
            try limits.checkRoom(estimate.disk, writes: true)
            try await database.read {
                try limits.checkQuotas(
                    submissions.reduce(0) { $0 + $1.versionBytes }, of: model.model, for: peer.actor, $0)
            }
            var result = JobSweepResult(
                family: nil, base: base, jobs: [], size: specs.count, estimate: estimate,
                warnings: submissions.first?.warnings ?? [])
            guard params.dryRun != true else { return result }
            result.family = family
            result.jobs = try await database.change { change in
                try Self.checkQueue(adding: specs.count, peer, userJobs, change.db)
                // Again, now that nothing can change between looking and writing.
                return try submit(change.db).map { try Self.enqueue($0, nil, peer, in: change) }
            }
            await scheduler.wake()
            return result
        }
    }

    private static func together(_ estimates: [JobEstimate]) -> JobEstimate {
        func sum<T: Numeric>(_ values: [T?]) -> T? {
            values.contains { $0 == nil } ? nil : values.compactMap(\.self).reduce(0, +)
        }
        return JobEstimate(
            memory: estimates.map(\.memory).max() ?? 0, disk: estimates.reduce(0) { $0 + $1.disk },
            seconds: sum(estimates.map(\.seconds)), steps: sum(estimates.map(\.steps)))
    }
}
