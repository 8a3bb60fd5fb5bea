// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

/// Finds the requests that a model owes to forget: those whose versions its head, or a job's base, comes from.
enum EarlierRequests {
    /// The accepted requests behind `versions`, oldest first.
    ///
    /// A version comes from the head that it followed; one that a person promoted, from the version that it was made of.
    /// What a rollback undid is behind neither, and what was imported follows nothing.
    static func behind(_ versions: [VersionRow], now: Timestamp, _ db: Database) throws -> [EarlierCheck] {
        var seen: Set<VersionReference> = []
        var found: [JobID: EarlierCheck] = [:]
        for version in versions {
            var next: VersionRow? = version
            while let row = next,
                seen.insert(VersionReference(model: row.model, version: row.number)).inserted,
                let job = try row.job.flatMap({ try JobRow.find($0, db) })?.job
            {
                if !row.candidate { found[job.id] = try check(job, row, now: now, db) }
                next =
                    [.import, .create].contains(job.kind)
                    ? nil : try predecessor(row, job: job.id, db)
            }
        }
        return found.values.sorted { $0.request.job < $1.request.job }
    }

    private static func predecessor(_ row: VersionRow, job: JobID, _ db: Database) throws -> VersionRow? {
        let origin = try Row.fetchOne(
            db, sql: "SELECT origin FROM head_move WHERE model = ? AND target = ? AND why = ? ORDER BY id",
            arguments: [row.model.text, row.number.number, VersionCommitter.why(job)])
        guard let number = origin?.version("origin") ?? row.parent else { return nil }
        return try VersionRow.find(row.model, number, db)
    }

    /// What a job that made a version asked to forget; `nil` for jobs that asked nothing of the kind.
    private static func check(_ job: Job, _ row: VersionRow, now: Timestamp, _ db: Database) throws
        -> EarlierCheck?
    {
        guard job.kind.unlearns, let forget = job.spec.forget, let finished = job.finished else { return nil }
        let lease = job.spec.reviewLease ?? 0
        let ends = Timestamp(milliseconds: finished.milliseconds + Int64(lease * 1000))
        var reason: String?
        if try StoredDataset.find(forget, db) == nil {
            reason = "the forget set was purged"
        } else if lease == 0 {
            reason = "the request has no review lease"
        } else if ends < now {
            reason = "the review lease ended on \(ends)"
        }
        let request = EarlierRequest(
            job: job.id, version: VersionReference(model: row.model, version: row.number), request: job.note,
            forget: forget, leaseEnds: ends, report: job.evaluation, reason: reason)
        return EarlierCheck(request: request, parameters: reason == nil ? job.spec.parameters : nil)
    }
}
