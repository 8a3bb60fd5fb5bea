// SPDX-License-Identifier: Apache-2.0

import Glibc
import Protocol
import Synchronization

/// Sends messages to the daemon, one JSON object a line. For use by any thread.
final class MessageWriter: Sendable {
    /// What the daemon accepts as one line, with room to spare.
    static let longestLine = 4_000_000

    private let descriptor: Mutex<Int32>

    private init(_ descriptor: Int32) { self.descriptor = Mutex(descriptor) }

    /// A writer to what is standard output now; later prints of any library go to standard error.
    static func takeStandardOutput() -> MessageWriter {
        let copy = fcntl(1, F_DUPFD_CLOEXEC, 3)
        dup2(2, 1)
        return MessageWriter(copy)
    }

    /// Sends nothing any more: another rank speaks.
    func fallSilent() {
        descriptor.withLock { descriptor in
            close(descriptor)
            descriptor = -1
        }
    }

    /// Sends a message.
    /// - Throws: `JobFailure` if nobody reads any more, or for a message longer than a line may be.
    func send(_ message: WorkerMessage) throws {
        let line = try JSONValue(encoding: message).serialized() + [0x0A]
        guard line.count <= Self.longestLine else {
            throw JobFailure(
                .unsupported,
                "the answer has \(line.count) bytes, more than the \(Self.longestLine) of one message",
                hint: "ask for less at once")
        }
        try descriptor.withLock { descriptor in
            if descriptor < 0 { return }
            var sent = 0
            while sent < line.count {
                let count = line[sent...].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
                if count < 0 && errno == EINTR { continue }
                guard count > 0 else {
                    throw JobFailure(
                        .internal, "the daemon does not listen: \(String(cString: strerror(errno)))")
                }
                sent += count
            }
        }
    }
}
