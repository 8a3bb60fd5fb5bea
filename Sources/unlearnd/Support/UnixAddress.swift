// SPDX-License-Identifier: Apache-2.0

import Glibc
import Protocol

/// `sockaddr_un` from a path; a leading `@` means the abstract namespace.
struct UnixAddress {
    private var address = sockaddr_un()
    private var length: socklen_t

    /// `nil` for an empty path and for one that does not fit.
    init?(_ path: String) {
        let bytes = Array(path.utf8)
        guard !bytes.isEmpty, bytes.count <= StandardPaths.longestSocketPath, !bytes.contains(0) else {
            return nil
        }
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let isAbstract = bytes[0] == UInt8(ascii: "@")
        if isAbstract { withUnsafeMutableBytes(of: &address.sun_path) { $0[0] = 0 } }
        // An abstract name has no terminator: its length says where it ends.
        let offset = MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? 2
        length = socklen_t(offset + bytes.count + (isAbstract ? 0 : 1))
    }

    /// Calls `body` with the address in the form that the system calls want.
    func withPointer<T>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> T) -> T {
        withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
        }
    }
}
