// SPDX-License-Identifier: Apache-2.0

import Protocol

extension Router {
    /// `transfer.*`.
    mutating func addTransferHandlers(_ transfers: TransferTable, _ identity: DaemonIdentity) {
        on(.transferOpen) { (params: TransferOpenParams, session) async throws(RPCError) in
            let (transfer, token) = try transfers.open(params, uid: session.peer.uid)
            return TransferOpenResult(transfer: transfer, token: token, socket: identity.descriptorSocket)
        }
    }
}
