// SPDX-License-Identifier: Apache-2.0

/// The identifier of a request: a whole number from 0, or a string of at most 64 bytes.
package enum RequestID: Hashable, Sendable {
    case number(Int64)
    case string(String)

    /// Reads an identifier; `nil` when it breaks the rule.
    package init?(_ value: JSONValue) {
        switch value {
        case .integer(let number) where number >= 0 && number <= 1 << 53: self = .number(number)
        case .string(let string) where string.utf8.count <= 64: self = .string(string)
        default: return nil
        }
    }

    /// The JSON form.
    package var value: JSONValue {
        switch self {
        case .number(let number): .integer(number)
        case .string(let string): .string(string)
        }
    }
}

/// JSON-RPC 2.0 envelopes: made and taken apart here and nowhere else.
package enum RPCMessage {
    /// A request line, with its line feed.
    package static func request(id: RequestID, method: String, params: JSONValue?) -> [UInt8] {
        var object: JSONValue = ["jsonrpc": "2.0", "id": id.value, "method": .string(method)]
        if let params, case .object(var members) = object {
            members["params"] = params
            object = .object(members)
        }
        return line(object)
    }

    /// A notification line.
    package static func notification(method: String, params: JSONValue) -> [UInt8] {
        line(["jsonrpc": "2.0", "method": .string(method), "params": params])
    }

    /// A result line.
    package static func result(id: RequestID, _ result: JSONValue) -> [UInt8] {
        line(["jsonrpc": "2.0", "id": id.value, "result": result])
    }

    /// An error line; `id` is `nil` when the request's could not be read.
    package static func failure(id: RequestID?, _ error: RPCError) -> [UInt8] {
        let body = (try? JSONValue(encoding: error)) ?? ["code": -32603, "message": "internal error"]
        return line(["jsonrpc": "2.0", "id": id?.value ?? .null, "error": body])
    }

    private static func line(_ value: JSONValue) -> [UInt8] {
        var bytes = value.serialized()
        bytes.append(0x0A)
        return bytes
    }
}
