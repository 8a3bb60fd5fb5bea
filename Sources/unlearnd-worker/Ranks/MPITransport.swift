// SPDX-License-Identifier: Apache-2.0

import CMPI
import Engine
import Glibc
import Protocol
import Synchronization

/// The ranks of one launch of `mpirun` (or another launcher of MPI), connected by OpenMPI.
///
/// The library is called by one thread at a time, under the lock; but for transfers that were begun, what is mutable is only
/// touched by the main thread.
final class MPITransport: RankTransport, @unchecked Sendable {
    /// Exchanged messages, what a rank says when it fails, what the first rank says between them, and the first channel of
    /// transfers that were begun.
    private enum Tag {
        static let data: Int32 = 1
        static let failure: Int32 = 2
        static let announcement: Int32 = 3
        static let begun: Int32 = 4
    }

    /// The largest message, bytes: sizes are 32-bit numbers.
    private static let longest = 1 << 30
    private static let longestFailure = 8192
    private static let longestAnnouncement = 64 << 10
    /// How often announcements are looked for, microseconds.
    private static let listening: UInt32 = 20_000
    /// How long it asks without a pause; then ever longer ones follow, as others may measure for minutes.
    private static let eager = Duration.milliseconds(20)

    let rank: Int
    let count: Int
    let allowsThreads: Bool
    private var library: cm_library
    /// Held while the library is called.
    private let lock = Mutex(())
    /// What was begun and is not done, by the transfer's number.
    private let begun = Mutex(Begun())

    /// The thread that takes announcements.
    private let listener = Mutex<pthread_t?>(nil)
    private let isOver = Atomic<Bool>(false)

    private struct Begun {
        var next = 0
        var requests: [Int: Requests] = [:]
    }

    /// The library's own pointers, which any thread may hold.
    private struct Requests: @unchecked Sendable {
        var all: [UnsafeMutableRawPointer?]
    }
    /// Where the first rank receives failures: one for each other rank.
    private var failures:
        [(rank: Int, buffer: UnsafeMutableRawBufferPointer, request: UnsafeMutableRawPointer?)] = []

    /// Connects this process.
    /// - Throws: `JobFailure` where OpenMPI is not installed or does not start.
    init() throws(JobFailure) {
        var library = cm_library()
        var reason = [CChar](repeating: 0, count: 512)
        guard cm_open(&library, &reason, reason.count) == 0 else {
            throw JobFailure(
                .unsupported, "several ranks need OpenMPI, which cannot be opened: \(Self.text(reason))",
                hint: "install the package libopenmpi3, or leave --ranks out")
        }
        var rank: Int32 = 0
        var count: Int32 = 0
        var threads: Int32 = 0
        let code = cm_begin(&library, &rank, &count, &threads)
        self.library = library
        allowsThreads = threads != 0
        (self.rank, self.count) = (Int(rank), Int(count))
        try check(code)
        guard rank == 0 else { return }
        for other in 1..<max(1, Int(count)) {
            let buffer = UnsafeMutableRawBufferPointer.allocate(
                byteCount: Self.longestFailure, alignment: 16)
            buffer.initializeMemory(as: UInt8.self, repeating: 0)
            var request: UnsafeMutableRawPointer?
            try check(
                cm_receive(
                    &self.library, buffer.baseAddress, Int32(Self.longestFailure), Int32(other),
                    Tag.failure, &request))
            failures.append((other, buffer, request))
        }
    }

    func exchange(
        sends: [(to: Int, bytes: UnsafeRawBufferPointer)],
        receives: [(from: Int, bytes: UnsafeMutableRawBufferPointer)]
    ) throws {
        var requests = try start(sends, receives, Tag.data)
        try wait(for: &requests)
    }

    func begin(
        on channel: RankChannel, sends: [(to: Int, bytes: UnsafeRawBufferPointer)],
        receives: [(from: Int, bytes: UnsafeMutableRawBufferPointer)]
    ) throws -> RankTransfer {
        let requests = Requests(all: try start(sends, receives, Tag.begun + Int32(channel.rawValue)))
        return begun.withLock { begun in
            begun.next += 1
            begun.requests[begun.next] = requests
            return RankTransfer(number: begun.next)
        }
    }

    func isDone(_ transfer: RankTransfer) throws -> Bool {
        // The library writes to the requests, so they stay where only this call has them.
        guard var requests = begun.withLock({ $0.requests.removeValue(forKey: transfer.number) }) else {
            return true
        }
        let isDone = try test(&requests.all)
        if !isDone {
            let left = requests
            begun.withLock { $0.requests[transfer.number] = left }
        }
        return isDone
    }

    private func start(
        _ sends: [(to: Int, bytes: UnsafeRawBufferPointer)],
        _ receives: [(from: Int, bytes: UnsafeMutableRawBufferPointer)], _ tag: Int32
    ) throws(JobFailure) -> [UnsafeMutableRawPointer?] {
        var requests: [UnsafeMutableRawPointer?] = []
        for (from, bytes) in receives {
            for start in stride(from: 0, to: max(1, bytes.count), by: Self.longest) {
                var request: UnsafeMutableRawPointer?
                try locked {
                    cm_receive(
                        &library, bytes.baseAddress.map { $0 + start },
                        Int32(min(Self.longest, bytes.count - start)), Int32(from), tag, &request)
                }
                requests.append(request)
            }
        }
        for (to, bytes) in sends {
            for start in stride(from: 0, to: max(1, bytes.count), by: Self.longest) {
                var request: UnsafeMutableRawPointer?
                try locked {
                    cm_send(
                        &library, bytes.baseAddress.map { $0 + start },
                        Int32(min(Self.longest, bytes.count - start)), Int32(to), tag, &request)
                }
                requests.append(request)
            }
        }
        return requests
    }

