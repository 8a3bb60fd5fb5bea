// SPDX-License-Identifier: Apache-2.0

/// What the server says first, unasked, as the parameters of the notification `hello`.
package struct Hello: Codable, Hashable, Sendable {
    /// The versions of the protocol that the server speaks.
    package struct Versions: Codable, Hashable, Sendable {
        package var min = ProtocolLimits.version
        package var max = ProtocolLimits.version
        package init() {}
    }
    /// A program's name and version.
    package struct Program: Codable, Hashable, Sendable {
        package var name: String
        package var version: String
        package init(name: String, version: String) {
            self.name = name
            self.version = version
        }
    }

    package var `protocol` = Versions()
    package var server: Program
    /// New at each start: subscriptions and transfers of another instance are gone.
    package var instance: String
    package var capabilities: [String]
    package var limits = ProtocolLimits()
    /// Path of the descriptor socket (`SOCK_SEQPACKET`).
    package var fdSocket: String

    /// A greeting.
    package init(server: Program, instance: String, capabilities: [String], fdSocket: String) {
        self.server = server
        self.instance = instance
        self.capabilities = capabilities
        self.fdSocket = fdSocket
    }

    enum CodingKeys: String, CodingKey {
        case `protocol`, server, instance, capabilities, limits
        case fdSocket = "fd_socket"
    }
}

/// `session.hello`: the client's answer to the greeting.
package struct SessionHelloParams: Codable, Hashable, Sendable {
    package var `protocol`: Int
    package var client: Hello.Program

    /// An answer.
    package init(protocol version: Int = ProtocolLimits.version, client: Hello.Program) {
        self.protocol = version
        self.client = client
    }
}

/// What a session may do.
package enum Role: String, Codable, Sendable, CaseIterable, Comparable {
    case viewer, operator_ = "operator", admin

    private var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }
    package static func < (left: Role, right: Role) -> Bool { left.rank < right.rank }
}

/// The result of `session.hello`.
package struct SessionHelloResult: Codable, Hashable, Sendable {
    package var `protocol`: Int
    package var role: Role
    package var uid: Int
    package var session: Int

    /// A session's terms.
    package init(protocol version: Int, role: Role, uid: Int, session: Int) {
        self.protocol = version
        self.role = role
        self.uid = uid
        self.session = session
    }
}
