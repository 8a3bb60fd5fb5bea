// SPDX-License-Identifier: Apache-2.0

import Protocol

extension ControlPlane {
    /// `events.subscribe`: the past from `since`, then whatever happens, without gap or repetition.
    ///
    /// - Throws: `gone` when `since` lies before the oldest event kept, `invalid_params` when it lies ahead,
    ///   `not_found` for a job of the snapshot that is not there.
    package func subscribe(_ params: SubscribeParams) async throws(RPCError) -> EventSubscription {
        try await answering { [hub, database] in
            try await database.betweenChanges { db in
                let (oldest, next) = try EventRow.bounds(db)
                let since = params.since ?? next
                guard since >= min(oldest, next) || since >= 0 && oldest == 1 else {
                    throw RPCError(
                        .gone, "events before \(oldest) are no longer kept",
                        hint: "list the jobs and subscribe anew",
                        field: "since")
                }
                guard since <= next else {
                    throw RPCError(
                        .invalidParams, "the next event is \(next), not yet \(since)", field: "since")
                }
                var snapshot: [Job]?
                if params.snapshot == true {
                    snapshot = try (params.jobs ?? []).map { try JobRow.require($0, db).job }
                }
                return EventSubscription(reading: database, hub: hub, params, snapshot: snapshot)
            }
        }
    }

    /// `audit.log`: the newest rows, oldest first.
    package func auditLog(_ params: AuditLogParams) async throws(RPCError) -> [AuditRow] {
        let limit = max(1, min(params.limit ?? 100, 2000))
        return try await answering {
            try await database.read { try AuditTrail.rows(since: params.since, limit: limit, $0) }
        }
    }

    /// `audit.verify`: recomputes the whole chain.
    package func auditVerify() async throws(RPCError) -> AuditVerifyResult {
        try await answering { try await database.read { try AuditTrail.verify($0) } }
    }
}
