// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc
import Protocol

/// One run of a command: its options, its output, and the daemon once something is asked of it.
final class Session {
    let output: Output
    let path: String
    /// When the whole command gives up; `nil` is never.
    let deadline: Deadline?
    let isConfirmed: Bool
    private var open: Connection?

    /// A run with these options. Touches no socket.
    init(_ options: GlobalOptions) {
        output = Output(json: options.json, quiet: options.quiet, noColor: options.noColor)
        var environment: [String: String] = [:]
        for name in ["HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "UNLEARND_SOCKET"] {
            environment[name] = Terminal.environment(name)
        }
        let standard = StandardPaths(environment: environment, isRoot: geteuid() == 0).socket
        // A user without a daemon of their own means the system's.
        let isServed =
            environment["UNLEARND_SOCKET"] != nil || access(standard, F_OK) == 0
            || access(StandardPaths.serviceSocket, F_OK) != 0
        path = options.socket ?? (isServed ? standard : StandardPaths.serviceSocket)
        deadline = options.timeout.map { Deadline(in: $0.value) }
        isConfirmed = options.yes
    }

    /// The connection, made when first asked for.
    func connection() throws(ClientError) -> Connection {
        if let open { return open }
        let made = try Connection(path: path)
        open = made
        return made
    }

    /// Forgets a connection that broke.
    func disconnect() { open = nil }

    /// Asks the daemon.
    @discardableResult
    func call(_ method: Method, _ params: some Encodable = NoParams()) throws(ClientError) -> JSONValue {
        let connection = try connection()
        do { return try connection.call(method, params, deadline: deadline) } catch {
            guard error.status == .notReachable, deadline?.isOver == true else { throw error }
            throw ClientError(.timedOut, "timed out waiting for unlearnd's answer to \(method.rawValue)")
        }
    }

    /// Asks the daemon for a known type.
    func call<R: Decodable>(
        _ method: Method, _ params: some Encodable = NoParams(), as type: R.Type
    ) throws(ClientError) -> R { try Self.decode(type, try call(method, params)) }

    /// The versions of a model as they are now; none where it has gone.
    func versions(of model: ModelName) throws(ClientError) -> [VersionSummary] {
        guard
            case .success(let value) = try connection().callReturningError(
                .modelHistory, ModelParams(model: model))
        else { return [] }
        return try Self.decode([VersionSummary].self, value)
    }

    /// Reads an answer; members that a later daemon added are ignored.
    static func decode<R: Decodable>(_ type: R.Type, _ value: JSONValue) throws(ClientError) -> R {
        do { return try value.decode(type, allowUnknown: true) } catch {
            throw ClientError(
                .protocolMismatch, "the daemon's answer cannot be read: \(error)",
                hint: "use client and daemon of one version")
        }
    }
}

/// A command that talks to the daemon.
protocol ClientCommand: ParsableCommand {
    var options: GlobalOptions { get }
    /// Does what the command says.
    func run(in session: Session) throws(ClientError)
}

extension ClientCommand {
    mutating func run() throws {
        let session = Session(options)
        do { try run(in: session) } catch {
            session.output.failure(error)
            throw ClientError.silent(error.status)
        }
        session.output.progress("")
    }
}