    /// Moves things on, and tells whether the requests are done.
    private func test(_ requests: inout [UnsafeMutableRawPointer?]) throws(JobFailure) -> Bool {
        var done: Int32 = 0
        try locked { cm_test(&library, &requests, Int32(requests.count), &done) }
        return done != 0
    }

    /// Calls the library.
    private func locked(_ call: () -> Int32) throws(JobFailure) { try check(lock.withLock { _ in call() }) }

    private func wait(for requests: inout [UnsafeMutableRawPointer?]) throws {
        guard !requests.isEmpty else { return }
        let began = ContinuousClock.now
        var pause: UInt32 = 50
        var rounds = 0
        while true {
            if try test(&requests) { return }
            rounds += 1
            if rounds % 64 == 0 { try lookForFailures() }
            if ContinuousClock.now - began < Self.eager {
                sched_yield()
            } else {
                usleep(pause)
                pause = min(pause + pause / 8, 2000)
                try lookForFailures()
            }
        }
    }

    // MARK: Announcements

    /// Says something to all other ranks, whatever they are at; from any thread. They take it if they listen.
    func announce(_ text: [UInt8]) throws {
        guard allowsThreads, text.count < Self.longestAnnouncement else {
            throw JobFailure(.internal, "\(text.count) bytes cannot be announced to the other ranks")
        }
        // Kept for good: it may still be on its way when this returns. There are few, and they are short.
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, text.count), alignment: 16)
        bytes.copyBytes(from: text)
        let own = UnsafeRawBufferPointer(rebasing: bytes[..<text.count])
        var requests = try start((1..<count).map { (to: $0, bytes: own) }, [], Tag.announcement)
        _ = try test(&requests)
    }

    /// Takes what the first rank announces, on a thread of its own, until ``finish()``.
    func listen(_ take: @escaping @Sendable ([UInt8]) -> Void) {
        guard allowsThreads else { return }
        let box = Unmanaged.passRetained(Listener(transport: self, take: take))
        var thread = pthread_t()
        let status = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                let listener = Unmanaged<Listener>.fromOpaque(argument).takeRetainedValue()
                do { try listener.transport.takeAnnouncements(listener.take) } catch { complain("\(error)") }
                return nil
            }, box.toOpaque())
        if status == 0 {
            listener.withLock { $0 = thread }
        } else {
            box.release()
            complain("cannot listen to the first rank: \(String(cString: strerror(status)))")
        }
    }

    private final class Listener: Sendable {
        let transport: MPITransport
        let take: @Sendable ([UInt8]) -> Void
        init(transport: MPITransport, take: @escaping @Sendable ([UInt8]) -> Void) {
            (self.transport, self.take) = (transport, take)
        }
    }

    private func takeAnnouncements(_ take: ([UInt8]) -> Void) throws {
        let buffer = UnsafeMutableRawBufferPointer.allocate(
            byteCount: Self.longestAnnouncement, alignment: 16)
        defer { buffer.deallocate() }
        while true {
            buffer.initializeMemory(as: UInt8.self, repeating: 0)
            var requests = try start([], [(from: 0, bytes: buffer)], Tag.announcement)
            while !(try test(&requests)) {
                if isOver.load(ordering: .acquiring) {
                    return try locked { cm_forget(&library, &requests[0]) }
                }
                usleep(Self.listening)
            }
            take(buffer.prefix { $0 != 0 })
        }
    }

    // MARK: Failures

    func lookForFailures() throws {
        for index in failures.indices {
            var requests = [failures[index].request]
            guard try test(&requests) else { continue }
            let text = Array(failures[index].buffer.prefix { $0 != 0 })
            let rank = failures[index].rank
            guard var failure = try? StrictJSON.parse(text).decode(JobFailure.self, allowUnknown: true) else {
                throw JobFailure(.internal, "rank \(rank) failed without words")
            }
            failure.message = "rank \(rank): \(failure.message)"
            throw failure
        }
    }

    /// Tells the first rank why this one cannot go on, and gives it time to tell the daemon.
    func report(_ failure: JobFailure) {
        complain("rank \(rank): \(failure.message)")
        guard rank > 0, let text = try? JSONValue(encoding: failure).serialized(),
            text.count < Self.longestFailure
        else { return }
        text.withUnsafeBytes { text in
            guard var requests = try? start([(to: 0, bytes: text)], [], Tag.failure) else { return }
            // The first rank ends all when it has read this. Where it is busy otherwise, this one does.
            for _ in 0..<500 {
                _ = try? test(&requests)
                usleep(10_000)
            }
        }
    }

    // MARK: The end

    /// Ends all ranks, finished or not.
    func abort() { cm_abort(&library, ExitCode.jobFailed.rawValue) }

    /// Waits until all ranks are done, and parts from them.
    func finish() throws {
        try Ranks(self).meet()
        for index in failures.indices {
            try check(cm_forget(&library, &failures[index].request))
            failures[index].buffer.deallocate()
        }
        failures = []
        isOver.store(true, ordering: .releasing)
        if let thread = listener.withLock({ $0.take() }) { pthread_join(thread, nil) }
        try check(cm_end(&library))
    }

    private func check(_ code: Int32) throws(JobFailure) {
        guard code != 0 else { return }
        var text = [CChar](repeating: 0, count: 512)
        lock.withLock { _ in cm_describe(&library, code, &text, text.count) }
        throw JobFailure(.internal, "OpenMPI: \(Self.text(text))", hint: "retry the job")
    }

    private static func text(_ characters: [CChar]) -> String {
        String(decoding: characters.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
