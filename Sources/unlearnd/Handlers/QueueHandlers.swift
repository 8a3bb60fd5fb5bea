// SPDX-License-Identifier: Apache-2.0

import Protocol

extension Router {
    /// `queue.*`.
    mutating func addQueueHandlers(_ control: ControlPlane) {
        on(.queueStatus) { (_: NoParams, _) async throws(RPCError) in try await control.queueStatus() }
        on(.queuePause) { (_: NoParams, session) async throws(RPCError) in
            try await control.setPaused(true, peer: session.peer)
        }
        on(.queueResume) { (_: NoParams, session) async throws(RPCError) in
            try await control.setPaused(false, peer: session.peer)
        }
    }
}
