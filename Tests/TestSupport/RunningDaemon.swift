// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Protocol

/// A real daemon in a directory of its own, which is removed with it.
package final class RunningDaemon: @unchecked Sendable {
    /// What a run of the client gave.
    package struct Output: Sendable {
        /// The exit status.
        package var status: Int32
        package var stdout: String
        package var stderr: String
        /// Standard output as JSON.
        package var json: JSONValue { get throws { try StrictJSON.parse(stdout) } }
    }

    /// Short enough for the path of a socket.
    package let directory: String
    /// The control socket.
    package var socket: String { directory + "/s.sock" }
    /// The state directory.
    package var state: String { directory + "/state" }
    /// What the daemon wrote to standard error in all its runs.
    package var log: String { (try? String(contentsOfFile: directory + "/log", encoding: .utf8)) ?? "" }
    /// The process that runs, or ran last.
    package private(set) var process: ChildProcess?
    private let arguments: [String]
    private let lock = NSLock()
    private var runs = 0

    /// Starts a daemon and waits until it answers.
    /// - Parameters:
    ///   - arguments: Further flags.
    ///   - environment: Added to the daemon's, which is otherwise empty but for PATH and HOME.
    ///   - prepare: Called with this daemon's directory before the start.
    package init(
        _ arguments: [String] = [], environment: [String: String] = [:],
        prepare: (String) throws -> Void = { _ in }
    ) throws {
        var template = Array("/tmp/ud.XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw TestFailure("no temporary directory can be made") }
        directory = String(cString: made)
        self.arguments = arguments
        try prepare(directory)
        try start(environment: environment)
    }

    deinit {
        process?.signal(SIGKILL)
        _ = try? process?.wait()
        try? FileManager.default.removeItem(atPath: directory)
    }

    /// Starts the daemon again on the same state and waits until it answers.
    /// - Parameter sockets: What a service manager has opened for it.
    package func start(environment: [String: String] = [:], sockets: [Int32] = []) throws {
        let process = try spawn(environment: environment, sockets: sockets)
        self.process = process
        let end = ContinuousClock.now + .seconds(20)
        while ContinuousClock.now < end {
            if let status = process.exitStatus {
                throw TestFailure("the daemon ended with status \(status): \(log)")
            }
            if let connection = try? RawConnection(socket), (try? connection.line(seconds: 5)) != nil {
                return
            }
            usleep(5000)
        }
        throw TestFailure("the daemon does not answer: \(log)")
    }

    /// Starts a daemon on this state without waiting for it.
    package func spawn(
        environment: [String: String] = [:], extra: [String] = [], sockets: [Int32] = []
    ) throws -> ChildProcess {
        var variables = ["PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": directory]
        var command = [
            Products.path("unlearnd"), "--state-directory", state, "--socket", socket,
        ]
        command += arguments + extra
        if !sockets.isEmpty {
            variables["LISTEN_FDS"] = "\(sockets.count)"
            // Only the process itself can say which one it is.
            command = ["/bin/sh", "-c", "LISTEN_PID=$$ exec \"$0\" \"$@\""] + command
        }
        variables.merge(environment) { $1 }
        return try ChildProcess(
            command[0], Array(command.dropFirst()), environment: variables, output: directory + "/out",
            errors: directory + "/log", descriptors: sockets)
    }

    /// Asks the daemon to end.
    /// - Returns: Its exit status.
    @discardableResult
    package func stop() throws -> Int32 {
        guard let process else { return 0 }
        process.signal(SIGTERM)
        return try process.wait()
    }

    /// Kills the daemon as a power cut would.
    package func kill() throws {
        process?.signal(SIGKILL)
        _ = try process?.wait()
    }

    /// A connection that has not said anything yet.
    package func connect() throws -> RawConnection { try RawConnection(socket) }

    /// A connection after the handshake.
    package func session() throws -> RawConnection {
        let connection = try connect()
        try connection.greet()
        return connection
    }

    /// Runs `unlearnctl` against this daemon.
    /// - Parameters:
    ///   - input: What it reads on standard input.
    ///   - seconds: After which it is killed and the test fails.
    package func ctl(
        _ arguments: [String], input: String? = nil, environment: [String: String] = [:],
        seconds: Double = 120
    ) throws -> Output {
        let number = lock.withLock {
            runs += 1
            return runs
        }
        let files = ["in", "stdout", "stderr"].map { "\(directory)/ctl-\(number).\($0)" }
        if let input { try input.write(toFile: files[0], atomically: false, encoding: .utf8) }
        var variables = [
            "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": directory, "UNLEARND_SOCKET": socket,
        ]
        variables.merge(environment) { $1 }
        let process = try ChildProcess(
            Products.path("unlearnctl"), arguments, environment: variables,
            input: input == nil ? "/dev/null" : files[0],
            output: files[1], errors: files[2])
        let status = try process.wait(seconds: seconds)
        return Output(
            status: status, stdout: try String(contentsOfFile: files[1], encoding: .utf8),
            stderr: try String(contentsOfFile: files[2], encoding: .utf8))
    }

    /// The daemon's living children: its workers.
    package var children: [pid_t] {
        guard let process else { return [] }
        let entries = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return entries.compactMap { pid_t($0) }.filter { child in
            let stat = (try? String(contentsOfFile: "/proc/\(child)/stat", encoding: .utf8)) ?? ""
            // After the name, which ends with the last parenthesis: state, parent, …
            let fields = stat.split(separator: ")").last?.split(separator: " ") ?? []
            return fields.count > 1 && pid_t(fields[1]) == process.pid
        }
    }

    /// Bytes of memory that the daemon holds (`VmRSS`).
    package var residentBytes: Int {
        let status = (try? String(contentsOfFile: "/proc/\(process?.pid ?? 0)/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
        return (line?.split(separator: " ").compactMap { Int($0) }.first ?? 0) << 10
    }

    /// What the daemon has open, but for what it opens when it is wanted, and keeps: connections that read its database,
    /// and the sources of signals and timers, of which the last come after its first answers.
    package var openFiles: [String] {
        let directory = "/proc/\(process?.pid ?? 0)/fd"
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []
        return names.map { name in
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "\(directory)/\(name)")) ?? "?"
        }.filter { target in
            !["/unlearnd.sqlite", "[signalfd]", "[timerfd]"].contains(where: target.contains)
        }.sorted()
    }

    /// How many those are.
    package var openDescriptors: Int { openFiles.count }

    /// Waits until something is so.
    /// - Throws: ``TestFailure`` after `seconds`.
    package func eventually(_ what: String, seconds: Double = 60, _ condition: () throws -> Bool) throws {
        let end = ContinuousClock.now + .seconds(seconds)
        while !(try condition()) {
            guard ContinuousClock.now < end else { throw TestFailure("not within \(seconds) s: \(what)") }
            usleep(5000)
        }
    }
}
