// SPDX-License-Identifier: Apache-2.0

/// The protocol's version and the sizes that both sides keep to; the hello announces them.
package struct ProtocolLimits: Codable, Hashable, Sendable {
    /// The only version spoken.
    package static let version = 1

    /// Longest line from a client, bytes, without the line feed.
    package var line = 1 << 20
    /// Longest line from the server, bytes.
    package var reply = 4 << 20
    /// Requests in flight on one connection.
    package var inflight = 32
    /// Deepest nesting of a request.
    package var depth = 64
    /// Raw bytes in one `blob.chunk`.
    package var chunk = 512 << 10
    /// Seconds within which the client must answer the hello.
    package var handshake = 10

    /// The limits in force.
    package init() {}
}
