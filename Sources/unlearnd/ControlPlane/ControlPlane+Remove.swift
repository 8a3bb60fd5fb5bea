// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

extension ControlPlane {
    /// `model.remove`: takes a model and all its versions out of use; their rows, jobs and certificates stay readable.
    ///
    /// Their bytes become garbage, no more than that: only a purge says what was destroyed, and keeps it from coming back.
    /// - Throws: `not_found`, `gone` for a model that was removed, `invalid_params` without a reason, `conflict` as long as
    ///   versions are held, targets follow the model, or unfinished jobs use it.
    package func remove(_ params: RemoveModelParams, peer: Peer) async throws(RPCError) -> RemoveModelResult {
        guard !params.reason.allSatisfy(\.isWhitespace), params.reason.utf8.count <= 4096 else {
            throw RPCError(
                .invalidParams, "a removal needs a reason of at most 4096 bytes", hint: "give --reason TEXT",
                field: "reason")
        }
        return try await answering {
            // On a full disk it is what makes room.
            defer { reserve.take() }
            return try await reserve.spending {
                try await database.change { change in
                    let plan = try RemovalPlan(params.model, now: change.now, change.db)
                    if let first = plan.obstacles.first {
                        let rest = plan.obstacles.count - 1
                        throw RPCError(
                            .conflict, first.message + (rest > 0 ? "; and \(rest) more in the way" : ""),
                            hint: first.hint)
                    }
                    return try plan.record(reason: params.reason, actor: peer.actor, in: change)
                }
            }
        }
    }
}
