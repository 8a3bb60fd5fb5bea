// SPDX-License-Identifier: Apache-2.0

import Glibc
import Protocol
import Synchronization

/// Announced transfers and the descriptors that came for them, until a job takes them.
package final class TransferTable: TransferSource {
    /// How much one transfer and all together may hold.
    package struct Limits: Sendable {
        /// Files of one transfer.
        package var files = 4096
        /// Files of all open transfers.
        package var descriptors = 8192
        /// Open transfers of one user.
        package var perUser = 64
        /// Longest path of a file, bytes.
        package var path = 1024
        /// How long an unclaimed transfer is kept after its last packet.
        package var patience = Duration.seconds(600)

        /// The usual limits.
        package init() {}
    }

    private struct Transfer {
        var token: String
        var uid: UInt32
        var direction: TransferOpenParams.Direction
        var files: [String]
        var descriptors: [Int32?]
        var received = 0
        var touched = ContinuousClock.now
    }

    private let limits: Limits
    private let transfers = Mutex<[String: Transfer]>([:])
    private let refusals: RefusalLog?

    /// An empty table.
    /// - Parameter refusals: Is told who asked for what is another user's.
    package init(limits: Limits = Limits(), refusals: RefusalLog? = nil) {
        self.limits = limits
        self.refusals = refusals
    }

    deinit { closeAll() }

    /// `transfer.open`: announces files.
    /// - Throws: `invalid_params` for unsuitable paths, `queue_full` when too much is open.
    package func open(_ params: TransferOpenParams, uid: UInt32) throws(RPCError) -> (
        transfer: String, token: String
    ) {
        try check(params.files)
        expire()
        let (name, token) = (RandomToken.make(), RandomToken.make())
        let fits = transfers.withLock { transfers in
            let held = transfers.values.reduce(0) { $0 + $1.files.count }
            let own = transfers.values.count { $0.uid == uid }
            guard held + params.files.count <= limits.descriptors, own < limits.perUser else { return false }
            transfers[name] = Transfer(
                token: token, uid: uid, direction: params.direction, files: params.files,
                descriptors: Array(repeating: nil, count: params.files.count))
            return true
        }
        guard fits else {
            throw RPCError(
                .queueFull,
                "too much is being transferred: \(limits.descriptors) files in all, "
                    + "\(limits.perUser) transfers of one user",
                hint: "submit the jobs of the open transfers first",
                retryAfter: 5000)
        }
        return (name, token)
    }

    /// Takes in one descriptor; the table owns it from then on, unless this throws.
    /// - Returns: How many descriptors the transfer has now.
    package func accept(_ packet: DescriptorPacket, _ descriptor: Int32, uid: UInt32) throws(RPCError) -> Int
    {
        let found = transfers.withLock { $0.first { $0.value.token == packet.token && $0.value.uid == uid } }
        // One message for all: who guesses a token learns nothing.
        guard let (name, transfer) = found else {
            throw RPCError(
                .notFound, "no open transfer of this user has this token", hint: "open one with transfer.open"
            )
        }
        guard transfer.files.indices.contains(packet.index) else {
            throw RPCError(
                .invalidParams,
                "index \(packet.index) is not one of the transfer's \(transfer.files.count) files",
                field: "index")
        }
        try Self.check(descriptor, transfer.direction, transfer.files[packet.index])
        return try transfers.withLock { transfers throws(RPCError) in
            guard var transfer = transfers[name] else {
                throw RPCError(.notFound, "the transfer has ended meanwhile")
            }
            guard transfer.descriptors[packet.index] == nil else {
                throw RPCError(
                    .conflict, "file \(packet.index) of the transfer is there already", field: "index")
            }
            transfer.descriptors[packet.index] = descriptor
            transfer.received += 1
            transfer.touched = .now
            transfers[name] = transfer
            return transfer.received
        }
    }

    package func take(_ name: String, peer: Peer) async throws(RPCError) -> (
        files: [String], descriptors: [Int32]
    ) {
        try transfers.withLock { transfers throws(RPCError) in
            guard let transfer = transfers[name], transfer.uid == peer.uid else {
                if transfers[name] != nil { refusals?.refused(peer.uid, "transfer", .notFound) }
                throw RPCError(
                    .notFound, "there is no open transfer \(name.prefix(64))",
                    hint: "transfers end with the daemon, or after 10 minutes without a packet")
            }
            let descriptors = transfer.descriptors.compactMap(\.self)
            guard descriptors.count == transfer.files.count else {
                throw RPCError(
                    .conflict,
                    "only \(descriptors.count) of the transfer's \(transfer.files.count) files have come",
                    hint: "send the others on the descriptor socket first")
            }
            transfers[name] = nil
            return (transfer.files, descriptors)
        }
    }

    /// Closes what nobody claimed in time.
    package func expire() {
        let now = ContinuousClock.now
        remove { now - $0.touched > limits.patience }
    }

    /// Closes everything.
    func closeAll() { remove { _ in true } }

    private func remove(_ condition: (Transfer) -> Bool) {
        let closed = transfers.withLock { transfers in
            let old = transfers.filter { condition($0.value) }
            for name in old.keys { transfers[name] = nil }
            return old.values.flatMap { $0.descriptors.compactMap(\.self) }
        }
        for descriptor in closed { close(descriptor) }
    }

    private func check(_ files: [String]) throws(RPCError) {
        guard (1...limits.files).contains(files.count) else {
            throw RPCError(
                .invalidParams, "a transfer has 1 to \(limits.files) files, not \(files.count)",
                field: "files")
        }
        guard Set(files).count == files.count else {
            throw RPCError(.invalidParams, "a transfer names each file once", field: "files")
        }
        for (index, file) in files.enumerated() {
            let parts = file.split(separator: "/", omittingEmptySubsequences: false)
            let isPlain = parts.allSatisfy { !$0.isEmpty && $0 != "." && $0 != ".." }
            guard isPlain, file.utf8.count <= limits.path, file.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F })
            else {
                throw RPCError(
                    .invalidParams,
                    "a file's path is relative, without \"..\" and control characters, and has at most "
                        + "\(limits.path) bytes", field: "files.[\(index)]")
            }
        }
    }

    /// Whether a descriptor is what its transfer needs and nothing more.
    private static func check(
        _ descriptor: Int32, _ direction: TransferOpenParams.Direction, _ file: String
    ) throws(RPCError) {
        var status = stat()
        let flags = fcntl(descriptor, F_GETFL)
        // Linux: O_PATH, a descriptor that can neither be read nor written.
        let isPathOnly = flags & 0o10000000 != 0
        guard flags >= 0, !isPathOnly, fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG
        else {
            throw RPCError(.badInput, "\(file): the descriptor is not an open regular file")
        }
        switch direction {
        case .import:
            guard flags & O_ACCMODE == O_RDONLY else {
                throw RPCError(.badInput, "\(file): the descriptor of an import is opened with O_RDONLY")
            }
        case .export:
            guard flags & O_ACCMODE != O_RDONLY, flags & O_APPEND == 0 else {
                throw RPCError(
                    .badInput, "\(file): the descriptor of an export is writable, without O_APPEND")
            }
            guard status.st_size == 0 else {
                throw RPCError(.badInput, "\(file): the file of an export is empty")
            }
        }
    }
}
