// SPDX-License-Identifier: Apache-2.0

import Protocol
import TestSupport
import Testing

/// What goes over the socket before anything is understood.
struct ProtocolFramingTests {
    private static let ping = #"{"jsonrpc":"2.0","id":1,"method":"system.ping"}"#

    @Test func `the server greets first and names its limits`() throws {
        let daemon = try RunningDaemon()
        let connection = try daemon.connect()
        let line = try #require(try connection.line())
        #expect(line["method"] == "hello")
        let params = try #require(line["params"])
        let hello = try JSONValueDecoder.decode(Hello.self, from: params)
        #expect(hello.limits == ProtocolLimits())
        #expect(hello.server.name == "unlearnd")
        #expect(hello.fdSocket.hasPrefix(daemon.directory))
    }

    @Test func `nothing but the handshake is served before it`() throws {
        let daemon = try RunningDaemon()
        let connection = try daemon.connect()
        _ = try connection.line()
        #expect(try connection.request("system.ping")["error"]?["data"]?["kind"] == "not_initialized")
        try connection.send(
            #"{"jsonrpc":"2.0","id":9,"method":"session.hello","params":{"protocol":2,"client":{"name":"t","version":"1"}}}"#
        )
        #expect(try connection.answer(to: 9)["error"]?["code"] == -32031)
        #expect(try connection.isHungUp())
    }

    @Test func `a client that does not answer the greeting is hung up on`() throws {
        let daemon = try RunningDaemon()
        let connection = try daemon.connect()
        _ = try connection.line()
        let last = try #require(try connection.line(seconds: 60))
        #expect(last["error"]?["data"]?["kind"] == "not_initialized")
        #expect(try connection.isHungUp())
    }

