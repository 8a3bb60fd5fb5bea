// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Synchronization

/// A program that a test started, with its output in files.
package final class ChildProcess: @unchecked Sendable {
    /// The process's number.
    package let pid: pid_t
    private let lock = NSLock()
    private var ended: Int32?

    /// Starts a program; its standard input is `/dev/null` or a file.
    /// - Parameters:
    ///   - output: The file that standard output is written to.
    ///   - errors: The file that standard error is appended to.
    ///   - descriptors: What it has open from 3 on.
    package init(
        _ path: String, _ arguments: [String], environment: [String: String], input: String = "/dev/null",
        output: String, errors: String, descriptors: [Int32] = []
    ) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, input, O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        posix_spawn_file_actions_addopen(&actions, 2, errors, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        // Far from where they go to, so that none is covered before it was copied.
        let copies = descriptors.map { fcntl($0, F_DUPFD_CLOEXEC, 200) }
        defer { for copy in copies { close(copy) } }
        for (index, copy) in copies.enumerated() {
            posix_spawn_file_actions_adddup2(&actions, copy, Int32(3 + index))
        }
        var words = ([path] + arguments).map { strdup($0) } + [nil]
        var variables = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { (words + variables).forEach { free($0) } }
        var pid: pid_t = 0
        let failure = posix_spawn(&pid, path, &actions, nil, &words, &variables)
        guard failure == 0 else {
            throw TestFailure("\(path) does not start: \(String(cString: strerror(failure)))")
        }
        self.pid = pid
        _ = Self.endsWithTests
        Self.running.withLock { _ = $0.insert(pid) }
    }

    /// Those that have not ended; what a static property holds is never freed.
    private static let running = Mutex<Set<pid_t>>([])
    private static let endsWithTests: Void = {
        atexit { ChildProcess.running.withLockIfAvailable { for pid in $0 { kill(pid, SIGKILL) } } }
    }()

    /// Sends a signal, unless the process was seen to have ended.
    package func signal(_ number: Int32) {
        lock.withLock { if ended == nil { kill(pid, number) } }
    }

    /// The exit status once the process has ended, 128 + the signal that killed it; `nil` while it runs.
    package var exitStatus: Int32? {
        lock.withLock {
            if ended == nil {
                var status: Int32 = 0
                if waitpid(pid, &status, WNOHANG) == pid {
                    ended = status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F)
                    Self.running.withLock { _ = $0.remove(pid) }
                }
            }
            return ended
        }
    }

    /// Waits for the end.
    /// - Throws: ``TestFailure`` after `seconds`; the process is killed then.
    @discardableResult
    package func wait(seconds: Double = 60) throws -> Int32 {
        let end = ContinuousClock.now + .seconds(seconds)
        while ContinuousClock.now < end {
            if let exitStatus { return exitStatus }
            usleep(2000)
        }
        signal(SIGKILL)
        throw TestFailure("process \(pid) did not end within \(seconds) s")
    }

    deinit {
        signal(SIGKILL)
        while exitStatus == nil { usleep(1000) }
    }
}

/// Why a test's own machinery cannot go on.
package struct TestFailure: Error, CustomStringConvertible {
    package var description: String
    /// A failure with its reason.
    package init(_ description: String) { self.description = description }
}
