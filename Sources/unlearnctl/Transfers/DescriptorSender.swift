// SPDX-License-Identifier: Apache-2.0

import Client
import Glibc
import Protocol

/// Hands open files to the daemon, which never opens a path that a client names.
enum DescriptorSender {
    /// Seconds within which the daemon must take one descriptor.
    private static let answerTime = 30.0

    /// Opens files for reading and sends their descriptors.
    /// - Returns: The transfer's name for the job.
    /// - Throws: ``ClientError`` with status 65 for a file that cannot be opened or is no file.
    static func send(_ files: [SourceEntry], _ session: Session) throws(ClientError) -> String {
        try send(.import, files.map(\.name), session) { (index: Int) throws(ClientError) -> Descriptor in
            let path = files[index].path
            do throws(SystemFailure) {
                let file = try Descriptor(opening: path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)
                if try file.isRegularFile() { return file }
            } catch {
                // A link given by name is followed: the person meant the file.
                if error.number == ELOOP,
                    let file = try? Descriptor(opening: path, O_RDONLY | O_NONBLOCK | O_NOCTTY),
                    (try? file.isRegularFile()) == true
                {
                    return file
                }
                throw ClientError(
                    .badInput, "cannot read \(path): \(error)", hint: "name a file that you can read")
            }
            throw ClientError(.badInput, "\(path) is not a regular file", hint: "name a file")
        }
    }

    /// Announces a transfer and sends one descriptor for each name.
    static func send(
        _ direction: TransferOpenParams.Direction, _ names: [String], _ session: Session,
        opening: (Int) throws(ClientError) -> Descriptor
    ) throws(ClientError) -> String {
        let opened = try session.call(
            .transferOpen, TransferOpenParams(direction: direction, files: names), as: TransferOpenResult.self
        )
        let socket: UnixSocket
        do {
            socket = try UnixSocket(
                path: opened.socket, type: SOCK_SEQPACKET, deadline: Deadline(in: answerTime))
        } catch {
            throw failure(error, opened.socket)
        }
        for index in names.indices {
            let file = try opening(index)
            let packet: [UInt8]
            do {
                packet = try JSONValue(encoding: DescriptorPacket(token: opened.token, index: index))
                    .serialized()
            } catch {
                throw ClientError(.internalError, "a packet cannot be written: \(error)")
            }
            do {
                try socket.send(packet, attachment: file, deadline: Deadline(in: answerTime))
                let end = Deadline(in: answerTime)
                var bytes: [UInt8] = []
                while bytes.isEmpty {
                    guard try socket.waitReadable(end) else { throw UnixSocket.Failure.timedOut }
                    bytes = try socket.receive()
                }
                let reply = try StrictJSON.parse(bytes).decode(DescriptorReply.self, allowUnknown: true)
                if let error = reply.error { throw ClientError(error) }
            } catch let error as UnixSocket.Failure {
                throw failure(error, opened.socket)
            } catch let error as ClientError {
                throw error
            } catch {
                throw ClientError(
                    .protocolMismatch, "the answer of the descriptor socket cannot be read: \(error)")
            }
        }
        return opened.transfer
    }

    private static func failure(_ failure: UnixSocket.Failure, _ path: String) -> ClientError {
        let reason: String =
            switch failure {
            case .pathTooLong(let length): "its path has \(length) bytes"
            case .cannotConnect(let system), .broken(let system): "\(system)"
            case .timedOut: "it does not answer"
            case .closed: "it closed the connection"
            }
        return ClientError(
            .notReachable, "files cannot be handed to unlearnd at \(path): \(reason)",
            hint: "see: journalctl -u unlearnd")
    }
}