    @Test func `the handshake is done once and tells the role`() throws {
        let daemon = try RunningDaemon()
        let connection = try daemon.connect()
        _ = try connection.line()
        let params: JSONValue = ["protocol": 1, "client": ["name": "t", "version": "1"]]
        let terms: SessionHelloResult = try connection.result("session.hello", params)
        #expect(terms.role == .admin)
        #expect(
            try connection.request("session.hello", params)["error"]?["data"]?["kind"] == "invalid_request")
    }

    @Test func `a line of the full length is read, one byte more ends the connection`() throws {
        let daemon = try RunningDaemon()
        let limit = ProtocolLimits().line
        let padding = Array(repeating: UInt8(ascii: " "), count: limit - Self.ping.utf8.count)
        let good = try daemon.session()
        try good.send(Array(Self.ping.utf8) + padding + [0x0D, 0x0A])
        #expect(try good.answer(to: 1)["result"] != nil)
        let bad = try daemon.session()
        try bad.send(Array(Self.ping.utf8) + padding + [0x20, 0x0A])
        let answer = try #require(try bad.line())
        #expect(answer["error"]?["data"]?["kind"] == "line_too_long")
        #expect(answer["id"] == .null)
        #expect(try bad.isHungUp())
        // An endless line is cut off too, before its end is seen.
        let endless = try daemon.session()
        try? endless.send(Array(repeating: 0x61, count: limit + 200_000))
        #expect(try endless.line()?["error"]?["code"] == -32010)
        #expect(try endless.isHungUp())
    }

    @Test func `carriage returns and empty lines mean nothing`() throws {
        let daemon = try RunningDaemon()
        let connection = try daemon.session()
        try connection.send("\r\n\n  \n" + Self.ping + "\r")
        #expect(try connection.line()?["result"] != nil)
    }

    @Test(arguments: [
        Array("{".utf8), Array("hello".utf8),
        Array(#"{"jsonrpc":"2.0","id":1,"id":1,"method":"system.ping"}"#.utf8),
        Array("\u{FEFF}{}".utf8), [0x22, 0xFF, 0x22], [0x22, 0x00, 0x22], [0xC0, 0x80], Array("[1] [2]".utf8),
        Array((String(repeating: "[", count: 65) + String(repeating: "]", count: 65)).utf8),
        Array("1e999999x".utf8),
        Array(#"{"a":"\ud800"}"#.utf8),
    ])
    func `what is no JSON is refused, and the connection lives`(_ bytes: [UInt8]) throws {
        let daemon = try RunningDaemon()
        let connection = try daemon.session()
        try connection.send(bytes + [0x0A])
        let answer = try #require(try connection.line())
        #expect(answer["error"]?["data"]?["kind"] == "parse_error")
        #expect(answer["id"] == .null)
        #expect(try connection.request("system.ping")["result"] != nil)
    }

    @Test func `envelopes that break the rules are refused with the id if there is one`() throws {
        let daemon = try RunningDaemon()
        let connection = try daemon.session()
        let long = String(repeating: "x", count: 65)
        let bad: [(line: String, id: JSONValue)] = [
            ("[]", .null), ("[\(Self.ping)]", .null), ("1", .null), ("null", .null),
            (#"{"jsonrpc":"2.0","method":"system.ping"}"#, .null),
            (#"{"jsonrpc":"2.0","id":null,"method":"system.ping"}"#, .null),
            (#"{"jsonrpc":"2.0","id":-1,"method":"system.ping"}"#, .null),
            (#"{"jsonrpc":"2.0","id":1.5,"method":"system.ping"}"#, .null),
            (#"{"jsonrpc":"2.0","id":9007199254740993,"method":"system.ping"}"#, .null),
            (#"{"jsonrpc":"2.0","id":"\#(long)","method":"system.ping"}"#, .null),
            (#"{"id":2,"method":"system.ping"}"#, 2),
            (#"{"jsonrpc":"1.0","id":2,"method":"system.ping"}"#, 2),
            (#"{"jsonrpc":"2.0","id":2}"#, 2), (#"{"jsonrpc":"2.0","id":2,"method":7}"#, 2),
            (#"{"jsonrpc":"2.0","id":2,"method":"system.ping","params":[]}"#, 2),
            (#"{"jsonrpc":"2.0","id":"a","method":"system.ping","more":1}"#, "a"),
            (#"{"jsonrpc":"2.0","method":"$/cancel","params":{}}"#, .null),
        ]
        for (line, id) in bad {
            try connection.send(line)
            let answer = try #require(try connection.line())
            #expect(answer["error"]?["code"] == -32600, "\(line)")
            #expect(answer["id"] == id, "\(line)")
        }
        #expect(try connection.request("system.ping")["result"] != nil)
    }

    @Test func `an unfinished line at the end of the input is an error`() throws {
        let daemon = try RunningDaemon()
        let connection = try daemon.session()
        try connection.send(Array(Self.ping.utf8))
        connection.endOutput()
        #expect(try connection.line()?["error"]?["code"] == -32700)
        #expect(try connection.isHungUp())
    }

    @Test func `a client that sends all at once and ends its output gets every answer`() throws {
        let daemon = try RunningDaemon()
        let connection = try daemon.connect()
        let hello =
            #"{"jsonrpc":"2.0","id":0,"method":"session.hello","params":{"protocol":1,"client":{"name":"t","version":"1"}}}"#
        let requests = (1...20).map { #"{"jsonrpc":"2.0","id":\#($0),"method":"queue.status"}"# }
        try connection.send(([hello] + requests).joined(separator: "\n"))
        connection.endOutput()
        #expect(try connection.line()?["method"] == "hello")
        var ids: Set<JSONValue> = []
        while let answer = try connection.line() {
            #expect(answer["result"] != nil)
            if let id = answer["id"] { ids.insert(id) }
        }
        #expect(ids == Set((0...20).map { JSONValue.integer($0) }))
    }

    @Test func `hostile bytes leave the daemon as it was`() throws {
        let daemon = try RunningDaemon()
        var random = SplitMix(state: 0x5EED)
        let seeds = [
            Self.ping,
            #"{"jsonrpc":"2.0","id":3,"method":"job.list","params":{"limit":2,"states":["queued"]}}"#,
            #"{"jsonrpc":"2.0","id":4,"method":"job.submit","params":{"spec":{"kind":"ascent","model":"m","parameters":{"epochs":3}}}}"#,
            #"{"jsonrpc":"2.0","id":5,"method":"events.subscribe","params":{"since":1}}"#,
            #"{"jsonrpc":"2.0","id":6,"method":"blob.chunk","params":{"blob":"x","offset":0,"data":"AAAA"}}"#,
            #"{"jsonrpc":"2.0","method":"$/cancel","params":{"id":5}}"#,
        ].map { Array($0.utf8) }
        for round in 0..<60 {
            let connection = round % 3 == 0 ? try daemon.connect() : try daemon.session()
            for _ in 0..<20 {
                var bytes = seeds[Int(random.next() % UInt64(seeds.count))] + [0x0A]
                for _ in 0..<(random.next() % 6) {
                    let place = Int(random.next() % UInt64(bytes.count))
                    switch random.next() % 4 {
                    case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
                    case 1: bytes.insert(UInt8(truncatingIfNeeded: random.next()), at: place)
                    case 2: bytes.remove(at: place)
                    default: bytes += bytes[place...]
                    }
                    if bytes.isEmpty { bytes = [0x0A] }
                }
                // Split anywhere.
                let cut = Int(random.next() % UInt64(bytes.count + 1))
                guard (try? connection.send(Array(bytes[..<cut]))) != nil,
                    (try? connection.send(Array(bytes[cut...]))) != nil
                else { break }
            }
            connection.close()
        }
        #expect(try daemon.session().request("system.ping")["result"] != nil)
        #expect(daemon.process?.exitStatus == nil)
        try daemon.eventually("the connections are gone") { daemon.openDescriptors < 100 }
    }
}

/// A small generator, so that a failure can be repeated.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
