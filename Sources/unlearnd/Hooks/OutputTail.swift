// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Glibc
import Synchronization

/// Reads a pipe as long as somebody holds its other end, and keeps the end of what came, so that a program that writes
/// much neither waits nor fills the memory.
final class OutputTail: Sendable {
    /// How much is kept, bytes.
    static let kept = 4 << 10

    /// The end to write to; whoever gets it closes it.
    let writer: Int32
    private let reader: Int32
    // Its methods may be called from any thread.
    nonisolated(unsafe) private let source: any DispatchSourceRead
    private let state = Mutex((bytes: [UInt8](), total: 0))

    /// A pipe of its own.
    /// - Returns: `nil` when the process has no descriptors left.
    init?() {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { return nil }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
        (reader, writer) = (ends[0], ends[1])
        source = DispatchSource.makeReadSource(fileDescriptor: reader, queue: .global())
        source.setEventHandler { [weak self] in self?.take() }
        source.setCancelHandler { [reader] in close(reader) }
        source.activate()
    }

    private func take() {
        state.withLock { state in
            var buffer = [UInt8](repeating: 0, count: 16 << 10)
            while true {
                let count = read(reader, &buffer, buffer.count)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else {
                    // All writers are gone: the source would call again and again.
                    if count == 0 { source.cancel() }
                    return
                }
                state.total += count
                state.bytes += buffer[..<count]
                if state.bytes.count > Self.kept { state.bytes.removeFirst(state.bytes.count - Self.kept) }
            }
        }
    }

    /// Reads what is there, closes the pipe, and gives the end of the text and how long all of it was.
    func finish() -> (text: String, bytes: Int) {
        if !source.isCancelled { take() }
        source.cancel()
        return state.withLock { (String(decoding: $0.bytes, as: UTF8.self), $0.total) }
    }
}
