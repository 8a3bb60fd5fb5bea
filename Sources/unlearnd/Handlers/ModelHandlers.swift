// SPDX-License-Identifier: Apache-2.0

import Protocol

extension Router {
    /// `model.*`.
    mutating func addModelHandlers(_ control: ControlPlane) {
        on(.modelList) { (params: ModelListParams, _) async throws(RPCError) in
            try await control.models(params)
        }
        on(.modelShow) { (params: ModelShowParams, _) async throws(RPCError) in
            try await control.model(params)
        }
        on(.modelHistory) { (params: ModelHistoryParams, _) async throws(RPCError) in
            try await control.history(params)
        }
        on(.modelFiles) { (params: ModelFilesParams, _) async throws(RPCError) in
            try await control.files(params)
        }
        on(.modelFilter) { (params: ModelFilterParams, session) async throws(RPCError) in
            try await control.filter(params, peer: session.peer)
        }
        on(.modelHold) { (params: HoldParams, session) async throws(RPCError) in
            try await control.hold(params, peer: session.peer)
        }
        on(.modelUnhold) { (params: VersionParams, session) async throws(RPCError) in
            try await control.unhold(params.version, peer: session.peer)
        }
        on(.modelTag) { (params: TagParams, session) async throws(RPCError) in
            try await control.tag(params, peer: session.peer)
        }
        on(.modelPurge) { (params: PurgeVersionParams, session) async throws(RPCError) in
            try await control.purge(params, peer: session.peer)
        }
        on(.modelRemove) { (params: RemoveModelParams, session) async throws(RPCError) in
            try await control.remove(params, peer: session.peer)
        }
        on(.modelPublish) { (params: PublishParams, session) async throws(RPCError) in
            try await control.publish(params, peer: session.peer)
        }
        on(.modelUnpublish) { (params: PublishParams, session) async throws(RPCError) in
            try await control.unpublish(params, peer: session.peer)
        }
        on(.modelRollback) { (params: RollbackParams, session) async throws(RPCError) in
            try await control.rollback(params, peer: session.peer)
        }
        on(.modelPromote) { (params: PromoteParams, session) async throws(RPCError) in
            try await control.promote(params, peer: session.peer)
        }
    }
}
