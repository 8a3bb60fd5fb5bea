// SPDX-License-Identifier: Apache-2.0

import CLinux
import Checkpoints
import Glibc
import Protocol
import Synchronization

/// What comes in on standard input: the order, its descriptors, then commands until the daemon goes away.
///
/// A Unix stream socket in service; a pipe or a file will do for orders without descriptors, and then the end of
/// input means only that no more commands come.
final class Inbox: Sendable {
    /// Longest order, bytes.
    private static let longestOrder = 64 << 20
    /// How long a cancelled job has to clean up after itself, in microseconds.
    private static let graceful: UInt32 = 700_000

    private struct State {
        var buffer: [UInt8] = []
        var isSocket = true
        var hasEnded = false
    }
    private let state = Mutex(State())
    /// Whether the end of any input means that the daemon is gone, as behind a launcher, which makes a pipe of it.
    private let isForwarded: Bool
    private let cancelled = Atomic<Bool>(false)
    private let pausing = Atomic<Bool>(false)
    private let mayProceed = Atomic<Bool>(false)
    private let ended = Atomic<Bool>(false)
    /// Gets each line with further keys, for those who cannot hear the daemon.
    private let passOn = Mutex<(@Sendable ([UInt8]) -> Void)?>(nil)
    /// The keys of an encrypted store: the order's, and those that come after it.
    let keys = HandedKeys(patience: 2)

    init(isForwarded: Bool = false) { self.isForwarded = isForwarded }

    /// Whether somebody wants the job to stop.
    var isCancelled: Bool { cancelled.load(ordering: .relaxed) }

    /// Whether the job shall stop after its step, in a state to go on from.
    var isPausing: Bool { pausing.load(ordering: .relaxed) }

    /// Waits for the order and all its descriptors.
    /// - Throws: `JobFailure` for anything else than an order.
    func readOrder() throws -> (order: WorkerOrder, descriptors: [Int32]) {
        var order: WorkerOrder?
        var descriptors: [Int32] = []
        while true {
            if order == nil, let line = nextLine() {
                order = try StrictJSON.parse(line).decode(WorkerOrder.self, allowUnknown: true)
            }
            if let order {
                let files = order.files?.count ?? 0
                guard order.descriptors == files else {
                    throw JobFailure(
                        .internal, "the order has \(order.descriptors) descriptors for \(files) files")
                }
                if descriptors.count == files { return (order, descriptors) }
                guard descriptors.count < files else {
                    throw JobFailure(.internal, "\(descriptors.count) descriptors came for \(files) files")
                }
            }
            guard try receive(&descriptors) else {
                throw JobFailure(.internal, "standard input ended before the order was complete")
            }
            if state.withLock({ $0.buffer.count }) > Self.longestOrder {
                throw JobFailure(.internal, "the order has more than \(Self.longestOrder) bytes")
            }
        }
    }

    /// Begins to take commands, on a thread of their own.
    /// - Parameter keys: Gets each line with further keys, as it came.
    func listen(keys: @escaping @Sendable ([UInt8]) -> Void) {
        passOn.withLock { $0 = keys }
        let box = Unmanaged.passRetained(self)
        var thread = pthread_t()
        let status = pthread_create(
            &thread, nil,
            { argument in
                if let argument { Unmanaged<Inbox>.fromOpaque(argument).takeRetainedValue().obey() }
                return nil
            }, box.toOpaque())
        if status != 0 {
            complain("cannot listen to commands: \(String(cString: strerror(status)))")
            exit(ExitCode.internalError.rawValue)
        }
        pthread_detach(thread)
    }

    /// Waits until the daemon has recorded the snapshot.
    /// - Throws: ``Cancelled``; `JobFailure` if the word can no longer come.
    func waitToProceed() throws {
        while !mayProceed.load(ordering: .acquiring) {
            if isCancelled { throw Cancelled() }
            if isPausing { throw Paused() }
            if ended.load(ordering: .acquiring), !mayProceed.load(ordering: .acquiring) {
                throw JobFailure(.internal, "the daemon went away before it recorded the snapshot")
            }
            usleep(2000)
        }
    }

    /// Takes further keys from a line of the daemon's.
    func take(keys line: [UInt8]) {
        do {
            try keys.take(StrictJSON.parse(line).decode(WorkerKeys.self).keys)
        } catch {
            complain("\(error)")
        }
    }

    private func obey() {
        var surplus: [Int32] = []
        while true {
            while let line = nextLine() {
                let value = (try? StrictJSON.parse(line)) ?? .null
                if (try? value.decode(WorkerKeys.self)) != nil {
                    take(keys: line)
                    passOn.withLock(\.self)?(line)
                    continue
                }
                switch try? value.decode(WorkerCommand.self) {
                case .proceed: mayProceed.store(true, ordering: .releasing)
                case .cancel:
                    cancelled.store(true, ordering: .releasing)
                    // Steps of a large model take longer than a cancelled job may.
                    usleep(Self.graceful)
                    _exit(0)
                case .pause: pausing.store(true, ordering: .releasing)
                case nil: complain("an unknown command was left alone")
                }
            }
            if (try? receive(&surplus)) != true { break }
            for descriptor in surplus { close(descriptor) }
            surplus = []
        }
        if isForwarded || state.withLock({ $0.isSocket }) { _exit(ExitCode.tryAgain.rawValue) }
        ended.store(true, ordering: .releasing)
    }

    /// The next line that is not empty, if it is complete.
    private func nextLine() -> [UInt8]? {
        state.withLock { state in
            while let end = state.buffer.firstIndex(of: 0x0A) {
                let line = Array(state.buffer[..<end])
                state.buffer.removeFirst(end + 1)
                if !line.isEmpty { return line }
            }
            // A file's last line may lack its line feed.
            guard state.hasEnded, !state.buffer.isEmpty else { return nil }
            defer { state.buffer = [] }
            return state.buffer
        }
    }

    /// Takes what has come; false at the end of input.
    private func receive(_ descriptors: inout [Int32]) throws -> Bool {
        if state.withLock({ $0.hasEnded }) { return false }
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        var passed = [Int32](repeating: -1, count: Int(CL_MAX_DESCRIPTORS))
        var count: Int32 = 0
        var truncated: Int32 = 0
        var received = Int(
            bytes.withUnsafeMutableBytes {
                cl_receive(0, $0.baseAddress, $0.count, &passed, Int32(passed.count), &count, &truncated)
            })
        if received == -Int(ENOTSOCK) {
            state.withLock { $0.isSocket = false }
            repeat {
                received = bytes.withUnsafeMutableBytes { read(0, $0.baseAddress, $0.count) }
            } while received < 0
                && errno == EINTR
        }
        guard truncated == 0 else { throw JobFailure(.internal, "descriptors were lost on the way") }
        descriptors += passed.prefix(Int(count))
        state.withLock { state in
            if received > 0 { state.buffer += bytes.prefix(received) } else { state.hasEnded = true }
        }
        return received > 0 || state.withLock { !$0.buffer.isEmpty }
    }
}
