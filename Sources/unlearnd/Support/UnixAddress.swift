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

    /// The path that a socket is bound to; `nil` for one without, and for a name in the abstract namespace.
    static func path(of descriptor: Int32) -> String? {
        var address = sockaddr_un()
        var length = socklen_t(MemoryLayout<sockaddr_un>.size)
        let failed = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
        }
        guard failed == 0, address.sun_family == sa_family_t(AF_UNIX) else { return nil }
        let offset = MemoryLayout<sockaddr_un>.offset(of: \.sun_path) ?? 2
        return withUnsafeBytes(of: &address.sun_path) { bytes in
            let name = bytes[..<max(0, min(bytes.count, Int(length) - offset))].prefix { $0 != 0 }
            return name.isEmpty ? nil : String(validating: name, as: UTF8.self)
        }
    }

    /// Calls `body` with the address in the form that the system calls want.
    func withPointer<T>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> T) -> T {
        withUnsafePointer(to: address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, length) }
        }
    }
}
