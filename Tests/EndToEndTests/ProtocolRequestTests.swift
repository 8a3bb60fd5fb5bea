// SPDX-License-Identifier: Apache-2.0

import Protocol
import TestSupport
import Testing

/// Requests, their order, and their errors.
struct ProtocolRequestTests {
    private func kind(_ answer: JSONValue) -> String? { answer["error"]?["data"]?["kind"]?.stringValue }

    @Test func `unknown methods and members are refused with a suggestion`() throws {
        let daemon = try RunningDaemon()
        let connection = try daemon.session()
        let method = try connection.request("job.lst")
        #expect(kind(method) == "method_not_found")
        #expect(method["error"]?["data"]?["hint"]?.stringValue?.contains("job.list") == true)
        let member = try connection.request("job.list", ["limt": 3])
        #expect(kind(member) == "invalid_params")
        #expect(member["error"]?["data"]?["field"] == "limt")
        let wrong = try connection.request("job.show", ["job": "seven"])
        #expect(kind(wrong) == "invalid_params")
        #expect(wrong["error"]?["data"]?["field"] == "job")
        #expect(kind(try connection.request("system.ping", ["x": 1])) == "invalid_params")
        #expect(kind(try connection.request("job.show", ["job": 12345])) == "not_found")
        #expect(kind(try connection.request("model.show", ["model": "nobody"])) == "not_found")
        #expect(kind(try connection.request("dataset.show", ["dataset": "0123456789"])) == "not_found")
    }

    @Test func `a refused parameter has no effect`() throws {
        let daemon = try RunningDaemon()
        let connection = try daemon.session()
        #expect(kind(try connection.request("queue.pause", ["force": true])) == "invalid_params")
        let status: QueueStatus = try connection.result("queue.status")
        #expect(!status.paused)
    }

    @Test func `the schema names every method and every error`() throws {
        let daemon = try RunningDaemon()
        let schema: JSONValue = try daemon.session().result("system.schema")
        let methods = schema["methods"]?.objectValue?.keys ?? []
        #expect(Set(methods) == Set(Method.allCases.map(\.rawValue)))
        #expect(schema["errors"]?.arrayValue?.count == RPCError.Kind.allCases.count)
    }

    @Test func `changes of one connection happen in the order they were sent`() throws {
        let daemon = try RunningDaemon()
        let connection = try daemon.session()
        let lines = (0..<30).map {
            #"{"jsonrpc":"2.0","id":\#($0 + 100),"method":"queue.\#($0 % 2 == 0 ? "pause" : "resume")"}"#
        }
        try connection.send(lines.joined(separator: "\n"))
        for index in 0..<30 {
            let answer = try #require(try connection.line())
            #expect(answer["id"] == .integer(Int64(index + 100)))
            #expect(answer["result"]?["paused"] == .bool(index % 2 == 0))
        }
        let status: QueueStatus = try connection.result("queue.status")
        #expect(!status.paused)
    }

    @Test func `too many requests at once are refused at once, and a ping still gets through`() throws {
        let daemon = try RunningDaemon()
        let connection = try daemon.session()
        let lines = (0..<200).map { #"{"jsonrpc":"2.0","id":\#($0),"method":"queue.pause"}"# }
        try connection.send(
            lines.joined(separator: "\n") + "\n" + #"{"jsonrpc":"2.0","id":"p","method":"system.ping"}"#)
        var (served, refused) = (0, 0)
        var pinged = false
        for _ in 0..<201 {
            let answer = try #require(try connection.line())
            if answer["id"] == "p" { pinged = answer["result"] != nil; continue }
            if answer["result"] != nil { served += 1 }
            if kind(answer) == "too_many_inflight" { refused += 1 }
        }
        #expect(pinged)
        #expect(served >= ProtocolLimits().inflight)
        #expect(refused > 0)
        #expect(served + refused == 200)
    }

    @Test func `an id in use is refused`() throws {
        let daemon = try RunningDaemon()
        let connection = try daemon.session()
        try connection.send(#"{"jsonrpc":"2.0","id":"s","method":"events.subscribe"}"#)
        #expect(try connection.answer(to: "s")["result"] != nil)
        try connection.send(#"{"jsonrpc":"2.0","id":"s","method":"system.ping"}"#)
        #expect(kind(try connection.answer(to: "s")) == "invalid_request")
    }

    @Test func `changes that were sent are made although the client hangs up`() throws {
        let daemon = try RunningDaemon()
        let connection = try daemon.session()
        try connection.send(
            #"{"jsonrpc":"2.0","id":1,"method":"queue.resume"}"# + "\n"
                + #"{"jsonrpc":"2.0","id":2,"method":"queue.pause"}"#)
        connection.close()
        let other = try daemon.session()
        try daemon.eventually("the queue is paused") {
            try other.result(QueueStatus.self, "queue.status").paused
        }
    }

    @Test func `a client that does not read costs the daemon little, and others nothing`() throws {
        let daemon = try RunningDaemon()
        let before = daemon.residentBytes
        let lazy = try daemon.session()
        let burst = Array(
            (0..<200).map { #"{"jsonrpc":"2.0","id":\#($0 + 10),"method":"system.schema"}"# + "\n" }.joined()
                .utf8)
        // Ends when the server no longer reads and the kernel's buffers are full.
        var bursts = 0
        while bursts < 5000, (try? lazy.send(burst, seconds: 1)) != nil { bursts += 1 }
        #expect(bursts < 5000)
        #expect(try daemon.session().request("system.ping")["result"] != nil)
        #expect(daemon.residentBytes - before < 96 << 20)
    }

    @Test func `the audit log and the store answer on a fresh daemon`() throws {
        let daemon = try RunningDaemon()
        let connection = try daemon.session()
        _ = try connection.request("queue.pause")
        let rows: [AuditRow] = try connection.result("audit.log")
        #expect(rows.contains { $0.action == "queue.pause" })
        let verdict: AuditVerifyResult = try connection.result("audit.verify")
        #expect(verdict.valid)
        let status: StoreStatus = try connection.result("store.status")
        #expect(status.versions == 0)
        let info: SystemInfo = try connection.result("system.info")
        #expect(info.pid == Int(daemon.process?.pid ?? 0))
        #expect(try connection.result([ModelSummary].self, "model.list").isEmpty)
        #expect(try connection.result([Job].self, "job.list").isEmpty)
    }
}
