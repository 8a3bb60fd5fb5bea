// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Protocol
import TestSupport

/// Runs of `unlearnctl` without a daemon of ours, in a directory that is removed afterwards.
final class CliRun {
    /// What a run gave.
    struct Outcome {
        var status: Int32
        var stdout: String
        var stderr: String
    }

    let directory: String
    /// A path at which nothing listens unless a test makes it so.
    var socket: String { directory + "/s.sock" }

    init() throws {
        var template = Array("/tmp/uc.XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw TestFailure("no temporary directory can be made") }
        directory = String(cString: made)
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    /// Runs the client.
    func run(_ arguments: [String], environment: [String: String] = [:], seconds: Double = 60) throws
        -> Outcome
    {
        let number = UInt64.random(in: 0...UInt64.max)
        let (output, errors) = ("\(directory)/\(number).out", "\(directory)/\(number).err")
        var variables = ["PATH": "/usr/bin:/bin", "HOME": directory, "UNLEARND_SOCKET": socket]
        variables.merge(environment) { $1 }
        let process = try ChildProcess(
            Products.path("unlearnctl"), arguments, environment: variables, output: output, errors: errors)
        let status = try process.wait(seconds: seconds)
        return Outcome(
            status: status, stdout: try String(contentsOfFile: output, encoding: .utf8),
            stderr: try String(contentsOfFile: errors, encoding: .utf8))
    }

    /// Writes a file of this name.
    /// - Returns: Its path.
    func write(_ text: String, to name: String) throws -> String {
        let path = "\(directory)/\(name)"
        try text.write(toFile: path, atomically: false, encoding: .utf8)
        return path
    }
}

/// A socket at which somebody listens and says only what a test wants.
final class SilentListener {
    private let socket: BoundSocket

    init(_ path: String) throws { socket = try BoundSocket(path) }

    /// Answers the first connection with `text`, on a thread of its own, and keeps it open.
    func say(_ text: String) {
        let descriptor = socket.descriptor
        Thread.detachNewThread {
            let peer = accept(descriptor, nil, nil)
            if peer >= 0 {
                _ = Array(text.utf8).withUnsafeBytes {
                    send(peer, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                }
            }
        }
    }
}
