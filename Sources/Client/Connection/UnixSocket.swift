// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import Protocol

/// A connected Unix socket whose every operation has an end.
package final class UnixSocket {
    package let descriptor: Descriptor

    /// How a connection can fail.
    package enum Failure: Error {
        case pathTooLong(Int)
        case cannotConnect(SystemFailure)
        case timedOut
        case closed
        case broken(SystemFailure)
    }

    /// Connects to `path`.
    /// - Parameter type: `SOCK_STREAM` or `SOCK_SEQPACKET`.
    package init(path: String, type: __socket_type, deadline: Deadline) throws(Failure) {
        guard path.utf8.count <= StandardPaths.longestSocketPath else { throw .pathTooLong(path.utf8.count) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let flags = Int32(SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
        let number = socket(AF_UNIX, Int32(type.rawValue) | flags, 0)
        guard number >= 0 else { throw .cannotConnect(SystemFailure()) }
        descriptor = Descriptor(number)
        while true {
            let result = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    connect(number, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
            if result == 0 { return }
            let failure = SystemFailure()
            // A Unix socket whose backlog is full answers EAGAIN at once instead of waiting.
            guard failure.number == EAGAIN || failure.number == EINTR else { throw .cannotConnect(failure) }
            if deadline.isOver { throw .timedOut }
            usleep(20_000)
        }
    }

    /// Waits until bytes can be read or `deadline` is over.
    /// - Returns: Whether they can.
    package func waitReadable(_ deadline: Deadline?) throws(Failure) -> Bool { try wait(POLLIN, deadline) }

    /// Sends all of `bytes`, with `attachment` going along with the first.
    package func send(_ bytes: [UInt8], attachment: Descriptor? = nil, deadline: Deadline?) throws(Failure) {
        var rest = bytes[...]
        var attachments = attachment.map { [$0.number] } ?? []
        while !rest.isEmpty {
            let sent = rest.withUnsafeBytes {
                cl_send(descriptor.number, $0.baseAddress, $0.count, attachments, Int32(attachments.count))
            }
            if sent > 0 {
                rest = rest.dropFirst(sent)
                attachments = []
            } else if sent == -Int(EAGAIN) {
                guard try wait(POLLOUT, deadline) else { throw .timedOut }
            } else if sent == -Int(EPIPE) || sent == -Int(ECONNRESET) {
                throw .closed
            } else if sent != -Int(EINTR) {
                throw .broken(SystemFailure(number: Int32(-sent)))
            }
        }
    }

    /// Whatever can be read now, at most 64 KiB; empty when nothing can.
    package func receive() throws(Failure) -> [UInt8] {
        var failure: Failure?
        let bytes = [UInt8](unsafeUninitializedCapacity: 1 << 16) { buffer, count in
            let received = recv(descriptor.number, buffer.baseAddress, buffer.count, 0)
            if received > 0 {
                count = received
            } else if received == 0 || errno == ECONNRESET {
                failure = .closed
            } else if errno != EAGAIN && errno != EINTR {
                failure = .broken(SystemFailure())
            }
        }
        if let failure { throw failure }
        return bytes
    }

    private func wait(_ events: Int32, _ deadline: Deadline?) throws(Failure) -> Bool {
        while true {
            var entry = pollfd(fd: descriptor.number, events: Int16(events), revents: 0)
            let milliseconds = deadline.map { Int32(min(($0.remaining * 1000).rounded(.up), 1e9)) } ?? -1
            let result = poll(&entry, 1, milliseconds)
            if result > 0 { return true }
            if result < 0, errno != EINTR { throw .broken(SystemFailure()) }
            if result == 0, deadline?.isOver == true { return false }
        }
    }
}
