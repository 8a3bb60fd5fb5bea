// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The numbers of the system's users and groups.
enum SystemAccounts {
    /// The number of a user; `nil` when there is none of that name.
    static func user(_ name: String) -> UInt32? {
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var buffer = [CChar](repeating: 0, count: 64 << 10)
        return getpwnam_r(name, &entry, &buffer, buffer.count, &found) == 0 && found != nil
            ? entry.pw_uid : nil
    }

    /// The number of a group; `nil` when there is none of that name.
    static func group(_ name: String) -> UInt32? {
        var entry = Glibc.group()
        var found: UnsafeMutablePointer<Glibc.group>?
        var buffer = [CChar](repeating: 0, count: 64 << 10)
        return getgrnam_r(name, &entry, &buffer, buffer.count, &found) == 0 && found != nil
            ? entry.gr_gid : nil
    }
}
