// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Protocol
import TestSupport
import Testing

/// Clients and daemons of different versions.
@Suite(.timeLimit(.minutes(15)))
struct ProtocolVersionTests {
    // MARK: An old client, and one that is not written yet, with this daemon

    /// What the first client wrote, line by line.
    private static let firstClient = [
        #"{"jsonrpc":"2.0","id":1,"method":"session.hello","params":{"client":{"name":"unlearnctl","version":"0.1.0"},"protocol":1}}"#,
        #"{"jsonrpc":"2.0","id":2,"method":"system.ping","params":{}}"#,
        #"{"jsonrpc":"2.0","id":3,"method":"job.submit","params":{"spec":{"hold":true,"kind":"verify","note":"n","priority":1,"seed":7}}}"#,
        #"{"jsonrpc":"2.0","id":4,"method":"job.list","params":{"all":true,"limit":100,"states":["held"]}}"#,
        #"{"jsonrpc":"2.0","id":5,"method":"job.show","params":{"job":1}}"#,
        #"{"jsonrpc":"2.0","id":6,"method":"queue.status","params":{}}"#,
        #"{"jsonrpc":"2.0","id":7,"method":"model.list","params":{}}"#,
        #"{"jsonrpc":"2.0","id":8,"method":"events.subscribe","params":{"jobs":[1],"since":1,"snapshot":true}}"#,
        #"{"jsonrpc":"2.0","id":9,"method":"job.cancel","params":{"job":1}}"#,
        #"{"jsonrpc":"2.0","id":10,"method":"audit.verify","params":{}}"#,
    ]

    /// The members of a job that the first client does not do without.
    private static let firstJob: Set<String> = [
        "id", "kind", "model", "state", "reason", "base", "version", "digest", "head_moved", "head_reason",
        "gate",
        "evaluation", "training", "result", "warnings", "error", "progress", "priority", "attempt", "after",
        "labels",
        "note", "submitter", "created", "at", "started", "finished", "spec",
    ]

