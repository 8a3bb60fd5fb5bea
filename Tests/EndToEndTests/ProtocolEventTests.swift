// SPDX-License-Identifier: Apache-2.0

import Protocol
import TestSupport
import Testing

/// Subscriptions.
struct ProtocolEventTests {
    private func toggle(_ connection: RawConnection, _ times: Int) throws {
        for index in 0..<times {
            let _: QueueStatus = try connection.result(index % 2 == 0 ? "queue.pause" : "queue.resume")
        }
    }

    @Test func `the result comes first, then what happens`() throws {
        let daemon = try RunningDaemon()
        let listener = try daemon.session()
        let start: SubscribeResult = try listener.result("events.subscribe", ["types": ["queue"]])
        #expect(listener.notifications.isEmpty)
        try toggle(try daemon.session(), 3)
        for index in 0..<3 {
            let event = try listener.event()
            #expect(event.type == .queue)
            #expect(event.data["paused"] == .bool(index % 2 == 0))
            #expect(event.seq == start.nextSeq + Int64(index))
        }
    }

    @Test func `a subscription from the past has no gap and no repetition while events arrive`() throws {
        let daemon = try RunningDaemon()
        let writer = try daemon.session()
        try toggle(writer, 10)
        let listener = try daemon.session()
        // The subscription begins amid a row of changes that are under way.
        let lines = (0..<30).map {
            #"{"jsonrpc":"2.0","id":\#(1000 + $0),"method":"queue.\#($0 % 2 == 0 ? "pause" : "resume")"}"#
        }
        try writer.send(lines.joined(separator: "\n"))
        let start: SubscribeResult = try listener.result("events.subscribe", ["since": 1])
        for index in 0..<30 { _ = try writer.answer(to: .integer(Int64(1000 + index))) }
        let end: SubscribeResult = try writer.result("events.subscribe")
        #expect(start.nextSeq <= end.nextSeq)
        var expected: Int64 = 1
        while expected < end.nextSeq {
            let event = try listener.event()
            #expect(event.seq == expected)
            expected += 1
        }
        #expect(end.nextSeq >= 41)
    }

    @Test func `a cancelled subscription says nothing more, and its id is free`() throws {
        let daemon = try RunningDaemon()
        let connection = try daemon.session()
        try connection.send(#"{"jsonrpc":"2.0","id":"s","method":"events.subscribe"}"#)
        _ = try connection.answer(to: "s")
        try connection.send(#"{"jsonrpc":"2.0","method":"$/cancel","params":{"id":"s"}}"#)
        try toggle(connection, 4)
        #expect(connection.notifications.isEmpty)
        try daemon.eventually("the id is free again") {
            try connection.send(#"{"jsonrpc":"2.0","id":"s","method":"system.ping"}"#)
            return try connection.answer(to: "s")["result"] != nil
        }
    }

    @Test func `events go on after the client has ended its output`() throws {
        let daemon = try RunningDaemon()
        let listener = try daemon.session()
        let _: SubscribeResult = try listener.result("events.subscribe")
        listener.endOutput()
        try toggle(try daemon.session(), 1)
        #expect(try listener.event().type == .queue)
        let before = daemon.openDescriptors
        listener.close()
        try daemon.eventually("the subscription ends when its client is gone") {
            daemon.openDescriptors < before
        }
    }

    @Test func `positions that do not exist are refused`() throws {
        let daemon = try RunningDaemon()
        let connection = try daemon.session()
        let ahead = try connection.request("events.subscribe", ["since": 99_999])
        #expect(ahead["error"]?["data"]?["field"] == "since")
        let nobody = try connection.request("events.subscribe", ["jobs": [77], "snapshot": true])
        #expect(nobody["error"]?["data"]?["kind"] == "not_found")
    }

    @Test func `a connection has a limited number of subscriptions`() throws {
        let daemon = try RunningDaemon()
        let connection = try daemon.session()
        for _ in 0..<16 { let _: SubscribeResult = try connection.result("events.subscribe") }
        #expect(try connection.request("events.subscribe")["error"]?["data"]?["kind"] == "too_many_inflight")
    }

    @Test func `the numbers of events go on after a restart`() throws {
        let daemon = try RunningDaemon()
        try toggle(try daemon.session(), 2)
        let first: SubscribeResult = try daemon.session().result("events.subscribe")
        #expect(try daemon.stop() == 0)
        try daemon.start()
        let listener = try daemon.session()
        let second: SubscribeResult = try listener.result(
            "events.subscribe", ["since": .integer(first.nextSeq)])
        #expect(second.nextSeq > first.nextSeq)
        let event = try listener.event()
        #expect(event.seq == first.nextSeq)
        #expect(event.type == .started)
    }
}
