// SPDX-License-Identifier: Apache-2.0

import Foundation
import Protocol
import TestSupport
import Testing

/// Training that cannot be done, or must not be committed.
@Suite(.timeLimit(.minutes(15)))
struct TrainingRefusalTests {
    /// A daemon with a randomly initialised `people` and short forget and retain files.
    private func prepared() throws -> RunningDaemon {
        let daemon = try RunningDaemon()
        let output = try daemon.ctl([
            "model", "create", "people", "--config", ExampleModel.path("config.json"),
            "--tokenizer", ExampleModel.path("tokenizer.json"),
            "--tokenizer-config", ExampleModel.path("tokenizer_config.json"), "--seed", "3",
        ])
        #expect(output.status == 0, "\(output.stderr)")
        try write(daemon, "f.jsonl", try ExampleModel.rows("forget.jsonl", 4))
        try write(daemon, "r.jsonl", try ExampleModel.rows("retain.jsonl", 4))
        return daemon
    }

    private func write(_ daemon: RunningDaemon, _ name: String, _ text: String) throws {
        try text.write(toFile: "\(daemon.directory)/\(name)", atomically: false, encoding: .utf8)
    }

    private func ascent(_ daemon: RunningDaemon, forget: String = "f.jsonl", _ more: String...) throws
        -> RunningDaemon.Output
    {
        try daemon.ctl(
            [
                "submit", "ascent", "--model", "people", "--forget", "\(daemon.directory)/\(forget)",
                "--retain",
                "\(daemon.directory)/r.jsonl", "--epochs", "1", "--wait",
            ] + more)
    }

    private func expectUnchanged(_ daemon: RunningDaemon) throws {
        #expect(try daemon.ctl(["model", "history", "people", "--json"]).json.arrayValue?.count == 1)
    }

