// SPDX-License-Identifier: Apache-2.0

import Protocol

extension Router {
    /// `store.*`.
    mutating func addStoreHandlers(_ control: ControlPlane) {
        on(.storeStatus) { (_: NoParams, _) async throws(RPCError) in try await control.storeStatus() }
        on(.storeGC) { (params: StoreGCParams, session) async throws(RPCError) in
            try await control.gc(dryRun: params.dryRun ?? false, peer: session.peer)
        }
        on(.storeBackup) { (params: StoreBackupParams, session) async throws(RPCError) in
            try await control.backup(params, peer: session.peer)
        }
        on(.storeBackups) { (params: StoreBackupsParams, _) async throws(RPCError) in
            try await control.backups(params)
        }
        on(.storeRestore) { (params: StoreRestoreParams, session) async throws(RPCError) in
            try await control.restore(params, peer: session.peer)
        }
        on(.storeOptimize) { (params: StoreOptimizeParams, session) async throws(RPCError) in
            try await control.optimize(params, peer: session.peer)
        }
    }
}
