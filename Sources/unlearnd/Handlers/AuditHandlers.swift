// SPDX-License-Identifier: Apache-2.0

import Protocol

extension Router {
    /// `audit.*`.
    mutating func addAuditHandlers(_ control: ControlPlane) {
        on(.auditLog) { (params: AuditLogParams, _) async throws(RPCError) in
            try await control.auditLog(params)
        }
        on(.auditVerify) { (_: NoParams, _) async throws(RPCError) in try await control.auditVerify() }
    }
}
