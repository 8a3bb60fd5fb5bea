// SPDX-License-Identifier: Apache-2.0

import Glibc
import Protocol

/// Who may do what, by the credentials that the kernel vouches for.
///
/// A daemon that a user started serves that user and root. A system service serves everybody whom the socket's
/// mode lets in: root and its own user as administrators, members of the group `unlearn` as operators, others
/// as viewers.
package struct RoleRules: Sendable {
    /// The group whose members are operators of a system service.
    package static let operators = "unlearn"

    /// The user that the daemon runs as.
    package var owner: UInt32
    /// Whether the daemon is a system service.
    package var isService: Bool
    /// The number of ``operators``; `nil` when there is no such group.
    package var operatorGroup: UInt32?

    /// Rules from their parts.
    package init(owner: UInt32, isService: Bool, operatorGroup: UInt32?) {
        self.owner = owner
        self.isService = isService
        self.operatorGroup = operatorGroup
    }

    /// The rules for this process.
    static func current(environment: [String: String]) -> RoleRules {
        RoleRules(
            owner: geteuid(),
            isService: geteuid() == 0
                || environment["INVOCATION_ID"] != nil && environment["STATE_DIRECTORY"] != nil,
            operatorGroup: groupNumber(operators))
    }

    /// The role of a user; `nil`: is not served at all.
    /// - Parameter groups: The peer's groups, the primary one among them.
    package func role(uid: UInt32, groups: Set<UInt32>) -> Role? {
        if uid == 0 || uid == owner { return .admin }
        guard isService else { return nil }
        return operatorGroup.map(groups.contains) == true ? .operator_ : .viewer
    }

    private static func groupNumber(_ name: String) -> UInt32? {
        var entry = group()
        var found: UnsafeMutablePointer<group>?
        var buffer = [CChar](repeating: 0, count: 64 << 10)
        return getgrnam_r(name, &entry, &buffer, buffer.count, &found) == 0 && found != nil
            ? entry.gr_gid : nil
    }
}
