// SPDX-License-Identifier: Apache-2.0

import CLinux
import Foundation
import Glibc
import Protocol
import TestSupport

/// A worker that a test started, on the other end of its standard input and output.
final class WorkerProcess {
    private let socket: Int32
    private let output: FileHandle
    private let pid: pid_t
    private var buffer: [UInt8] = []
    private var ended: Int32?

    /// Starts a worker, whose environment is `environment` alone, and sends it `order` with descriptors.
    init(_ order: [UInt8], _ descriptors: [Int32] = [], environment: [String: String] = [:]) throws {
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends) == 0 else {
            throw TestFailure("no socket pair")
        }
        socket = ends[0]
        let pipe = Pipe()
        output = pipe.fileHandleForReading
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, ends[1], 0)
        posix_spawn_file_actions_adddup2(&actions, pipe.fileHandleForWriting.fileDescriptor, 1)
        let path = Products.path("unlearnd-worker")
        var words = [strdup(path), nil]
        var variables = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { (words + variables).forEach { free($0) } }
        var pid: pid_t = 0
        let failure = posix_spawn(&pid, path, &actions, nil, &words, &variables)
        close(ends[1])
        try pipe.fileHandleForWriting.close()
        guard failure == 0 else {
            throw TestFailure("\(path) does not start: \(String(cString: strerror(failure)))")
        }
        self.pid = pid
        try send(order + [0x0A], [])
        for start in stride(from: 0, to: descriptors.count, by: 64) {
            try send([0x0A], Array(descriptors[start..<min(start + 64, descriptors.count)]))
        }
    }

    deinit {
        kill(pid, SIGKILL)
        if ended == nil { waitpid(pid, nil, 0) }
        close(socket)
    }

    /// Sends bytes, with descriptors.
    func send(_ bytes: [UInt8], _ descriptors: [Int32]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                cl_send(
                    socket, $0.baseAddress, $0.count, sent == 0 ? descriptors : [],
                    sent == 0 ? Int32(descriptors.count) : 0)
            }
            guard count > 0 else { throw TestFailure("the worker does not take its order (\(count))") }
            sent += count
        }
    }

    /// Sends a command.
    func send(_ command: WorkerCommand) throws { try send(Array("\"\(command.rawValue)\"\n".utf8), []) }

    /// Closes the worker's standard input, as the death of the daemon does.
    func hangUp() { shutdown(socket, Int32(SHUT_RDWR)) }

    /// The next message; `nil` at the end.
    func next() throws -> WorkerMessage? {
        while true {
            if let end = buffer.firstIndex(of: 0x0A) {
                let line = Array(buffer[..<end])
                buffer.removeFirst(end + 1)
                return try StrictJSON.parse(line).decode(WorkerMessage.self)
            }
            let data = output.availableData
            if data.isEmpty { return nil }
            buffer += data
        }
    }

    /// Waits for a message of one kind; others are passed over.
    func wait<T>(for pick: (WorkerMessage) -> T?) throws -> T {
        while let message = try next() { if let found = pick(message) { return found } }
        throw TestFailure("the worker ended without the message")
    }

    /// The last word of the worker; lets it proceed after the snapshot.
    func outcome() throws -> Result<WorkerResult, JobFailure> {
        try wait { message in
            switch message {
            case .snapshot:
                try? send(.proceed)
                return nil
            case .finished(let result): return .success(result)
            case .failed(let failure): return .failure(failure)
            default: return nil
            }
        }
    }

    /// The exit status, 128 + the signal that killed it.
    func exitStatus() -> Int32 {
        if let ended { return ended }
        var status: Int32 = 0
        waitpid(pid, &status, 0)
        let code = status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F)
        ended = code
        return code
    }
}
