// SPDX-License-Identifier: Apache-2.0

import CLinux
import Foundation
import Glibc
import Logging
import Protocol
import ServiceLifecycle

/// Serves the descriptor socket on a thread of its own: one packet, one descriptor, one answer.
final class DescriptorServer: Service {
    /// Connections at the same time.
    private static let mostClients = 128
    /// Longest packet, bytes.
    private static let longestPacket = 4096

    private let socket: ListeningSocket
    private let rules: LiveRoles
    private let transfers: TransferTable
    private let refusals: RefusalLog
    private let logger: Logger
    /// Written to when the thread has to end.
    private let wake: (read: Int32, write: Int32)

    /// A client of the thread's loop.
    private struct Client {
        var descriptor: Int32
        var uid: UInt32
        /// An answer that did not fit yet; until it is gone nothing more is read.
        var answer: [UInt8]?
    }

    init(
        socket: ListeningSocket, rules: LiveRoles, transfers: TransferTable, refusals: RefusalLog,
        logger: Logger
    ) {
        self.refusals = refusals
        self.socket = socket
        self.rules = rules
        self.transfers = transfers
        self.logger = logger
        var ends: [Int32] = [-1, -1]
        if socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0, &ends) != 0 {
            logger.error("the descriptor socket cannot be stopped: no pair of sockets can be made")
        }
        wake = (ends[0], ends[1])
    }

    func run() async throws {
        let (stream, ended) = AsyncStream<Never>.makeStream()
        let thread = Thread { [self] in
            serve()
            ended.finish()
        }
        thread.name = "descriptors"
        thread.start()
        try? await gracefulShutdown()
        close(wake.write)
        for await _ in stream {}
        socket.remove()
    }

    private func serve() {
        var clients: [Client] = []
        while true {
            var watched = [
                pollfd(fd: wake.read, events: 0, revents: 0),
                // A full house lets newcomers wait in the kernel's queue.
                pollfd(
                    fd: socket.descriptor, events: clients.count < Self.mostClients ? Int16(POLLIN) : 0,
                    revents: 0),
            ]
            watched += clients.map {
                pollfd(fd: $0.descriptor, events: Int16($0.answer == nil ? POLLIN : POLLOUT), revents: 0)
            }
            let count = poll(&watched, nfds_t(watched.count), 30_000)
            transfers.expire()
            guard count >= 0 || errno == EINTR else { break }
            if watched[0].revents != 0 { break }
            for index in clients.indices.reversed() where watched[index + 2].revents != 0 {
                if !step(&clients[index]) { close(clients.remove(at: index).descriptor) }
            }
            if watched[1].revents != 0, let client = welcome() { clients.append(client) }
        }
        for client in clients { close(client.descriptor) }
        close(socket.descriptor)
        close(wake.read)
        transfers.closeAll()
    }

    private func welcome() -> Client? {
        let descriptor = cl_accept(socket.descriptor)
        guard descriptor >= 0 else {
            // Without a free descriptor the loop would spin on the waiting client.
            if descriptor == -EMFILE || descriptor == -ENFILE { usleep(50_000) }
            return nil
        }
        let credentials = PeerCredentials(of: descriptor)
        guard let peer = credentials?.peer(by: rules.current), peer.role >= Method.transferOpen.role else {
            refusals.refused(credentials?.uid, "descriptor", .permissionDenied)
            close(descriptor)
            return nil
        }
        return Client(descriptor: descriptor, uid: peer.uid)
    }

    /// Reads one packet or writes one answer; false when the client is done.
    private func step(_ client: inout Client) -> Bool {
        if client.answer == nil {
            var bytes = [UInt8](repeating: 0, count: Self.longestPacket)
            // Two, so that a packet with more than one is told from one that is right.
            var descriptors: [Int32] = [-1, -1]
            var (count, truncated): (Int32, Int32) = (0, 0)
            let length = cl_receive(
                client.descriptor, &bytes, bytes.count, &descriptors, 2, &count, &truncated)
            let received = descriptors.prefix(Int(count))
            guard length > 0 else {
                for descriptor in received { close(descriptor) }
                return length == -Int(EAGAIN)
            }
            client.answer = reply(to: Array(bytes.prefix(length)), received, truncated != 0, uid: client.uid)
        }
        guard let answer = client.answer else { return true }
        let sent = answer.withUnsafeBytes { cl_send(client.descriptor, $0.baseAddress, $0.count, nil, 0) }
        if sent == -Int(EAGAIN) { return true }
        client.answer = nil
        return sent > 0
    }

    private func reply(to packet: [UInt8], _ received: ArraySlice<Int32>, _ isTruncated: Bool, uid: UInt32)
        -> [UInt8]
    {
        var reply = DescriptorReply()
        do {
            guard !isTruncated, received.count == 1, let descriptor = received.first else {
                throw RPCError(
                    .invalidRequest,
                    "a packet carries exactly one descriptor and at most \(Self.longestPacket) bytes")
            }
            let value: JSONValue
            do {
                value = try StrictJSON.parse(packet, limits: .init(depth: 4, membersPerObject: 8, values: 16))
            } catch {
                throw RPCError(.parseError, "the packet is no JSON: \(error)")
            }
            reply.received = try transfers.accept(
                try Router.decode(DescriptorPacket.self, value), descriptor, uid: uid)
        } catch {
            for descriptor in received { close(descriptor) }
            let described = RPCError(describing: error)
            refusals.refused(uid, "descriptor", described.kind)
            reply.error = described
        }
        return (try? JSONValue(encoding: reply))?.serialized() ?? Array("{}".utf8)
    }
}
