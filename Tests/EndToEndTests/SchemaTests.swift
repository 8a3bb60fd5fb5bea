// SPDX-License-Identifier: Apache-2.0

import Foundation
import Protocol
import TestSupport
import Testing

/// The protocol's schema: that it is true, and that it does not take back what it promised.
@Suite(.timeLimit(.minutes(15)))
struct SchemaTests {
    private static let golden = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../../docs/schema.json").standardizedFileURL.path

    private func golden() throws -> JSONValue {
        try StrictJSON.parse(try String(contentsOfFile: Self.golden, encoding: .utf8))
    }

    /// A copy in which one value, found by its path, is another; `nil` takes it away.
    private func changed(_ value: JSONValue, _ path: [String], _ new: JSONValue?) -> JSONValue {
        guard let key = path.first, case .object(var object) = value else { return new ?? .null }
        if path.count == 1 {
            object[key] = new
        } else {
            object[key] = changed(object[key] ?? .object(JSONObject()), Array(path.dropFirst()), new)
        }
        return .object(object)
    }

    @Test func `nothing that clients rely on is gone, and the kept schema is the present one`() throws {
        let daemon = try RunningDaemon()
        let now: JSONValue = try daemon.session().result("system.schema")
        let kept = try golden()
        let breaks = SchemaChange(from: kept, to: now).breaks
        #expect(breaks.isEmpty, "clients of docs/schema.json would break: \(breaks.joined(separator: "; "))")
        #expect(now == kept, "the protocol has grown: run make schema and commit docs/schema.json")
    }

