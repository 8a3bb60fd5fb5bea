// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The sockets that systemd holds for the daemon, given at its start (sd_listen_fds(3)): clients that connect while it
/// starts again wait instead of being refused.
struct InheritedSockets {
    /// The control socket.
    let control: ListeningSocket
    /// The one that takes descriptors.
    let descriptors: ListeningSocket

    /// The first descriptor that systemd gives.
    private static let first: Int32 = 3

    /// `nil` where none were given, or to another process.
    ///
    /// - Throws: ``ListeningSocket/Fault`` unless they are exactly one listening stream socket and one listening
    ///   sequential-packet socket, both with paths. Which is which their kind says, not their order.
    init?(environment: [String: String]) throws(ListeningSocket.Fault) {
        guard environment["LISTEN_PID"] == "\(getpid())", let text = environment["LISTEN_FDS"] else {
            return nil
        }
        guard let count = Int32(text), count == 2 else {
            throw Self.fault("systemd gave \(text) sockets instead of 2")
        }
        var control: ListeningSocket?
        var descriptors: ListeningSocket?
        for descriptor in Self.first..<Self.first + count {
            switch Self.option(SO_TYPE, of: descriptor) {
            case Int32(SOCK_STREAM.rawValue) where control == nil:
                control = try Self.adopt(descriptor)
            case Int32(SOCK_SEQPACKET.rawValue) where descriptors == nil:
                descriptors = try Self.adopt(descriptor)
            default:
                throw Self.fault("descriptor \(descriptor) that systemd gave is not a socket that is wanted")
            }
        }
        guard let control, let descriptors else { throw Self.fault("systemd gave two sockets of one kind") }
        (self.control, self.descriptors) = (control, descriptors)
    }

    private static func adopt(_ descriptor: Int32) throws(ListeningSocket.Fault) -> ListeningSocket {
        guard option(SO_DOMAIN, of: descriptor) == AF_UNIX, option(SO_ACCEPTCONN, of: descriptor) == 1,
            let path = UnixAddress.path(of: descriptor)
        else {
            throw fault("descriptor \(descriptor) that systemd gave is no Unix socket that listens at a path")
        }
        guard fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0, fcntl(descriptor, F_SETFL, O_NONBLOCK) == 0 else {
            throw fault("descriptor \(descriptor) cannot be used: \(String(cString: strerror(errno)))")
        }
        return ListeningSocket(inherited: descriptor, path: path)
    }

    private static func option(_ option: Int32, of descriptor: Int32) -> Int32? {
        var value: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        return getsockopt(descriptor, SOL_SOCKET, option, &value, &size) == 0 ? value : nil
    }

    private static func fault(_ message: String) -> ListeningSocket.Fault {
        ListeningSocket.Fault(
            message: message,
            hint: "unlearnd.socket needs one ListenStream= and one ListenSequentialPacket=, each with a path")
    }
}