    @Test func `an architecture that cannot be trained is named, with those that can`() throws {
        let daemon = try prepared()
        try SyntheticCheckpoint(seed: 1, matrices: 2, side: 64).write(to: daemon.directory + "/odd")
        #expect(try daemon.ctl(["model", "import", "odd", daemon.directory + "/odd"]).status == 0)
        try write(daemon, "ids.jsonl", #"{"input_ids": [1, 2, 3]}"# + "\n")
        let output = try daemon.ctl([
            "submit", "ascent", "--model", "odd", "--forget", daemon.directory + "/ids.jsonl", "--retain",
            daemon.directory + "/ids.jsonl", "--wait",
        ])
        #expect(output.status == 1)
        #expect(output.stderr.contains("MadeUp") || output.stderr.contains("made-up"), "\(output.stderr)")
        #expect(output.stderr.contains("GPT") && output.stderr.contains("Llama"), "\(output.stderr)")
    }

    @Test func `text without a tokenizer is refused`() throws {
        let daemon = try prepared()
        _ = try daemon.ctl(["model", "export", "people", daemon.directory + "/exported"])
        for file in ["tokenizer.json", "tokenizer_config.json"] {
            try FileManager.default.removeItem(atPath: "\(daemon.directory)/exported/\(file)")
        }
        #expect(try daemon.ctl(["model", "import", "mute", daemon.directory + "/exported"]).status == 0)
        let output = try daemon.ctl([
            "submit", "evaluate", "--model", "mute", "--forget", daemon.directory + "/f.jsonl", "--wait",
        ])
        #expect(output.status == 1)
        #expect(output.stderr.contains("tokenizer.json"), "\(output.stderr)")
        // Ids need none.
        try write(daemon, "ids.jsonl", #"{"input_ids": [1, 2, 3, 4]}"# + "\n")
        #expect(
            try daemon.ctl([
                "submit", "evaluate", "--model", "mute", "--forget", daemon.directory + "/ids.jsonl",
                "--wait",
            ]).status == 0)
    }

    @Test(arguments: [
        ("", "no rows"),
        ("{\"prompt\": \"a\", \"completion\": \"b\"}\n{\"promt\": \"a\", \"completion\": \"b\"}\n", "2"),
        ("{\"text\": 7}\n", "1"),
        ("{\"text\": \"a\"}\nnot json\n", "2"),
        ("{\"input_ids\": [1, -4]}\n", "1"),
        ("{\"input_ids\": [1, 2], \"labels\": [1]}\n", "1"),
    ])
    func `a wrong row is refused at submission, by file and line`(text: String, names: String) throws {
        let daemon = try prepared()
        try write(daemon, "wrong.jsonl", text)
        let output = try ascent(daemon, forget: "wrong.jsonl")
        #expect(output.status == 65, "\(output.stderr)")
        #expect(output.stderr.contains("wrong.jsonl") && output.stderr.contains(names), "\(output.stderr)")
        try expectUnchanged(daemon)
    }

    @Test func `a row longer than the model reads is an error, and cut only on request`() throws {
        let daemon = try prepared()
        let long = (0..<600).map { "word\($0)" }.joined(separator: " ")
        try write(daemon, "long.jsonl", "{\"prompt\": \"Say:\", \"completion\": \" \(long)\"}\n")
        let refused = try ascent(daemon, forget: "long.jsonl")
        #expect(refused.status == 1)
        #expect(refused.stderr.contains("line 1") || refused.stderr.contains(":1"), "\(refused.stderr)")
        #expect(refused.stderr.contains("truncate"), "\(refused.stderr)")
        try expectUnchanged(daemon)
        #expect(try ascent(daemon, forget: "long.jsonl", "--truncate").status == 0)
    }

    @Test func `an id beyond the vocabulary is named`() throws {
        let daemon = try prepared()
        try write(daemon, "ids.jsonl", #"{"input_ids": [1, 2, 99999]}"# + "\n")
        let output = try ascent(daemon, forget: "ids.jsonl")
        #expect(output.status == 1)
        #expect(output.stderr.contains("99999"), "\(output.stderr)")
        try expectUnchanged(daemon)
    }

    @Test func `a loss that is no number fails the job, and nothing is committed`() throws {
        let daemon = try prepared()
        let output = try ascent(daemon, "--learning-rate", "1e30", "--epochs", "5", "--json")
        #expect(output.status == 1, "\(output.stderr)")
        #expect(try output.json["error"]?["kind"] == "diverged", "\(output.stdout)")
        try expectUnchanged(daemon)
    }

    @Test func `a last step that breaks the model is found by measuring it`() throws {
        let daemon = try prepared()
        // One step: its own loss is still that of the sound model.
        let output = try ascent(daemon, "--learning-rate", "1e15", "--json")
        #expect(output.status == 1, "\(output.stderr)")
        #expect(try output.json["error"]?["kind"] == "diverged", "\(output.stdout)")
        try expectUnchanged(daemon)
    }

    @Test func `the JSON text of a generation is that of all its ids`() throws {
        let daemon = try prepared()
        let made = try daemon.ctl(["generate", "people", "--prompt", "-1", "--max-new-tokens", "3", "--json"])
        #expect(made.status == 0, "\(made.stderr)")
        let value = try made.json
        #expect(value["ids"]?.arrayValue?.isEmpty == false && value["text"]?.stringValue != nil)
        #expect(value["plain_text"]?.stringValue != nil)
    }

    @Test func `forget rows that no step would see are an error unless a pairing is chosen`() throws {
        let daemon = try prepared()
        try write(daemon, "many.jsonl", try ExampleModel.rows("forget.jsonl", 20))
        let refused = try ascent(daemon, forget: "many.jsonl")
        #expect(refused.status == 65, "\(refused.status) \(refused.stderr)")
        #expect(refused.stderr.contains("pairing"), "\(refused.stderr)")
        #expect(try ascent(daemon, forget: "many.jsonl", "--pairing", "cycle").status == 0)
    }

    @Test func `a gate is checked before anything runs`() throws {
        let daemon = try prepared()
        for gate in ["forget", "forget=splendid", "forgte=good", "retain>=", "privacy=minimal", "forget~0.1"]
        {
            let output = try ascent(daemon, "--gate", gate)
            #expect(output.status == 64, "\(gate): \(output.status) \(output.stderr)")
        }
        try expectUnchanged(daemon)
        let jobs = try daemon.ctl(["ps", "--json"]).json.arrayValue ?? []
        #expect(jobs.allSatisfy { $0["kind"] != "ascent" })
    }

    @Test func `a refused gate keeps a candidate, leaves the head and says what to try`() throws {
        let daemon = try prepared()
        let output = try ascent(daemon, "--gate", "retain>=0.99,forget=good", "--json")
        #expect(output.status == 3, "\(output.status) \(output.stderr)")
        let job = try output.json
        #expect(
            job["state"] == "succeeded" && job["head_moved"] == false && job["head_reason"] == "gate-refused")
        #expect(job["gate"]?["passed"] == false)
        let failed = job["gate"]?["conditions"]?.arrayValue?.first { $0["name"] == "retain" }
        #expect(failed?["passed"] == false)
        #expect(failed?["by"]?.stringValue != nil && failed?["advice"]?.stringValue != nil)
        let history = try daemon.ctl(["model", "history", "people", "--json"]).json.arrayValue ?? []
        #expect(history.first { $0["version"] == "v1" }?["head"] == true)
        #expect(history.first { $0["version"] == "v2" }?["candidate"] == true)
    }

    @Test func `names that nobody knows are not found`() throws {
        let daemon = try prepared()
        let forget = "\(daemon.directory)/f.jsonl"
        for arguments in [
            ["submit", "evaluate", "--model", "nobody", "--forget", forget],
            ["submit", "evaluate", "--model", "people@v9", "--forget", forget],
            ["show", "4711"], ["cancel", "4711"], ["rollback", "nobody", "--to", "v1"],
            ["rollback", "people", "--to", "v9"], ["model", "history", "nobody"],
        ] {
            #expect(try daemon.ctl(arguments).status == 5, "\(arguments)")
        }
    }
}
