// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A Unix socket at a path, closed with it. One of connections listens.
package final class BoundSocket {
    /// Open, and not passed on by itself.
    package let descriptor: Int32

    /// Binds.
    /// - Parameter type: `SOCK_STREAM`, `SOCK_SEQPACKET` or `SOCK_DGRAM`.
    package init(_ path: String, type: __socket_type = SOCK_STREAM) throws {
        descriptor = socket(AF_UNIX, Int32(type.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let bound = withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard bound == 0, type == SOCK_DGRAM || listen(descriptor, 16) == 0 else {
            throw TestFailure("cannot listen at \(path)")
        }
    }

    deinit { close(descriptor) }
}
