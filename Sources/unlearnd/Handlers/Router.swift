// SPDX-License-Identifier: Apache-2.0

import Logging
import Protocol

/// Which code answers which method.
struct Router: Sendable {
    /// One method's code.
    private struct Route: Sendable {
        var answer: @Sendable (JSONValue, Session) async throws(RPCError) -> JSONValue
    }

    private var routes: [Method: Route] = [:]
    /// The types of all methods.
    private(set) var schema = ProtocolSchema()
    private let logger: Logger
    private let refusals: RefusalLog

    init(logger: Logger, refusals: RefusalLog) {
        self.logger = logger
        self.refusals = refusals
    }

    /// Sets the code of a method.
    mutating func on<Params: Codable & Sendable, Result: Codable & Sendable>(
        _ method: Method, _ body: @escaping @Sendable (Params, Session) async throws(RPCError) -> Result
    ) {
        describe(method, Params.self, Result.self)
        routes[method] = Route { params, session throws(RPCError) in
            try Self.encode(try await body(try Self.decode(Params.self, params), session))
        }
    }

    /// Names the types of a method for the schema: of one that a connection answers itself.
    mutating func describe<Params: Codable & Sendable, Result: Codable & Sendable>(
        _ method: Method, _ params: Params.Type, _ result: Result.Type
    ) {
        schema.add(method, params, result)
    }

    /// Answers one request with one line.
    func answer(_ method: Method, id: RequestID, params: JSONValue, session: Session) async -> [UInt8] {
        guard let route = routes[method] else {
            return RPCMessage.failure(id: id, RPCError(.methodNotFound, "\(method.rawValue) is not served"))
        }
        do {
            let result = try await route.answer(params, session)
            return Self.bounded(id, RPCMessage.result(id: id, result))
        } catch {
            return RPCMessage.failure(id: id, reported(error, method, session.peer))
        }
    }

    /// Gives an internal error a number that is in the log too, and a refusal a row of the audit log.
    func reported(_ error: RPCError, _ method: Method, _ peer: Peer) -> RPCError {
        if error.kind == .permissionDenied { refusals.refused(peer.uid, method.rawValue, error.kind) }
        guard error.kind == .internal else { return error }
        let incident = String(RandomToken.make().prefix(8))
        logger.error(
            "a request failed: \(error.message)",
            metadata: ["incident": .string(incident), "method": .string(method.rawValue)])
        var error = error
        error.hint = [error.hint, "the daemon's log has it as incident \(incident)"].compactMap(\.self)
            .joined(separator: "; ")
        return error
    }

    /// A line, or an error in place of one that no client has to take.
    static func bounded(_ id: RequestID, _ line: [UInt8]) -> [UInt8] {
        let limit = ProtocolLimits().reply
        guard line.count > limit + 1 else { return line }
        return RPCMessage.failure(
            id: id,
            RPCError(
                .lineTooLong, "the answer has \(line.count) bytes; a line has at most \(limit)",
                hint: "ask for less, for example with limit"))
    }

    /// Reads parameters; refuses members that the type does not know.
    static func decode<T: Decodable>(_ type: T.Type, _ params: JSONValue) throws(RPCError) -> T {
        do { return try JSONValueDecoder.decode(type, from: params) } catch {
            let place = error.field.isEmpty ? "params" : error.field
            throw RPCError(
                .invalidParams, "\(place) \(error.reason)", field: error.field.isEmpty ? nil : error.field)
        }
    }

    /// The JSON form of a result.
    static func encode(_ value: some Encodable) throws(RPCError) -> JSONValue {
        do { return try JSONValue(encoding: value) } catch {
            throw RPCError(.internal, "the result cannot be written: \(error)")
        }
    }
}
