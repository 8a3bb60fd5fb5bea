// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Who is at the other end of a connection, as the kernel says.
package struct Peer: Hashable, Sendable {
    package var uid: UInt32
    package var gid: UInt32
    /// 0 when unknown.
    package var pid: Int32
    /// What the peer may do.
    package var role: Role

    /// A peer from its credentials.
    package init(uid: UInt32, gid: UInt32, pid: Int32, role: Role) {
        self.uid = uid
        self.gid = gid
        self.pid = pid
        self.role = role
    }

    /// The user's number as the audit log writes it.
    var actor: Int { Int(uid) }
}
