// SPDX-License-Identifier: Apache-2.0

import CLinux
import Dispatch
import Glibc
import Protocol
import Synchronization

/// The daemon's end of the socket that is a worker's standard input: the order, descriptors and commands go in.
///
/// A worker that sees it end knows that the daemon is gone. Sending waits on a queue of its own, so a worker that
/// does not read holds nobody up.
final class WorkerChannel: Sendable {
    private let queue = DispatchQueue(label: "unlearnd.worker-channel")
    private let descriptor: Mutex<Int32>

    private init(_ descriptor: Int32) { self.descriptor = Mutex(descriptor) }

    deinit { close() }

    /// A channel, and the descriptor of the other end, which the caller closes.
    static func make() throws -> (channel: WorkerChannel, worker: Int32) {
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            throw JobFailure(.internal, "no socket for the worker: \(String(cString: strerror(errno)))")
        }
        return (WorkerChannel(ends[0]), ends[1])
    }

    /// Sends the order's line, and then each batch of descriptors with an empty line to carry it.
    func send(_ order: WorkerOrder, _ files: DescriptorSet?) throws {
        let line = try JSONValue(encoding: order).serialized() + [0x0A]
        queue.async { [self] in
            guard write(line, []) else { return }
            let descriptors = files?.descriptors ?? []
            for start in stride(from: 0, to: descriptors.count, by: Int(CL_MAX_DESCRIPTORS)) {
                let batch = descriptors[start..<min(start + Int(CL_MAX_DESCRIPTORS), descriptors.count)]
                guard write([0x0A], Array(batch)) else { return }
            }
        }
    }

    /// Sends a command.
    func send(_ command: WorkerCommand) { sendLine(command) }

    /// Sends keys that were made after the order's.
    func send(_ keys: WorkerKeys) { sendLine(keys) }

    private func sendLine(_ value: some Encodable) {
        guard let line = try? JSONValue(encoding: value).serialized() + [0x0A] else { return }
        queue.async { [self] in _ = write(line, []) }
    }

    /// Ends the worker's input.
    func close() {
        descriptor.withLock {
            if $0 >= 0 { Glibc.close($0) }
            $0 = -1
        }
    }

    /// Makes a send that waits give up.
    func shutDown() { descriptor.withLock { if $0 >= 0 { shutdown($0, Int32(SHUT_RDWR)) } } }

    private func write(_ bytes: [UInt8], _ descriptors: [Int32]) -> Bool {
        // A copy of the descriptor: `close` must not pull it from under a call that waits.
        let copy = descriptor.withLock { $0 >= 0 ? fcntl($0, F_DUPFD_CLOEXEC, 0) : -1 }
        guard copy >= 0 else { return false }
        defer { Glibc.close(copy) }
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                cl_send(
                    copy, $0.baseAddress, $0.count, sent == 0 ? descriptors : [],
                    sent == 0 ? Int32(descriptors.count) : 0)
            }
            if count == -Int(EINTR) { continue }
            guard count > 0 else { return false }
            sent += count
        }
        return true
    }
}
