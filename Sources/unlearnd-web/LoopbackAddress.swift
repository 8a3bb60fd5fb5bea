// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc

/// An address of this machine that no other machine can reach, and a port.
struct LoopbackAddress: Hashable, Sendable, CustomStringConvertible {
    let host: String
    let port: Int

    /// Where the program listens unless told otherwise.
    static let standard = LoopbackAddress(host: "127.0.0.1", port: 8475)

    private init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// `127.0.0.1:8475` or `[::1]:8475`.
    /// - Throws: `ValidationError` for anything else, above all for addresses that others can reach.
    init(argument: String) throws {
        guard let colon = argument.lastIndex(of: ":"),
            let port = UInt16(argument[argument.index(after: colon)...]).map(Int.init)
        else {
            throw ValidationError(
                "\(argument) is not an address and a port; write for example 127.0.0.1:8475")
        }
        let host = argument[..<colon]
        if host == "[::1]" {
            self.init(host: "::1", port: port)
            return
        }
        var address = in_addr()
        guard inet_pton(AF_INET, String(host), &address) == 1, UInt32(bigEndian: address.s_addr) >> 24 == 127
        else {
            throw ValidationError(
                "\(host) is no loopback address: there is no password, so only this machine is served; use 127.0.0.1 or [::1] "
                    + "and put a server that knows its users in front")
        }
        self.init(host: String(host), port: port)
    }

    /// `address` with the port that the system chose.
    static func text(_ address: LoopbackAddress, _ port: Int?) -> String {
        LoopbackAddress(host: address.host, port: port ?? address.port).description
    }

    var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
