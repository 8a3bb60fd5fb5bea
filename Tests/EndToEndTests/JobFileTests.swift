// SPDX-License-Identifier: Apache-2.0

import Foundation
import Protocol
import TestSupport
import Testing

/// Jobs from files: what is read, what is refused before anything is queued, and who waits for whom.
@Suite(.timeLimit(.minutes(15)))
struct JobFileTests {
    private static let example =
        URL(fileURLWithPath: ExampleModel.directory).appendingPathComponent("../jobs/forget-people.yaml")
        .standardizedFileURL.path

    /// A daemon with an untrained model of the example's shape.
    private func prepared() throws -> RunningDaemon {
        let daemon = try RunningDaemon()
        let made = try daemon.ctl([
            "model", "create", "people", "--config", ExampleModel.path("config.json"), "--tokenizer",
            ExampleModel.path("tokenizer.json"), "--tokenizer-config",
            ExampleModel.path("tokenizer_config.json"), "--seed", "1",
        ])
        try #require(made.status == 0, "\(made.stderr)")
        return daemon
    }

    private func write(_ text: String, _ daemon: RunningDaemon, _ name: String = "job.yaml") throws -> String
    {
        let path = "\(daemon.directory)/\(name)"
        try text.write(toFile: path, atomically: false, encoding: .utf8)
        return path
    }

    private func queued(_ daemon: RunningDaemon) throws -> Int {
        try daemon.ctl(["ps", "--json"]).json.arrayValue?.count ?? -1
    }

    @Test func `the example runs as it is`() throws {
        let daemon = try prepared()
        let before = try queued(daemon)
        let plan = try daemon.ctl(["submit", "--spec", Self.example, "--dry-run"])
        #expect(plan.status == 0, "\(plan.stderr)")
        #expect(plan.stdout.contains("forget can be queued"))
        #expect(try queued(daemon) == before)
        let output = try daemon.ctl(["submit", "--spec", Self.example, "--wait", "--json"], seconds: 240)
        #expect(output.status == 0, "\(output.stderr)")
        let jobs = try output.json.arrayValue ?? []
        #expect(jobs.map { $0["state"] } == ["succeeded", "succeeded", "succeeded"])
        #expect(jobs.map { $0["kind"] } == ["evaluate", "npo", "attack"])
        try #require(jobs.count == 3)
        #expect(jobs[1]["version"] == "v2")
        #expect(jobs[1]["spec"]?["labels"] == ["request": "0042"])
        #expect(jobs[1]["spec"]?["parameters"]?["learning_rate"] == 2e-4)
        #expect(jobs[1]["spec"]?["after"] == [["condition": "any", "job": jobs[0]["id"] ?? .null]])
        // Its head is what the job before it made.
        #expect(jobs[2]["base"] == "v2")
        #expect(jobs[2]["spec"]?["after"] == [["condition": "ok", "job": jobs[1]["id"] ?? .null]])
    }

    @Test func `nothing is queued if one of the jobs is wrong, and its line is named`() throws {
        let daemon = try prepared()
        let before = try queued(daemon)
        _ = try write("{\"text\": \"a b\"}\n", daemon, "set.jsonl")
        let good = "- {kind: evaluate, model: people, forget: set.jsonl}\n"
        for (bad, line, word, status) in [
            ("- {kind: evaluate, model: nobody, forget: set.jsonl}", 3, "nobody", ExitCode.notFound),
            ("- kind: evaluate\n  model: people\n  forget: none.jsonl", 5, "none.jsonl", .badInput),
            (
                "- kind: evaluate\n  model: people\n  forget: set.jsonl\n  parameters:\n    epoch: 3", 7,
                "epochs", .badInput
            ),
            ("- kind: npo\n  model: people\n  forget: set.jsonl", 3, "what to keep", .usage),
            ("- kind: evaluate\n  forget: set.jsonl", 3, "no model", .usage),
            (
                "- kind: evaluate\n  model: people\n  forget: set.jsonl\n  after: [first]", 6, "first",
                .badInput
            ),
            (
                "- {kind: evaluate, model: people, forget: set.jsonl, evaluate: no}", 3, "write false",
                .badInput
            ),
            (
                "- {kind: evaluate, model: people, forget: set.jsonl, seed: 0777}", 3, "leading zeros",
                .badInput
            ),
            ("- &all {kind: evaluate, model: people, forget: set.jsonl}", 3, "anchor", .badInput),
            ("- {kind: evaluate, kind: npo}", 3, "second time", .badInput),
            ("- {name: 7, kind: evaluate, model: people, forget: set.jsonl}", 3, "name", .badInput),
        ] {
            let path = try write("jobs:\n\(good)\(bad)\n", daemon)
            let output = try daemon.ctl(["submit", "--spec", path])
            #expect(output.status == status.rawValue, "\(output.stderr)")
            #expect(output.stderr.contains("job.yaml, line \(line):"), "\(output.stderr)")
            #expect(output.stderr.contains(word), "\(output.stderr)")
        }
        #expect(try queued(daemon) == before)
    }

    @Test func `several documents, JSON and standard input are read; a key makes a second time harmless`()
        throws
    {
        let daemon = try prepared()
        #expect(try daemon.ctl(["queue", "pause"]).status == 0)
        let set = try write("{\"text\": \"a b\"}\n", daemon, "set.jsonl")
        let text = """
            kind: evaluate
            model: people
            forget: \(set)
            key: one
            name: one
            ---
            kind: evaluate
            model: people
            forget: \(set)
            key: two
            after: [one:any]
            """
        let first = try daemon.ctl(["submit", "--spec", "-", "--quiet"], input: text)
        #expect(first.status == 0, "\(first.stderr)")
        let ids = first.stdout.split(separator: "\n")
        try #require(ids.count == 2)
        let again = try daemon.ctl(["--quiet", "submit", "--spec", "-"], input: text)
        #expect(again.stdout == first.stdout)
        let json =
            "{\"kind\": \"evaluate\", \"model\": \"people\", \"forget\": \"set.jsonl\", \"after\": [\(ids[1])]}"
        let single = try daemon.ctl(["submit", "--spec", try write(json, daemon, "job.json"), "--json"])
        #expect(single.status == 0, "\(single.stderr)")
        #expect(try single.json["state"] == "blocked")
        // Options beside one job of a file win; a list has no options.
        let one = try write("model: people\nforget: set.jsonl\nseed: 3\n", daemon)
        let seeded = try daemon.ctl(["submit", "evaluate", "--spec", one, "--seed", "5", "--json"])
        #expect(try seeded.json["spec"]?["seed"] == 5, "\(seeded.stderr)")
        let list = try write("jobs:\n- {kind: evaluate, model: people, forget: set.jsonl}\n", daemon)
        let refused = try daemon.ctl(["submit", "evaluate", "--spec", list])
        #expect(refused.status == ExitCode.usage.rawValue)
        #expect(refused.stderr.contains("submit --spec"))
    }
}
