// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc

/// A request over HTTP to this machine, sent as it is written.
package enum HTTPRequest {
    /// What a server said.
    package struct Answer: Sendable {
        package var status: Int
        /// The lines before the body.
        package var head: String
        package var body: String
    }

    /// Sends `text` to a port of 127.0.0.1 and reads until the server hangs up.
    /// - Throws: ``TestFailure`` where nobody listens, or where no answer comes within `seconds`.
    package static func send(_ text: String, port: Int, seconds: Int = 20) throws -> Answer {
        let bytes = try raw(text, port: port, seconds: seconds)
        guard let end = bytes.range(of: "\r\n\r\n"),
            let status = bytes.split(separator: " ", maxSplits: 2).dropFirst().first.flatMap({ Int($0) })
        else { throw TestFailure("no HTTP: \(bytes)") }
        return Answer(
            status: status, head: String(bytes[..<end.lowerBound]), body: String(bytes[end.upperBound...]))
    }

    /// Asks for a path.
    package static func get(_ path: String, port: Int, host: String = "localhost") throws -> Answer {
        try send("GET \(path) HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n\r\n", port: port)
    }

    /// ``send(_:port:seconds:)`` with the answer as it came.
    package static func raw(_ text: String, port: Int, seconds: Int = 20) throws -> String {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw TestFailure("no socket") }
        defer { close(descriptor) }
        var patience = timeval(tv_sec: seconds, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        let connected = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard connected == 0 else { throw TestFailure("nobody listens on port \(port)") }
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let sent = rest.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            guard sent > 0 else { break }
            rest = rest.dropFirst(sent)
        }
        var answer: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count == 0 || count < 0 && errno == ECONNRESET { break }
            guard count > 0 else {
                throw TestFailure("no end within \(seconds) s: \(String(decoding: answer, as: UTF8.self))")
            }
            answer += buffer[..<count]
        }
        return String(decoding: answer, as: UTF8.self)
    }
}
