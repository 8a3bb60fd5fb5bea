// SPDX-License-Identifier: Apache-2.0

import Glibc
import Protocol

/// Who may do what, by the credentials that the kernel vouches for.
///
/// A daemon that a user started serves that user and root. A system service serves everybody whom the socket's
/// mode lets in: root and its own user as administrators, whom the configuration names with the role that it gives,
/// other members of the group `unlearn` as operators, others as viewers. What names a user comes before what names a
/// group, so that one member of a group can be less than the rest; of two groups' roles a user has the higher.
package struct RoleRules: Sendable {
    /// The group whom the socket of a system service lets in.
    package static let operators = "unlearn"

    /// The user of the dashboard: the socket lets it in with the group, and it only reads.
    static let dashboard = "unlearnd-web"

    /// The user that the daemon runs as.
    package var owner: UInt32
    /// Whether the daemon is a system service.
    package var isService: Bool
    /// The number of ``operators``; `nil` when there is no such group.
    package var operatorGroup: UInt32?
    /// Roles by the number of the user.
    package var users: [UInt32: Role]
    /// Roles by the number of the group.
    package var groups: [UInt32: Role]

    /// Rules from their parts.
    package init(
        owner: UInt32, isService: Bool, operatorGroup: UInt32?, users: [UInt32: Role] = [:],
        groups: [UInt32: Role] = [:]
    ) {
        self.owner = owner
        self.isService = isService
        self.operatorGroup = operatorGroup
        self.users = users
        self.groups = groups
    }

    /// The rules for this process.
    /// - Throws: ``DaemonConfiguration/Fault`` for a user or group that the system does not know, or that is given two
    ///   roles, and for roles where only one user is served.
    static func current(environment: [String: String], grants: RoleGrants) throws -> RoleRules {
        let isService =
            geteuid() == 0 || environment["INVOCATION_ID"] != nil && environment["STATE_DIRECTORY"] != nil
        guard isService || grants.isEmpty else {
            throw DaemonConfiguration.Fault(
                message:
                    "roles of users and groups belong to a system service; this daemon serves its own user alone",
                hint: "remove \(grants.keys.joined(separator: ", "))")
        }
        var users = try grants.users(by: SystemAccounts.user)
        if let dashboard = SystemAccounts.user(dashboard), users[dashboard] == nil {
            users[dashboard] = .viewer
        }
        return RoleRules(
            owner: geteuid(), isService: isService, operatorGroup: SystemAccounts.group(operators),
            users: users,
            groups: try grants.groups(by: SystemAccounts.group))
    }

    /// The role of a user; `nil`: is not served at all.
    /// - Parameter groups: The peer's groups, the primary one among them.
    package func role(uid: UInt32, groups: Set<UInt32>) -> Role? {
        if uid == 0 || uid == owner { return .admin }
        guard isService else { return nil }
        if let own = users[uid] { return own }
        if let highest = groups.compactMap({ self.groups[$0] }).max() { return highest }
        return operatorGroup.map(groups.contains) == true ? .operator_ : .viewer
    }
}
