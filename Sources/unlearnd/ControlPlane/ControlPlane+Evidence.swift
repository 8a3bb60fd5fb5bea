// SPDX-License-Identifier: Apache-2.0

import Protocol

extension ControlPlane {
    /// `job.evidence`: the list of a job's pieces, or one piece with its content. Whoever may only look gets no texts.
    ///
    /// - Throws: `not_found` for a job, or a piece, that is not there.
    package func evidence(_ params: JobEvidenceParams, peer: Peer) async throws(RPCError) -> JobEvidenceResult
    {
        try await answering {
            try await database.read { db in
                _ = try JobRow.require(params.job, db)
                guard let name = params.name else {
                    return JobEvidenceResult(
                        job: params.job, pieces: try EvidenceRow.list(of: params.job, db))
                }
                guard var piece = try EvidenceRow.find(name, of: params.job, db) else {
                    let there = try EvidenceRow.list(of: params.job, db).map(\.name.rawValue)
                    throw RPCError(
                        .notFound, "job \(params.job) has no evidence \(name.rawValue.debugDescription)",
                        hint: there.isEmpty ? "it has none" : "it has \(there.joined(separator: ", "))",
                        field: "name")
                }
                if peer.role == .viewer, piece.texts != nil {
                    piece.texts = nil
                    piece.withheld = true
                }
                return JobEvidenceResult(job: params.job, pieces: [piece])
            }
        }
    }
}
