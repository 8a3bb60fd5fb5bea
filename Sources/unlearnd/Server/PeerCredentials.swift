// SPDX-License-Identifier: Apache-2.0

import CLinux

/// What the kernel says about the other end of a Unix socket.
struct PeerCredentials: Sendable {
    var pid: Int32 = 0
    var uid: UInt32 = 0
    var gid: UInt32 = 0
    /// All groups, the primary one among them.
    var groups: Set<UInt32> = []

    /// The peer of a connected socket; `nil` when the kernel does not say.
    init?(of socket: Int32) {
        guard cl_peer_credentials(socket, &pid, &uid, &gid) == 0 else { return nil }
        var list = [UInt32](repeating: 0, count: 1024)
        let count = cl_peer_groups(socket, &list, Int32(list.count))
        groups = Set(list.prefix(max(0, Int(count)))).union([gid])
    }

    /// The peer as the control plane knows it; `nil` for a user who is not served.
    func peer(by rules: RoleRules) -> Peer? {
        rules.role(uid: uid, groups: groups).map { Peer(uid: uid, gid: gid, pid: pid, role: $0) }
    }
}
