// SPDX-License-Identifier: Apache-2.0

import Protocol

extension Connection {
    /// Asks the daemon for a known type.
    package func call<R: Decodable>(
        _ method: Method, _ params: some Encodable = NoParams(), as type: R.Type, deadline: Deadline? = nil
    ) throws(ClientError) -> R { try Self.decode(type, try call(method, params, deadline: deadline)) }

    /// Reads an answer; members that a later daemon added are ignored.
    package static func decode<R: Decodable>(_ type: R.Type, _ value: JSONValue) throws(ClientError) -> R {
        do { return try value.decode(type, allowUnknown: true) } catch {
            throw ClientError(
                .protocolMismatch, "the daemon's answer cannot be read: \(error)",
                hint: "use client and daemon of one version")
        }
    }
}
