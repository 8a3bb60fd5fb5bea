// SPDX-License-Identifier: Apache-2.0

import Protocol

/// The roles that the configuration gives, by the names of users and groups.
package struct RoleGrants: Sendable {
    /// Who gets a role: the key that says so, and the names behind it.
    package struct Grant: Sendable {
        package var key: String
        package var role: Role
        package var names: [String]

        package init(key: String, role: Role, names: [String]) {
            self.key = key
            self.role = role
            self.names = names
        }
    }

    package var users: [Grant]
    package var groups: [Grant]

    /// Roles from their parts; a grant without names says nothing.
    package init(users: [Grant] = [], groups: [Grant] = []) {
        self.users = users.filter { !$0.names.isEmpty }
        self.groups = groups.filter { !$0.names.isEmpty }
    }

    package var isEmpty: Bool { users.isEmpty && groups.isEmpty }
    /// The keys that give them.
    package var keys: [String] { (users + groups).map(\.key) }

    /// The names behind a key; none where it gives no role.
    func names(of key: String) -> [String] { (users + groups).first { $0.key == key }?.names ?? [] }

    /// The users' roles by number.
    /// - Throws: ``DaemonConfiguration/Fault``.
    package func users(by number: (String) -> UInt32?) throws -> [UInt32: Role] {
        try Self.resolve(users, "user", number)
    }

    /// The groups' roles by number.
    /// - Throws: ``DaemonConfiguration/Fault``.
    package func groups(by number: (String) -> UInt32?) throws -> [UInt32: Role] {
        try Self.resolve(groups, "group", number)
    }

    private static func resolve(
        _ grants: [Grant], _ kind: String, _ number: (String) -> UInt32?
    ) throws -> [UInt32: Role] {
        var roles: [UInt32: Role] = [:]
        for grant in grants {
            for name in grant.names {
                // A name that nobody has would be a role that nobody has, and no one would notice.
                guard let found = number(name) else {
                    throw DaemonConfiguration.Fault(
                        message: "\(grant.key): there is no \(kind) \"\(name)\" on this system",
                        hint: "create it or correct the name")
                }
                if let other = roles[found], other != grant.role {
                    throw DaemonConfiguration.Fault(
                        message:
                            "\(grant.key): the \(kind) \"\(name)\" is given the role \(other.rawValue) too",
                        hint: "name each \(kind) once")
                }
                if kind == "user", found == 0 {
                    throw DaemonConfiguration.Fault(
                        message: "\(grant.key): root is always an administrator", hint: "remove it")
                }
                roles[found] = grant.role
            }
        }
        return roles
    }
}
