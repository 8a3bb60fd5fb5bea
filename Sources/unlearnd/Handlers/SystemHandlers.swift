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
        on(.systemSchema) { [self] (_: NoParams, _) async throws(RPCError) in schema }
    }

    /// The methods with their roles and the names of their types.
    private var schema: ProtocolSchema {
        ProtocolSchema(
            methods: Method.allCases.map { method in
                // Those that a connection answers itself have no route.
                let (params, result) =
                    switch method {
                    case .sessionHello: ("SessionHelloParams", "SessionHelloResult")
                    case .systemPing: ("NoParams", "PingResult")
                    case .systemSchema: ("NoParams", "ProtocolSchema")
                    case .eventsSubscribe: ("SubscribeParams", "SubscribeResult")
                    default: (routes[method]?.params ?? "", routes[method]?.result ?? "")
                    }
                return ProtocolSchema.Entry(
                    method: method, role: method.role, mutates: method.mutates, params: params, result: result
                )
            },
            errors: RPCError.Kind.allCases.map {
                ProtocolSchema.Fault(kind: $0, code: $0.code, retryable: $0.isRetryable)
            })
    }
}

/// The result of `system.schema`.
struct ProtocolSchema: Encodable, Sendable {
    /// One method.
    struct Entry: Encodable, Sendable {
        var method: Method
        /// The least role that may call it.
        var role: Role
        /// Whether it changes anything.
        var mutates: Bool
        /// The names of the types, as `docs/protocol.md` describes them.
        var params: String
        var result: String
    }
    /// One kind of error.
    struct Fault: Encodable, Sendable {
        var kind: RPCError.Kind
        var code: Int
        var retryable: Bool
    }
    var `protocol` = ProtocolLimits.version
    var methods: [Entry]
    var errors: [Fault]
}
