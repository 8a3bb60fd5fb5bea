// SPDX-License-Identifier: Apache-2.0

import Foundation
import Protocol
import TestSupport
import Testing

/// Requests over time: later jobs measure earlier requests again, by a real daemon on a model that was trained for it.
@Suite(.serialized, .timeLimit(.minutes(15)))
struct EarlierRequestTests {
    private let daemon: RunningDaemon

    /// Job 1 makes the model, job 2 teaches it all rows.
    init() throws {
        daemon = try RunningDaemon()
        let rows = try ExampleModel.rows("forget.jsonl", 8).split(separator: "\n").map(String.init)
        let others = try ExampleModel.rows("retain.jsonl", 12).split(separator: "\n").map(String.init)
        let kept = Array(others[..<8])
        for (name, lines) in [
            ("a.jsonl", Array(rows[..<4])), ("b.jsonl", Array(rows[4...])), ("c.jsonl", Array(others[8...])),
            ("retain.jsonl", kept), ("all.jsonl", rows + others), ("back.jsonl", Array(rows[..<4]) + kept),
        ] {
            try lines.map { $0 + "\n" }.joined().write(
                toFile: path(name), atomically: false, encoding: .utf8)
        }
        let made = try daemon.ctl([
            "model", "create", "people", "--config", ExampleModel.path("config.json"), "--tokenizer",
            ExampleModel.path("tokenizer.json"), "--tokenizer-config",
            ExampleModel.path("tokenizer_config.json"), "--seed", "3",
        ])
        #expect(made.status == 0, "\(made.stderr)")
        try job(
            "finetune", "--data", path("all.jsonl"), "--epochs", "80", "--learning-rate", "2e-3",
            "--batch-size", "8", "--no-evaluate")
    }

    private func path(_ name: String) -> String { "\(daemon.directory)/\(name)" }

    /// Submits, waits, and gives the job as JSON.
    @discardableResult
    private func job(
        _ method: String, _ arguments: String..., status: Int32 = 0,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> JSONValue {
        let output = try daemon.ctl(
            ["submit", method, "--model", "people"] + arguments + ["--wait", "--json"], seconds: 240)
        #expect(output.status == status, "\(arguments): \(output.stderr)", sourceLocation: sourceLocation)
        return try output.json
    }

    /// An unlearning job that forgets a file.
    private func forget(
        _ file: String, _ arguments: [String], status: Int32 = 0,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws -> JSONValue {
        let output = try daemon.ctl(
            [
                "submit", "npo", "--model", "people", "--forget", path(file), "--retain",
                path("retain.jsonl"),
                "--epochs", "40", "--learning-rate", "1e-3", "--batch-size", "4", "--pairing", "cycle",
                "--accuracy", "row", "--wait", "--json",
            ] + arguments, seconds: 240)
        #expect(output.status == status, "\(arguments): \(output.stderr)", sourceLocation: sourceLocation)
        return try output.json
    }

    private func earlier(_ job: JSONValue, _ id: Int64) -> JSONValue? {
        job["evaluation"]?["earlier"]?.arrayValue?.first { $0["job"]?.integerValue == id }
    }

    @Test func `an accepted request is measured again until its lease ends, and may not come back`() throws {
        let first = try forget(
            "a.jsonl", ["--gate", "forget<=0.5,earlier=verified", "--review-lease", "1h", "--note", "4711"])
        let a = try #require(first["id"]?.integerValue)
        #expect(first["head_moved"] == true)
        #expect(first["spec"]?["review_lease"] == 3600)
        #expect(first["evaluation"]?["earlier"] == nil)

        // The second request finds the first one forgotten.
        let second = try forget(
            "b.jsonl", ["--gate", "forget<=0.5,earlier=verified", "--review-lease", "1s"])
        let b = try #require(second["id"]?.integerValue)
        #expect(second["head_moved"] == true)
        let again = try #require(earlier(second, a))
        #expect(again["status"] == "forgotten" && again["forgotten"] == true)
        #expect(again["request"] == "4711")
        #expect(
            again["accepted"]?["forget_accuracy"] == first["evaluation"]?["after"]?["forget_accuracy"])
        // The base of the second is the result of the first, measured on the same rows.
        #expect(again["before"] == again["accepted"])
        #expect(again["after"]?["forget_accuracy"]?.doubleValue != nil)

        // Whose lease has ended is not read any more; the rule that wants all is not met, the other is.
        Thread.sleep(forTimeInterval: 1.2)
        let strict = try forget("c.jsonl", ["--gate", "earlier=verified"], status: 3)
        let ended = try #require(earlier(strict, b))
        #expect(ended["status"] == "not re-verifiable" && ended["forgotten"] == .null)
        #expect(ended["reason"]?.stringValue?.hasPrefix("the review lease ended on") == true)
        #expect(earlier(strict, a)?["status"] == "forgotten")
        let limits = strict["evaluation"]?["limits"]?.arrayValue?.compactMap(\.stringValue) ?? []
        #expect(limits.contains { $0.contains("not re-verifiable") && $0.contains("\(b)") })

        // What brings the first request's rows back is refused.
        let back = try job(
            "finetune", "--data", path("back.jsonl"), "--epochs", "120", "--learning-rate", "2e-3",
            "--batch-size", "4", "--gate", "earlier=forgotten", status: 3)
        #expect(back["head_moved"] == false && back["head_reason"] == "gate-refused")
        #expect(earlier(back, a)?["status"] == "returned")
        let condition = back["gate"]?["conditions"]?.arrayValue?.first
        #expect(condition?["name"] == "earlier" && condition?["measured"] == "returned")
        #expect(condition?["by"]?.stringValue == "what job \(a) had removed is back")

        let id = "\(strict["id"]?.integerValue ?? 0)"
        for form in [["--markdown", "-"], ["--html", "-"], []] {
            let report = try daemon.ctl(["report", id] + form)
            #expect(report.status == 0, "\(report.stderr)")
            #expect(report.stdout.contains("Earlier requests"))
            #expect(report.stdout.contains("not re-verifiable"))
        }
        let data = try daemon.ctl(["report", id, "--json"]).json
        #expect(data["job"]?["evaluation"]?["earlier"]?.arrayValue?.count == 2)
        #expect(try daemon.ctl(["show", id]).stdout.contains("job \(b): not re-verifiable"))

        // What a rollback undoes is no request any more.
        #expect(try daemon.ctl(["rollback", "people", "--to", "v2"]).status == 0)
        let fresh = try forget("b.jsonl", [])
        #expect(fresh["evaluation"]?["earlier"] == nil)
    }
}