    @Test func `what the first client wrote is answered as it expects`() throws {
        let daemon = try RunningDaemon()
        let connection = try daemon.connect()
        _ = try connection.line()
        var answers: [Int64: JSONValue] = [:]
        for (index, line) in Self.firstClient.enumerated() {
            try connection.send(line)
            while let line = try connection.line() {
                guard let id = line["id"]?.integerValue else { continue }
                #expect(line["error"] == nil && id == Int64(index + 1), "\(line)")
                answers[id] = line["result"]
                break
            }
        }
        for id in 1...Int64(Self.firstClient.count) { #expect(answers[id] != nil, "request \(id)") }
        #expect(answers[1]?["protocol"] == 1)
        for job in [answers[3]?["job"], answers[4]?.arrayValue?.first, answers[5]] {
            let members = job?.objectValue?.keys ?? []
            #expect(Self.firstJob.isSubset(of: members))
        }
        let status = Set(answers[6]?.objectValue?.keys ?? [])
        #expect(status.isSuperset(of: ["paused", "jobs", "running"]))
        #expect(answers[8]?["snapshot"]?.arrayValue?.count == 1)
        #expect(answers[9]?["state"] == "cancelled")
    }

    @Test(arguments: [0, 2, -1, 1 << 40])
    func `another protocol is refused by its number, and the connection ends`(_ version: Int64) throws {
        let daemon = try RunningDaemon()
        let connection = try daemon.connect()
        let greeting = try connection.line()
        #expect(greeting?["params"]?["protocol"] == ["max": 1, "min": 1])
        try connection.send(
            #"{"jsonrpc":"2.0","id":1,"method":"session.hello","params":{"protocol":\#(version),"client":{"name":"x","version":"9"}}}"#
        )
        let answer = try connection.answer(to: 1)
        #expect(answer["error"]?["data"]?["kind"] == "unsupported_protocol")
        #expect(answer["error"]?["data"]?["field"] == "protocol")
        #expect(try connection.isHungUp())
    }

    @Test func `a newer client that asks for what is not here yet is told so, and goes on`() throws {
        let daemon = try RunningDaemon()
        let connection = try daemon.session()
        #expect(try connection.request("job.teleport")["error"]?["data"]?["kind"] == "method_not_found")
        let submitted = try connection.request(
            "job.submit", ["spec": ["kind": "verify", "teleport": true], "dry_run": true])
        #expect(submitted["error"]?["data"]?["kind"] == "invalid_params")
        #expect(submitted["error"]?["data"]?["field"] == "spec.teleport")
        #expect(try connection.request("system.ping")["result"] != nil)
    }

    // MARK: This client with an old daemon, and with one that is not written yet

    private func greeting(min: Int, max: Int, more: String = "") -> String {
        #"{"jsonrpc":"2.0","method":"hello","params":{"protocol":{"min":\#(min),"max":\#(max)},"server":{"name":"unlearnd","version":"0.0.9"},"instance":"i","capabilities":["events","fd"],"limits":{"line":1048576,"reply":4194304,"inflight":32,"handshake":10,"depth":64,"chunk":524288},"fd_socket":"/nowhere"\#(more)}}"#
            + "\n"
    }

    @Test(arguments: [(0, 0), (2, 3)])
    func `a daemon that does not speak this client's protocol is named with what it speaks`(
        _ min: Int, _ max: Int
    ) throws {
        let run = try CliRun()
        let listener = try SilentListener(run.socket)
        listener.say(greeting(min: min, max: max))
        let outcome = try run.run(["ps"])
        #expect(outcome.status == 76, "\(outcome.stderr)")
        #expect(outcome.stderr.contains("speaks protocol \(min) to \(max), this client 1"))
        #expect(outcome.stderr.contains("use client and daemon of one version"))
    }

    /// A job as the first daemon told it.
    private static let oldJob = """
        {"after":[],"at":null,"attempt":1,"base":"v1","created":"2026-01-31T12:00:00.000Z","digest":null,"error":null,\
        "evaluation":null,"finished":"2026-01-31T12:00:09.000Z","gate":null,"head_moved":true,"head_reason":null,"id":7,\
        "kind":"ascent","labels":{},"model":"people","note":"request 17","priority":0,"progress":null,"reason":null,\
        "result":null,"spec":{"kind":"ascent","model":"people"},"started":"2026-01-31T12:00:01.000Z","state":"succeeded",\
        "submitter":1000,"training":null,"version":"v2","warnings":[]}
        """

    /// What the first daemon answered.
    private static let firstDaemon = [
        "session.hello": #"{"protocol":1,"role":"admin","session":1,"uid":0}"#,
        "job.list": "[\(oldJob)]", "job.show": oldJob,
        "queue.status": #"{"jobs":{"queued":2},"paused":false,"running":[]}"#,
        "system.ping": #"{"time":"2026-01-31T12:00:00.000Z"}"#, "model.list": "[]",
    ]

    @Test func `what the first daemon answered is understood`() throws {
        for (words, expected) in [
            (["ps"], "people@v1"), (["show", "7"], "request 17"), (["queue", "status"], "2 queued"),
            (["wait", "7"], "succeeded"), (["model", "list"], "MODEL"),
        ] {
            let run = try CliRun()
            let daemon = try ScriptedDaemon(run.socket, greeting: greeting(min: 1, max: 1)) { method, _ in
                method == "events.subscribe"
                    ? #"{"next_seq":9,"snapshot":[\#(Self.oldJob)],"sub":1}"# : Self.firstDaemon[method]
            }
            let outcome = try run.run(words)
            #expect(outcome.status == 0, "\(words): \(outcome.stderr)")
            #expect(outcome.stdout.contains(expected), "\(words): \(outcome.stdout)")
            daemon.end()
        }
    }

    @Test func `what the first daemon does not know is refused in clear words`() throws {
        let run = try CliRun()
        let daemon = try ScriptedDaemon(run.socket, greeting: greeting(min: 1, max: 1)) { method, _ in
            Self.firstDaemon[method]
        }
        let outcome = try run.run(["store", "optimize"])
        #expect(outcome.status == 76, "\(outcome.stderr)")
        daemon.end()
    }

    @Test func `members and kinds that a newer daemon adds are let pass`() throws {
        let run = try CliRun()
        let job = Self.oldJob.dropLast(1) + #","teleported":{"to":"mars"}}"#
        let more = #","motd":"hello","limits2":{"x":1}"#
        let daemon = try ScriptedDaemon(run.socket, greeting: greeting(min: 1, max: 4, more: more)) {
            method, _ in
            switch method {
            case "job.list": "[\(job)]"
            case "queue.status": #"{"jobs":{"dreaming":1},"paused":false,"running":[],"moons":[1]}"#
            default: Self.firstDaemon[method]
            }
        }
        #expect(try run.run(["ps"]).stdout.contains("request 17"))
        daemon.end()
        let second = try ScriptedDaemon(run.socket, greeting: greeting(min: 1, max: 4, more: more)) {
            method, _ in
            method == "queue.status"
                ? #"{"jobs":{"dreaming":1},"paused":false,"running":[],"moons":[1]}"#
                : Self.firstDaemon[method]
        }
        #expect(try run.run(["queue", "status"]).stdout.contains("1 dreaming"))
        second.end()
    }
}

/// A daemon that says what a test makes it say, to one client.
private final class ScriptedDaemon {
    private var socket: BoundSocket?
    private let path: String

    /// - Parameter answer: The result of a method as JSON; `nil` is answered as a method that is not known.
    init(
        _ path: String, greeting: String, answer: @escaping @Sendable (String, JSONValue) -> String?
    ) throws {
        self.path = path
        let socket = try BoundSocket(path)
        self.socket = socket
        let descriptor = socket.descriptor
        Thread.detachNewThread {
            let peer = accept(descriptor, nil, nil)
            guard peer >= 0 else { return }
            func say(_ text: String) {
                _ = Array(text.utf8).withUnsafeBytes {
                    send(peer, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                }
            }
            say(greeting)
            var pending: [UInt8] = []
            var chunk = [UInt8](repeating: 0, count: 65_536)
            while true {
                let count = recv(peer, &chunk, chunk.count, 0)
                guard count > 0 else { break }
                pending += chunk[..<count]
                while let end = pending.firstIndex(of: 0x0A) {
                    let line = Array(pending[..<end])
                    pending.removeFirst(end + 1)
                    guard let request = try? StrictJSON.parse(line), let id = request["id"]?.integerValue
                    else { continue }
                    let method = request["method"]?.stringValue ?? ""
                    if let result = answer(method, request["params"] ?? .null) {
                        say(#"{"jsonrpc":"2.0","id":\#(id),"result":\#(result)}"# + "\n")
                    } else {
                        say(
                            #"{"jsonrpc":"2.0","id":\#(id),"error":{"code":-32601,"message":"there is no such method","data":{"kind":"method_not_found","retryable":false}}}"#
                                + "\n")
                    }
                }
            }
            close(peer)
        }
    }

    func end() {
        if let socket { shutdown(socket.descriptor, Int32(SHUT_RDWR)) }
        socket = nil
        unlink(path)
    }
}
