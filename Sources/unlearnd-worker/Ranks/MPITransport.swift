// SPDX-License-Identifier: Apache-2.0

import CMPI
import Engine
import Glibc
import Protocol

/// The ranks of one launch of `mpirun` (or another launcher of MPI), connected by OpenMPI.
///
/// Used by the main thread alone; what is mutable is only touched there.
final class MPITransport: RankTransport, @unchecked Sendable {
    /// Ordinary messages, and what a rank says when it fails.
    private enum Tag: Int32 {
        case data = 1
        case failure = 2
    }

    /// The largest message, bytes: sizes are 32-bit numbers.
    private static let longest = 1 << 30
    private static let longestFailure = 8192
    /// How long it asks without a pause; then ever longer ones follow, as others may measure for minutes.
    private static let eager = Duration.milliseconds(20)

    let rank: Int
    let count: Int
    private var library: cm_library
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
        let code = cm_begin(&library, &rank, &count)
        self.library = library
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
                    Tag.failure.rawValue, &request))
            failures.append((other, buffer, request))
        }
    }

    func exchange(
        sends: [(to: Int, bytes: UnsafeRawBufferPointer)],
        receives: [(from: Int, bytes: UnsafeMutableRawBufferPointer)]
    ) throws {
        var requests: [UnsafeMutableRawPointer?] = []
        for (from, bytes) in receives {
            for start in stride(from: 0, to: max(1, bytes.count), by: Self.longest) {
                var request: UnsafeMutableRawPointer?
                try check(
                    cm_receive(
                        &library, bytes.baseAddress.map { $0 + start },
                        Int32(min(Self.longest, bytes.count - start)), Int32(from), Tag.data.rawValue,
                        &request))
                requests.append(request)
            }
        }
        for (to, bytes) in sends {
            for start in stride(from: 0, to: max(1, bytes.count), by: Self.longest) {
                var request: UnsafeMutableRawPointer?
                try check(
                    cm_send(
                        &library, bytes.baseAddress.map { $0 + start },
                        Int32(min(Self.longest, bytes.count - start)), Int32(to), Tag.data.rawValue, &request
                    ))
                requests.append(request)
            }
        }
        try wait(for: &requests)
    }

    private func wait(for requests: inout [UnsafeMutableRawPointer?]) throws {
        guard !requests.isEmpty else { return }
        let began = ContinuousClock.now
        var pause: UInt32 = 50
        var rounds = 0
        while true {
            var done: Int32 = 0
            try check(cm_test(&library, &requests, Int32(requests.count), &done))
            if done != 0 { return }
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

    // MARK: Failures

    /// - Throws: What another rank failed of.
    private func lookForFailures() throws {
        for index in failures.indices {
            var requests = [failures[index].request]
            var done: Int32 = 0
            try check(cm_test(&library, &requests, 1, &done))
            guard done != 0 else { continue }
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
            var request: UnsafeMutableRawPointer?
            let code = cm_send(
                &library, text.baseAddress, Int32(text.count), 0, Tag.failure.rawValue, &request)
            var requests = [request]
            // The first rank ends all when it has read this. Where it is busy otherwise, this one does.
            for _ in 0..<500 where code == 0 {
                var done: Int32 = 0
                _ = cm_test(&library, &requests, 1, &done)
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
        try check(cm_end(&library))
    }

    private func check(_ code: Int32) throws(JobFailure) {
        guard code != 0 else { return }
        var text = [CChar](repeating: 0, count: 512)
        cm_describe(&library, code, &text, text.count)
        throw JobFailure(.internal, "OpenMPI: \(Self.text(text))", hint: "retry the job")
    }

    private static func text(_ characters: [CChar]) -> String {
        String(decoding: characters.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
