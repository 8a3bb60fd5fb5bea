// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The service manager's end of `NOTIFY_SOCKET`.
package final class NotifySocket {
    private let socket: BoundSocket

    /// Listens at a path.
    package init(_ path: String) throws { socket = try BoundSocket(path, type: SOCK_DGRAM) }

    /// The next message; `nil` if none comes in time.
    package func next(seconds: Int32 = 20) -> String? {
        var watched = pollfd(fd: socket.descriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&watched, 1, seconds * 1000) == 1 else { return nil }
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = recv(socket.descriptor, &buffer, buffer.count, 0)
        return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : nil
    }
}
