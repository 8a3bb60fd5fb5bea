// SPDX-License-Identifier: Apache-2.0

import Protocol

extension Router {
    /// `system.*` but for the ping, which a connection answers itself.
    mutating func addSystemHandlers(_ control: ControlPlane, _ identity: DaemonIdentity) {
        on(.systemInfo) { (_: NoParams, _) async throws(RPCError) in
            SystemInfo(
                version: Software.version, instance: identity.instance, pid: identity.pid,
                started: identity.started,
                socket: identity.socket, stateDirectory: identity.stateDirectory, threads: control.threads,
                memoryTotal: control.memoryTotal, memoryLimit: control.memoryLimit,
                recovered: control.recovered)
        }
        on(.systemCard) { (_: NoParams, _) async throws(RPCError) in await control.card() }
        describe(.sessionHello, SessionHelloParams.self, SessionHelloResult.self)
        describe(.systemPing, NoParams.self, PingResult.self)
        describe(.eventsSubscribe, SubscribeParams.self, SubscribeResult.self)
        describe(.systemSchema, SystemSchemaParams.self, JSONValue.self)
        let schema = self.schema
        on(.systemSchema) { (params: SystemSchemaParams, _) async throws(RPCError) in
            try Self.document(schema, of: params.method)
        }
    }

    private static func document(_ schema: ProtocolSchema, of method: Method?) throws(RPCError) -> JSONValue {
        do { return try schema.document(of: method) } catch {
            throw RPCError(.internal, "the schema cannot be made: \(error)")
        }
    }
}
