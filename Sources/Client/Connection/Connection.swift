// SPDX-License-Identifier: Apache-2.0

import Glibc
import Protocol

/// A session with the daemon: requests and their answers, and the events in between.
package final class Connection {
    /// What arrives.
    package enum Message {
        case reply(id: Int64, Result<JSONValue, RPCError>)
        case event(Event, raw: JSONValue)
    }

    /// Seconds within which a daemon must greet, and answer the client's greeting.
    package static let greetingTime = 2.0
    /// Seconds within which an answer must come.
    package static let answerTime = 120.0

    package let path: String
    package private(set) var hello: Hello
    private let socket: UnixSocket
    private var reader = LineReader(limit: ProtocolLimits().reply)
    private var waiting: [Message] = []
    private var lastID: Int64 = 0

    /// Connects and exchanges greetings.
    /// - Parameters:
    ///   - program: What the client calls itself.
    ///   - patience: Seconds within which a daemon must greet, and answer the client's greeting.
    /// - Throws: ``ClientError`` with status 69, 76, 77 or 78, naming the socket and the remedy.
    package init(
        path: String, program: String, patience: Double = Connection.greetingTime
    ) throws(ClientError) {
        self.path = path
        let deadline = Deadline(in: patience)
        do { socket = try UnixSocket(path: path, type: SOCK_STREAM, deadline: deadline) } catch {
            throw Self.describe(error, path)
        }
        hello = Hello(server: .init(name: "", version: ""), instance: "", capabilities: [], fdSocket: "")
        guard let line = try nextLine(deadline) else { throw Self.silence(path) }
        let first = try Self.parse(line, path)
        if let refusal = try? first["error"]?.decode(RPCError.self, allowUnknown: true) {
            throw ClientError(refusal)
        }
        guard case .object(let greeting) = first, greeting["method"] == "hello",
            let hello = try? greeting["params"]?.decode(Hello.self, allowUnknown: true)
        else {
            throw ClientError(
                .protocolMismatch, "what answers at \(path) is not unlearnd", hint: "check --socket")
        }
        self.hello = hello
        guard
            (hello.protocol.min...max(hello.protocol.min, hello.protocol.max)).contains(
                ProtocolLimits.version)
        else {
            throw ClientError(
                .protocolMismatch,
                "unlearnd \(hello.server.version) speaks protocol \(hello.protocol.min) to \(hello.protocol.max), "
                    + "this client \(ProtocolLimits.version)", hint: "use client and daemon of one version")
        }
        let client = Hello.Program(name: program, version: Software.version)
        let answer = try callReturningError(
            .sessionHello, SessionHelloParams(client: client), deadline: Deadline(in: patience))
        if case .failure(let refusal) = answer { throw ClientError(refusal) }
    }

    /// Sends a request and waits for its answer; events that come meanwhile wait their turn.
    /// - Throws: ``ClientError`` for the daemon's refusal, silence or end.
    @discardableResult
    package func call(
        _ method: Method, _ params: some Encodable = NoParams(), deadline: Deadline? = nil
    ) throws(ClientError) -> JSONValue {
        let answer: Result<JSONValue, RPCError>
        do { answer = try callReturningError(method, params, deadline: deadline) } catch {
            guard error.status == .notReachable, deadline?.isOver == true else { throw error }
            throw ClientError(.timedOut, "timed out waiting for unlearnd's answer to \(method.rawValue)")
        }
        switch answer {
        case .success(let value): return value
        case .failure(let error): throw ClientError(error)
        }
    }

    /// ``call(_:_:deadline:)`` with the daemon's refusal as a value.
    package func callReturningError(
        _ method: Method, _ params: some Encodable = NoParams(), deadline: Deadline? = nil
    ) throws(ClientError) -> Result<JSONValue, RPCError> {
        let id = try send(method, params)
        let end = deadline ?? Deadline(in: Self.answerTime)
        while let message = try read(end) {
            if case .reply(let answered, let result) = message, answered == id { return result }
            if case .event = message { waiting.append(message) }
        }
        throw Self.silence(path)
    }

    /// Sends a request whose answer ``next(_:)`` will bring.
    /// - Returns: Its id.
    package func send(_ method: Method, _ params: some Encodable) throws(ClientError) -> Int64 {
        lastID += 1
        let value: JSONValue
        do { value = try JSONValue(encoding: params) } catch {
            throw ClientError(.usage, "the request cannot be written: \(error)")
        }
        let line = RPCMessage.request(id: .number(lastID), method: method.rawValue, params: value)
        guard line.count <= hello.limits.line else {
            throw ClientError(
                .usage, "the request has \(line.count) bytes; the daemon reads \(hello.limits.line)",
                hint: "shorten the text, the labels or the note")
        }
        do { try socket.send(line, deadline: Deadline(in: Self.answerTime)) } catch {
            throw Self.describe(error, path)
        }
        return lastID
    }

    /// The next message, or `nil` when `deadline` is over.
    package func next(_ deadline: Deadline?) throws(ClientError) -> Message? {
        waiting.isEmpty ? try read(deadline) : waiting.removeFirst()
    }

    private func read(_ deadline: Deadline?) throws(ClientError) -> Message? {
        while let line = try nextLine(deadline) {
            let value = try Self.parse(line, path)
            if case .integer(let id)? = value["id"] {
                if let result = value["result"] { return .reply(id: id, .success(result)) }
                let error = try? value["error"]?.decode(RPCError.self, allowUnknown: true)
                return .reply(
                    id: id, .failure(error ?? RPCError(.internal, "the daemon's answer cannot be read")))
            }
            if value["method"] == "event", let raw = value["params"]?["event"],
                let event = try? raw.decode(Event.self, allowUnknown: true)
            {
                return .event(event, raw: raw)
            }
            if let error = try? value["error"]?.decode(RPCError.self, allowUnknown: true) {
                throw ClientError(error)
            }
        }
        return nil
    }

    private func nextLine(_ deadline: Deadline?) throws(ClientError) -> [UInt8]? {
        while true {
            if let line = reader.next() { return line }
            if reader.isOverlong {
                throw ClientError(
                    .protocolMismatch, "unlearnd at \(path) sent a line of more than \(reader.limit) bytes")
            }
            do {
                guard try socket.waitReadable(deadline) else { return nil }
                reader.append(try socket.receive())
            } catch { throw Self.describe(error, path) }
        }
    }

    private static func parse(_ line: [UInt8], _ path: String) throws(ClientError) -> JSONValue {
        do { return try StrictJSON.parse(line) } catch {
            throw ClientError(.protocolMismatch, "what answers at \(path) does not speak JSON: \(error)")
        }
    }

    private static func silence(_ path: String) -> ClientError {
        ClientError(
            .notReachable, "unlearnd at \(path) accepted the connection but does not answer",
            hint: "see what it does: systemctl status unlearnd; journalctl -u unlearnd")
    }

    private static func describe(_ failure: UnixSocket.Failure, _ path: String) -> ClientError {
        switch failure {
        case .pathTooLong(let length):
            return ClientError(
                .configuration,
                "the socket path has \(length) bytes; \(StandardPaths.longestSocketPath) fit: \(path)",
                hint: "choose a shorter path with --socket or UNLEARND_SOCKET, for client and daemon")
        case .cannotConnect(let system) where system.number == EACCES || system.number == EPERM:
            return ClientError(
                .notReachable, "cannot connect to unlearnd at \(path): \(system)",
                hint:
                    "you may not be in the group “unlearn”: sudo usermod -aG unlearn $USER, then log in anew")
        case .cannotConnect(let system):
            return ClientError(
                .notReachable, "cannot connect to unlearnd at \(path): \(system)",
                hint: "is the service running? systemctl status unlearnd, or start your own: unlearnd run")
        case .timedOut: return silence(path)
        case .closed:
            return ClientError(
                .notReachable, "unlearnd at \(path) closed the connection",
                hint: "jobs go on or are taken up again; look with: unlearnctl ps")
        case .broken(let system):
            return ClientError(.notReachable, "the connection to unlearnd at \(path) failed: \(system)")
        }
    }
}