    @Test func `a step back is seen and a step forward is not`() throws {
        let kept = try golden()
        func breaks(_ path: [String], _ new: JSONValue?) -> [String] {
            SchemaChange(from: kept, to: changed(kept, path, new)).breaks
        }
        #expect(SchemaChange(from: kept, to: kept).breaks.isEmpty)
        #expect(breaks(["methods", "job.pause"], nil) == ["job.pause: is gone"])
        let list = ["$defs", "request.JobListParams"]
        #expect(breaks(list + ["properties", "limit"], nil) == ["job.list params.limit: is gone"])
        #expect(breaks(list + ["required"], ["limit"]) == ["job.list params.limit: is required now"])
        #expect(breaks(list + ["properties", "limit"], ["type": "string"]).count == 1)
        #expect(
            breaks(["$defs", "reply.Job", "properties", "gate"], nil).contains(
                "job.show result.gate: is gone"))
        #expect(
            breaks(["$defs", "reply.QueueStatus", "required"], ["jobs", "running"])
                .contains("queue.status result.paused: may be missing now"))
        #expect(
            breaks(["$defs", "JobState", "enum"], ["queued", "running"]).contains { $0.contains("is gone") })
        // More is no less.
        #expect(breaks(list + ["properties", "later"], ["type": ["string", "null"]]).isEmpty)
        #expect(breaks(["$defs", "reply.Job", "properties", "later"], ["type": "string"]).isEmpty)
        #expect(breaks(["methods", "job.later"], ["role": "viewer", "params": [:], "result": [:]]).isEmpty)
    }

    @Test func `what a daemon says fits its schema`() throws {
        let daemon = try RunningDaemon()
        for (seed, name) in [(UInt64(1), "target"), (2, "tuned")] {
            let directory = "\(daemon.directory)/\(name)"
            try SyntheticCheckpoint(seed: seed, matrices: 3, side: 64).write(to: directory)
            #expect(try daemon.ctl(["model", "import", name, directory]).status == 0)
        }
        #expect(
            try daemon.ctl([
                "submit", "task-vector", "--model", "target", "--finetuned", "tuned", "--wait",
            ]).status == 0)
        let connection = try daemon.connect()
        let hello = try #require(try connection.line())
        let greeting = try connection.request(
            "session.hello", ["protocol": 1, "client": ["name": "tests", "version": "1"]])
        let schema: JSONValue = try connection.result("system.schema")
        let validator = SchemaValidator(schema)
        let line: JSONValue = ["$ref": "#/$defs/Line"]
        #expect(validator.faults(of: hello, against: ["$ref": "#/$defs/HelloNotification"]) == [])
        let hi = try #require(schema["methods"]?["session.hello"]?["result"])
        #expect(validator.faults(of: greeting["result"] ?? .null, against: hi) == [])
        let spec: JSONValue = [
            "kind": "task-vector", "model": "target", "parameters": ["finetuned": "tuned", "scale": 0.5],
            "labels": ["a": "b"], "priority": 3, "after": [["job": 1, "condition": "any"]],
        ]
        let requests: [(String, JSONValue)] = [
            ("system.ping", [:]), ("system.info", [:]), ("dataset.list", [:]), ("job.list", ["all": true]),
            ("job.show", ["job": 3]), ("job.log", ["job": 3, "limit": 10]), ("job.evidence", ["job": 3]),
            ("job.submit", ["spec": spec, "dry_run": true]), ("job.submit", ["spec": spec]),
            (
                "job.sweep",
                ["spec": spec, "axes": [["parameter": "scale", "values": [0.5, 1]]], "dry_run": true]
            ),
            ("model.list", [:]), ("model.show", ["model": "target"]), ("model.history", ["model": "target"]),
            ("model.files", ["version": "target@v1"]),
            ("model.tag", ["version": "target@v1", "tag": "first"]),
            ("model.hold", ["version": "target@v1", "reason": "a test"]),
            ("model.rollback", ["model": "target", "to": "v1"]), ("store.status", [:]),
            ("store.gc", ["dry_run": true]), ("store.optimize", ["dry_run": true]), ("queue.status", [:]),
            ("audit.log", ["limit": 20]),
            ("audit.verify", [:]), ("audit.key", [:]),
        ]
        for (method, params) in requests {
            let known = try #require(schema["methods"]?[method])
            #expect(validator.faults(of: params, against: known["params"] ?? .null) == [], "\(method)")
            let reply = try connection.request(method, params)
            let result = try #require(reply["result"], "\(method): \(reply)")
            #expect(validator.faults(of: result, against: known["result"] ?? .null) == [], "\(method)")
            #expect(validator.faults(of: reply, against: line) == [], "\(method)")
        }
        let refused = try connection.request("job.show", ["job": 99])
        #expect(validator.faults(of: refused, against: ["$ref": "#/$defs/Failure"]) == [])
        // Every event since the beginning, each of a type that the schema knows.
        let events = try daemon.ctl(["events", "--since", "1", "--json"]).stdout.split(separator: "\n")
        #expect(events.count > 10)
        let types = Set(schema["events"]?.arrayValue ?? [])
        for text in events {
            let event = try StrictJSON.parse(String(text))
            #expect(validator.faults(of: event, against: ["$ref": "#/$defs/reply.Event"]) == [])
            #expect(types.contains(event["type"] ?? .null), "\(event)")
        }
    }

    @Test func `what the daemon refuses, the schema refuses`() throws {
        let daemon = try RunningDaemon()
        let connection = try daemon.session()
        let schema: JSONValue = try connection.result("system.schema")
        let validator = SchemaValidator(schema)
        let wrong: [(String, JSONValue)] = [
            ("job.show", ["job": "seven"]), ("job.show", [:]), ("system.ping", ["x": 1]),
            ("model.show", ["model": "no/name"]), ("job.list", ["states": ["asleep"]]),
            ("job.submit", ["spec": ["kind": "ascent", "model": "m", "parameters": ["epoch": 1]]]),
            ("dataset.list", ["all": true]), ("model.rollback", ["model": "m", "to": "1"]),
        ]
        for (method, params) in wrong {
            let known = try #require(schema["methods"]?[method]?["params"])
            #expect(validator.faults(of: params, against: known) != [], "\(method) \(params)")
            let reply = try connection.request(method, params)
            #expect(reply["error"]?["data"]?["kind"] == "invalid_params", "\(method) \(params)")
        }
    }

    @Test func `one method comes with the types that it needs and no others`() throws {
        let daemon = try RunningDaemon()
        let output = try daemon.ctl(["system", "schema", "queue.pause"])
        #expect(output.status == 0, "\(output.stderr)")
        let schema = try output.json
        #expect(schema["methods"]?.objectValue?.keys == ["queue.pause"])
        #expect(schema["$defs"]?["reply.QueueStatus"] != nil)
        #expect(schema["$defs"]?["request.JobSpec"] == nil)
        let wrong = try daemon.ctl(["system", "schema", "queue.paus"])
        #expect(wrong.status == 64)
        #expect(wrong.stderr.contains("did you mean queue.pause?"))
    }
}
