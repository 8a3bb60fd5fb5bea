// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc
import Protocol

/// A client that speaks the protocol by hand: whole lines, or any bytes. Every wait has a limit.
package final class RawConnection {
    /// The socket.
    package let descriptor: Int32
    /// Notifications that came while an answer was awaited.
    package private(set) var notifications: [JSONValue] = []
    private var buffer: [UInt8] = []
    private var serial: Int64 = 0
    private var isOpen = true

    /// Connects.
    /// - Parameter type: `SOCK_STREAM` for the control socket, `SOCK_SEQPACKET` for the descriptor socket.
    package init(_ path: String, type: __socket_type = SOCK_STREAM) throws {
        descriptor = socket(AF_UNIX, Int32(type.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        guard path.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw TestFailure("the path of the socket is too long")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let connected = withUnsafePointer(to: address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard connected == 0 else {
            let reason = String(cString: strerror(errno))
            Glibc.close(descriptor)
            isOpen = false
            throw TestFailure("cannot connect to \(path): \(reason)")
        }
    }

    deinit { close() }

    /// Hangs up.
    package func close() {
        if isOpen { Glibc.close(descriptor) }
        isOpen = false
    }

    /// Says that nothing more will be sent.
    package func endOutput() { shutdown(descriptor, Int32(SHUT_WR)) }

    /// Sends bytes as they are, all of them.
    /// - Throws: ``TestFailure`` when the other side takes nothing for `seconds`, or has hung up.
    package func send(_ bytes: [UInt8], seconds: Double = 60) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            try wait(for: Int16(POLLOUT), seconds)
            let flags = Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
            let sent = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, flags) }
            if sent < 0, errno == EAGAIN { continue }
            guard sent > 0 else { throw TestFailure("the other side has hung up") }
            rest = rest.dropFirst(sent)
        }
    }

    /// Sends a line; the line feed is added.
    package func send(_ line: String) throws { try send(Array(line.utf8) + [0x0A]) }

    /// The next line; `nil` at the end.
    package func line(seconds: Double = 60) throws -> JSONValue? {
        while true {
            if let end = buffer.firstIndex(of: 0x0A) {
                let line = Array(buffer[..<end])
                buffer.removeFirst(end + 1)
                return try StrictJSON.parse(line)
            }
            guard try fill(seconds) else { return nil }
        }
    }

    /// Reads once; false at the end.
    private func fill(_ seconds: Double) throws -> Bool {
        try wait(for: Int16(POLLIN), seconds)
        var chunk = [UInt8](repeating: 0, count: 256 << 10)
        let count = recv(descriptor, &chunk, chunk.count, 0)
        guard count > 0 else { return false }
        buffer += chunk[..<count]
        return true
    }

    private func wait(for events: Int16, _ seconds: Double) throws {
        var watched = pollfd(fd: descriptor, events: events, revents: 0)
        guard poll(&watched, 1, Int32(seconds * 1000)) > 0 else {
            throw TestFailure("nothing happened on the socket within \(seconds) s")
        }
    }

    /// Whether the other side hangs up within the time; what it still says is dropped.
    package func isHungUp(seconds: Double = 60) throws -> Bool {
        while try fill(seconds) { buffer = [] }
        return true
    }

    /// Takes the greeting and answers it.
    /// - Returns: The greeting's parameters.
    @discardableResult
    package func greet() throws -> JSONValue {
        guard let hello = try line(), hello["method"] == "hello", let params = hello["params"] else {
            throw TestFailure("the server did not greet")
        }
        let reply = try request(
            "session.hello", ["protocol": 1, "client": ["name": "tests", "version": "1"]])
        guard reply["result"] != nil else { throw TestFailure("the handshake failed: \(reply)") }
        return params
    }

    /// Sends a request and waits for its answer, the whole line; notifications on the way are kept.
    package func request(_ method: String, _ params: JSONValue? = nil) throws -> JSONValue {
        serial += 1
        try send(RPCMessage.request(id: .number(serial), method: method, params: params))
        return try answer(to: .integer(serial))
    }

    /// Waits for the answer with this id.
    package func answer(to id: JSONValue, seconds: Double = 60) throws -> JSONValue {
        while let line = try line(seconds: seconds) {
            if line["id"] == id { return line }
            notifications.append(line)
        }
        throw TestFailure("the server hung up before it answered")
    }

    /// Sends a request and takes its result.
    /// - Throws: The error of the answer as ``RPCError``.
    package func result<T: Decodable>(_ type: T.Type = T.self, _ method: String, _ params: JSONValue? = nil)
        throws -> T
    {
        let reply = try request(method, params)
        if let error = reply["error"] {
            throw try JSONValueDecoder.decode(RPCError.self, from: error, allowUnknown: true)
        }
        return try JSONValueDecoder.decode(type, from: reply["result"] ?? .null, allowUnknown: true)
    }

    /// The same, with the type that the result is used as.
    package func result<T: Decodable>(_ method: String, _ params: JSONValue? = nil) throws -> T {
        try result(T.self, method, params)
    }

    /// The next notification `event` of any subscription.
    package func event(seconds: Double = 60) throws -> Event {
        if !notifications.isEmpty { return try Self.event(notifications.removeFirst()) }
        guard let line = try line(seconds: seconds) else { throw TestFailure("the server hung up") }
        return try Self.event(line)
    }

    private static func event(_ line: JSONValue) throws -> Event {
        guard line["method"] == "event", let params = line["params"] else {
            throw TestFailure("no event: \(line)")
        }
        return try JSONValueDecoder.decode(EventNotification.self, from: params, allowUnknown: true).event
    }

    /// Sends one packet with descriptors on a descriptor socket and takes the answer.
    package func pass(_ packet: String, _ descriptors: [Int32]) throws -> DescriptorReply {
        let bytes = Array(packet.utf8)
        let sent = bytes.withUnsafeBytes {
            cl_send(descriptor, $0.baseAddress, $0.count, descriptors, Int32(descriptors.count))
        }
        guard sent == bytes.count else { throw TestFailure("the packet was not sent: \(sent)") }
        try wait(for: Int16(POLLIN), 20)
        var reply = [UInt8](repeating: 0, count: 64 << 10)
        let count = recv(descriptor, &reply, reply.count, 0)
        guard count > 0 else { throw TestFailure("no answer on the descriptor socket") }
        return try JSONValueDecoder.decode(
            DescriptorReply.self, from: StrictJSON.parse(Array(reply[..<count])), allowUnknown: true)
    }
}
