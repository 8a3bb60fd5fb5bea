// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Client
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
        path = options.socket ?? SocketPath.standard
        deadline = options.timeout.map { Deadline(in: $0.value) }
        isConfirmed = options.yes
    }

    /// The connection, made when first asked for.
    func connection() throws(ClientError) -> Connection {
        if let open { return open }
        let made = try Connection(path: path, program: "unlearnctl")
        open = made
        return made
    }

    /// Forgets a connection that broke.
    func disconnect() { open = nil }

    /// Asks the daemon.
    @discardableResult
    func call(_ method: Method, _ params: some Encodable = NoParams()) throws(ClientError) -> JSONValue {
        try connection().call(method, params, deadline: deadline)
    }

    /// Asks the daemon for a known type.
    func call<R: Decodable>(
        _ method: Method, _ params: some Encodable = NoParams(), as type: R.Type
    ) throws(ClientError) -> R { try connection().call(method, params, as: type, deadline: deadline) }
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
