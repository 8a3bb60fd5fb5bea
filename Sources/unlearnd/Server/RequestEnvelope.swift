// SPDX-License-Identifier: Apache-2.0

import Protocol

/// One line of a client, taken apart as far as the envelope goes.
enum RequestEnvelope: Equatable, Sendable {
    /// A request that is answered exactly once.
    case request(id: RequestID, method: String, params: JSONValue)
    /// `$/cancel`: the client no longer wants the answer, or the events, of one of its requests.
    case cancel(RequestID)

    /// Why a line is no request, and which request it would have been.
    struct Fault: Error, Equatable, Sendable {
        var id: RequestID?
        var error: RPCError
    }

    private static let limits = StrictJSON.Limits(
        depth: ProtocolLimits().depth, membersPerObject: 4096, values: 1 << 18)

    /// Reads a line.
    static func parse(_ line: [UInt8]) throws(Fault) -> RequestEnvelope {
        let value: JSONValue
        do { value = try StrictJSON.parse(line, limits: limits) } catch {
            throw Fault(error: RPCError(.parseError, "the line is no JSON: \(error)"))
        }
        guard let object = value.objectValue else {
            throw Fault(
                error: RPCError(
                    .invalidRequest, "a request is one JSON object, not \(value.kindName)",
                    hint: value.arrayValue == nil ? nil : "send the requests of a batch one after the other"))
        }
        let id = object["id"].flatMap(RequestID.init)
        func fault(_ message: String, _ field: String, hint: String? = nil) -> Fault {
            Fault(id: id, error: RPCError(.invalidRequest, message, hint: hint, field: field))
        }
        for key in object.keys where !["jsonrpc", "id", "method", "params"].contains(key) {
            throw fault("a request has no member \"\(key.prefix(64))\"", String(key.prefix(64)))
        }
        guard object["jsonrpc"]?.stringValue == "2.0" else {
            throw fault("a request says \"jsonrpc\": \"2.0\"", "jsonrpc")
        }
        guard let method = object["method"]?.stringValue else {
            throw fault("a request names its method", "method")
        }
        let params = object["params"] ?? .object(JSONObject())
        guard params.objectValue != nil else {
            throw fault("params must be an object, not \(params.kindName)", "params")
        }
        if method == "$/cancel", object["id"] == nil {
            guard let target = params["id"].flatMap(RequestID.init), params.objectValue?.count == 1 else {
                throw fault("$/cancel names the request in params.id", "params.id")
            }
            return .cancel(target)
        }
        guard let id else {
            throw fault(
                object["id"] == nil
                    ? "a request needs an id"
                    : "an id is a whole number from 0 or a string of at most 64 bytes",
                "id", hint: object["id"] == nil ? "only $/cancel has none" : nil)
        }
        return .request(id: id, method: method, params: params)
    }
}
