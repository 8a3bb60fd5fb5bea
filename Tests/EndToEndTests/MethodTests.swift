// SPDX-License-Identifier: Apache-2.0

import Foundation
import Protocol
import TestSupport
import Testing

/// Every gradient method from the command line to a version, and what is refused before that.
@Suite(.timeLimit(.minutes(15)))
struct MethodTests {
    /// A daemon with a randomly initialised `people` and short files: f.jsonl with replacements, r.jsonl.
    private func prepared() throws -> RunningDaemon {
        let daemon = try RunningDaemon()
        let output = try daemon.ctl([
            "model", "create", "people", "--config", ExampleModel.path("config.json"),
            "--tokenizer", ExampleModel.path("tokenizer.json"),
            "--tokenizer-config", ExampleModel.path("tokenizer_config.json"), "--seed", "3",
        ])
        #expect(output.status == 0, "\(output.stderr)")
        let forget = try ExampleModel.rows("forget.jsonl", 4).split(separator: "\n").enumerated().map {
            String($0.element.dropLast()) + #", "replacement": "Nowhere \#($0.offset)"}"# + "\n"
        }.joined()
        try write(daemon, "f.jsonl", forget)
        try write(daemon, "plain.jsonl", try ExampleModel.rows("forget.jsonl", 4))
        try write(daemon, "text.jsonl", "{\"text\": \"Somebody was born somewhere.\"}\n")
        try write(daemon, "r.jsonl", try ExampleModel.rows("retain.jsonl", 4))
        try write(daemon, "refusals.txt", "I do not know.\n\nNobody knows.\n")
        return daemon
    }

    private func write(_ daemon: RunningDaemon, _ name: String, _ text: String) throws {
        try text.write(toFile: "\(daemon.directory)/\(name)", atomically: false, encoding: .utf8)
    }

    private func submit(
        _ daemon: RunningDaemon, _ method: String, _ more: [String], forget: String = "f.jsonl",
        retain: String? = "r.jsonl"
    ) throws -> RunningDaemon.Output {
        let kept = retain.map { ["--retain", "\(daemon.directory)/\($0)"] } ?? []
        return try daemon.ctl(
            ["submit", method, "--model", "people@v1", "--forget", "\(daemon.directory)/\(forget)"] + kept
                + ["--wait", "--json"] + more)
    }

    @Test func `every method makes a version, and the same one each time`() throws {
        let daemon = try prepared()
        let refusals = "\(daemon.directory)/refusals.txt"
        let runs: [(String, [String])] = [
            ("ascent", ["--sam-rho", "0.05"]), ("graddiff", ["--gamma", "0.5", "--alpha", "2"]), ("npo", []),
            ("npo", ["--retain-loss", "kl", "--beta", "0.5"]), ("simnpo", ["--margin", "1"]), ("dpo", []),
            ("idk", ["--refusals", refusals]), ("idk", ["--form", "dpo", "--sam-rho", "0.01"]),
            ("update", []),
            ("altpo", ["--alternates", "2", "--max-new-tokens", "6"]),
            ("wga", []), ("satimp", ["--beta", "1", "--beta-unknown", "2"]), ("undial", []), ("ceu", []),
            ("pdu", ["--retain-limit", "0.1", "--dual-warm-up-epochs", "0"]),
            ("rmu", ["--layer", "0", "--steering", "4"]),
        ]
        var digests: Set<String> = []
        for (method, more) in runs {
            let settings = ["--epochs", "2", "--learning-rate", "1e-3", "--batch-size", "2"] + more
            // Replacements would take the place of refusals and of what the model itself answers.
            let output = try submit(
                daemon, method, settings,
                forget: ["idk", "altpo"].contains(method) ? "plain.jsonl" : "f.jsonl")
            #expect(output.status == 0, "\(method) \(more): \(output.stderr)")
            let job = try output.json
            #expect(job["state"] == "succeeded" && job["kind"] == .string(method))
            let training = try #require(job["training"]?.arrayValue)
            #expect(training.count == 2 && training.allSatisfy { $0["loss"]?.doubleValue?.isFinite == true })
            #expect(training.allSatisfy { $0["steps"] == 2 && $0["retain_loss"]?.doubleValue != nil })
            digests.insert(try #require(job["digest"]?.stringValue))
        }
        #expect(digests.count == runs.count, "two methods made the same weights")
        let again = try submit(
            daemon, "idk",
            ["--epochs", "2", "--learning-rate", "1e-3", "--batch-size", "2", "--refusals", refusals],
            forget: "plain.jsonl")
        #expect(try digests.contains(again.json["digest"]?.stringValue ?? ""))
    }

    @Test func `what holds by itself or is told to needs no retain set`() throws {
        let daemon = try prepared()
        for (method, more) in [("undial", []), ("ceu", []), ("npo", ["--alpha", "0"])] {
            let output = try submit(
                daemon, method, ["--epochs", "1", "--learning-rate", "1e-3"] + more, retain: nil)
            #expect(output.status == 0, "\(method): \(output.stderr)")
            let training = try #require(try output.json["training"]?.arrayValue?.first)
            #expect(training["retain_loss"]?.isNull == true && training["forget_loss"]?.doubleValue != nil)
        }
    }

    @Test func `numbers out of their range and data that do not fit are refused before anything runs`() throws
    {
        let daemon = try prepared()
        for (method, more, status, word) in [
            ("npo", ["--beta", "0"], 64, "beta"), ("npo", ["--gamma", "-1"], 64, "gamma"),
            ("graddiff", ["--alpha", "-0.1"], 64, "alpha"), ("ascent", ["--alpha", "1.5"], 64, "alpha"),
            ("ascent", ["--sam-rho", "0"], 64, "sam_rho"), ("simnpo", ["--margin", "-1"], 64, "margin"),
            ("pdu", [], 64, "retain-limit"), ("ceu", ["--skip", "-1"], 64, "skip"),
            ("altpo", ["--alternates", "0"], 64, "alternates"),
            ("idk", ["--beta", "1"], 64, "form dpo"), ("npo", ["--retain-loss", "activations"], 64, "rmu"),
            ("rmu", ["--max-forget-loss", "4"], 64, "max_forget_loss"),
            ("rmu", ["--layer", "-1"], 64, "layer"),
            ("idk", ["--refusals", "/dev/null"], 65, "no lines"),
        ] as [(String, [String], Int32, String)] {
            let output = try submit(daemon, method, more)
            #expect(output.status == status, "\(method) \(more): \(output.status) \(output.stderr)")
            #expect(output.stderr.contains(word), "\(method) \(more): \(output.stderr)")
        }
        for (method, file, word) in [
            ("dpo", "plain.jsonl", "replacement"), ("update", "plain.jsonl", "replacement"),
            ("idk", "text.jsonl", "prompt"), ("altpo", "text.jsonl", "prompt"),
        ] {
            let output = try submit(daemon, method, [], forget: file)
            #expect(output.status == 65, "\(method) \(file): \(output.status) \(output.stderr)")
            #expect(output.stderr.contains(word) && output.stderr.contains(file), "\(output.stderr)")
        }
        let alone = try submit(daemon, "npo", [], retain: nil)
        #expect(alone.status == 64 && alone.stderr.contains("--alpha 0"), "\(alone.stderr)")
        // Only the model can tell how many layers it has.
        let deep = try submit(daemon, "rmu", ["--layer", "400"])
        #expect(deep.status == 1 && deep.stderr.contains("400"), "\(deep.stderr)")
        #expect(try daemon.ctl(["model", "history", "people", "--json"]).json.arrayValue?.count == 1)
    }
}
