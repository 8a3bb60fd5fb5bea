// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

/// A version that still knows what accepted jobs were to forget, and that somebody may use all the same.
struct RestrictedUse: Sendable {
    var version: VersionReference
    /// The jobs whose rows it knows.
    var jobs: [JobID]

    /// Writes down that it is used, with what is done with it. The reason stands with the job or the head's move: it is
    /// people's free text, and the audit chain cannot be cleaned.
    func record(_ use: String, job: JobID?, _ peer: Peer, in change: Change) throws {
        try change.audit(
            "version.restricted", actor: peer.actor,
            [
                "version": .string(version.description), "use": .string(use),
                "job": job.map { .integer(Int64($0)) } ?? .null,
                "knows": .array(jobs.map { .integer(Int64($0)) }),
            ])
    }
}

extension ControlPlane {
    /// Whether a job reads a restricted version: exports and generations do.
    /// - Throws: `permission_denied`, `invalid_params` without a reason.
    func restriction(of spec: JobSpec, _ peer: Peer) async throws -> RestrictedUse? {
        guard configuration.restrictsKnowingVersions, spec.kind == .export || spec.kind == .generate,
            let model = spec.model
        else { return nil }
        return try await restriction(
            of: model, spec.kind.rawValue, reason: spec.parameters?.reason, field: "spec.parameters.reason",
            peer)
    }

    /// Whether a version may only be used by an administrator who says why, and whether this peer does.
    ///
    /// A model's head is never restricted: whoever made it the head has answered for it.
    /// - Throws: `permission_denied`, `invalid_params` without a reason; `not_found`, `gone`.
    func restriction(
        of reference: VersionReference, _ use: String, reason: String?, field: String, _ peer: Peer
    ) async throws -> RestrictedUse? {
        guard configuration.restrictsKnowingVersions else { return nil }
        let (row, isHead, jobs, datasets) = try await database.read { db in
            let row = try VersionRow.resolve(reference, db)
            return (
                row, try ModelRow.find(row.model, db)?.head == row.number, try Self.acceptedUnlearning(db),
                Set(try StoredDataset.all(db).map(\.id))
            )
        }
        guard !isHead, !jobs.isEmpty else { return nil }
        let shares = try await offloading { [sharedRows] in
            try jobs.reduce(into: [JobID: [Digest: SharedRows.Share]]()) { found, job in
                guard let forget = job.spec.forget else { return }
                found[job.id] = try sharedRows.shares(of: forget, in: datasets)
            }
        }
        let knows = try await database.read { db in
            let versions = try KnowingVersions(db)
            return jobs.filter { job in
                versions.knowing(job, shares[job.id] ?? [:]).contains { $0.row.reference == row.reference }
            }.map(\.id)
        }
        guard !knows.isEmpty else { return nil }
        let names = knows.map(String.init).joined(separator: ", ")
        let what =
            "\(row.reference) still knows what \(knows.count == 1 ? "job" : "jobs") \(names) made the model forget"
        guard peer.role == .admin else {
            throw RPCError(
                .permissionDenied, "\(what); \(use) is for administrators",
                hint: "use the head, or ask an administrator")
        }
        guard let reason, !reason.allSatisfy(\.isWhitespace), reason.utf8.count <= 4096 else {
            throw RPCError(
                .invalidParams, "\(what); \(use) needs a reason of at most 4096 bytes",
                hint: "give --reason TEXT",
                field: field)
        }
        return RestrictedUse(version: row.reference, jobs: knows)
    }

    /// The unlearning jobs with a forget set whose results were accepted: they became a head.
    private static func acceptedUnlearning(_ db: Database) throws -> [Job] {
        try JobID.fetchAll(
            db,
            sql: """
                SELECT j.id FROM job j JOIN version v ON v.job = j.id AND v.candidate = 0
                WHERE j.state = 'succeeded' AND json_extract(j.spec, '$.forget') IS NOT NULL ORDER BY j.id
                """
        ).compactMap { try JobRow.find($0, db)?.job }.filter(\.kind.unlearns)
    }
}
