// SPDX-License-Identifier: Apache-2.0

import Protocol

extension Router {
    /// `audit.*`.
    mutating func addAuditHandlers(_ control: ControlPlane) {
        on(.auditLog) { (params: AuditLogParams, _) async throws(RPCError) in
            try await control.auditLog(params)
        }
        on(.auditKey) { (_: NoParams, _) async throws(RPCError) in try await control.auditKey() }
        on(.auditCertificate) { (params: CertificateParams, session) async throws(RPCError) in
            try await control.certificate(params, peer: session.peer)
        }
        on(.auditVerify) { (_: NoParams, _) async throws(RPCError) in try await control.auditVerify() }
    }
}
