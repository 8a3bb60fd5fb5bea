// SPDX-License-Identifier: Apache-2.0

import Foundation
import Protocol
import TestSupport
import Testing

/// Retraining and exact unlearning, against models that truly never saw the rows.
@Suite(.timeLimit(.minutes(15)))
struct ExactTests {
    private struct World {
        let daemon: RunningDaemon

        init() throws { daemon = try RunningDaemon() }

        func path(_ name: String) -> String { "\(daemon.directory)/\(name)" }

        func write(_ name: String, _ rows: some Sequence<Substring>) throws {
            try rows.map { $0 + "\n" }.joined().write(toFile: path(name), atomically: false, encoding: .utf8)
        }

        func create(_ name: String, seed: Int = 3) throws {
            let output = try daemon.ctl([
                "model", "create", name, "--config", ExampleModel.path("config.json"),
                "--tokenizer", ExampleModel.path("tokenizer.json"),
                "--tokenizer-config", ExampleModel.path("tokenizer_config.json"), "--seed", "\(seed)",
            ])
            #expect(output.status == 0, "\(output.stderr)")
        }

        func run(_ arguments: String...) throws -> RunningDaemon.Output { try daemon.ctl(arguments) }

        /// Submits and waits.
        @discardableResult
        func job(_ arguments: String..., sourceLocation: SourceLocation = #_sourceLocation) throws
            -> JSONValue
        {
            let output = try daemon.ctl(["submit"] + arguments + ["--wait", "--json"])
            #expect(output.status == 0, "\(arguments): \(output.stderr)", sourceLocation: sourceLocation)
            return try output.json
        }

        /// Learns a file as the next version.
        @discardableResult
        func learn(_ model: String, _ file: String, epochs: Int = 2) throws -> JSONValue {
            try job(
                "finetune", "--model", model, "--data", path(file), "--epochs", "\(epochs)",
                "--learning-rate",
                "1e-3", "--batch-size", "2", "--seed", "5", "--no-evaluate")
        }

        @discardableResult
        func forget(_ model: String, _ file: String, _ retain: String) throws -> JSONValue {
            try job(
                "npo", "--model", model, "--forget", path(file), "--retain", path(retain), "--epochs", "1",
                "--learning-rate", "1e-3", "--batch-size", "2", "--retain-loss", "kl", "--pairing", "cycle",
                "--no-evaluate")
        }
    }

    /// Files: first.jsonl and second.jsonl to learn, secret.jsonl, of whose rows the first file has two and the second
    /// one, and both files without them.
    private func prepared() throws -> World {
        let world = try World()
        let rows = try ExampleModel.rows("train.jsonl", 40).split(separator: "\n")
        let secret = [rows[1], rows[4], rows[12]]
        // The same row, written otherwise.
        let spaced = secret.map { Substring($0.replacingOccurrences(of: "{\"", with: "{ \"")) }
        try world.write("first.jsonl", rows[0..<9])
        try world.write("second.jsonl", rows[9..<16])
        try world.write("third.jsonl", rows[16..<20])
        try world.write("other.jsonl", rows[20..<23])
        try world.write("secret.jsonl", spaced)
        try world.write("first-without.jsonl", rows[0..<9].filter { !secret.contains($0) })
        try world.write("second-without.jsonl", rows[9..<16].filter { !secret.contains($0) })
        try world.write("holdout.jsonl", rows[24..<30])
        return world
    }

    @Test func `the result is bit for bit the model that never saw the rows`() throws {
        let world = try prepared()
        try world.create("seen")
        try world.learn("seen", "third.jsonl")
        try world.learn("seen", "first.jsonl")
        try world.forget("seen", "other.jsonl", "first.jsonl")
        try world.learn("seen", "second.jsonl")
        try world.create("clean")
        try world.learn("clean", "third.jsonl")
        try world.learn("clean", "first-without.jsonl")
        try world.forget("clean", "other.jsonl", "first-without.jsonl")
        let clean = try world.learn("clean", "second-without.jsonl")

        let plan = try world.run(
            "submit", "exact", "--model", "seen", "--forget", world.path("secret.jsonl"), "--dry-run")
        #expect(plan.status == 0, "\(plan.stderr)")
        #expect(
            plan.stdout.contains("goes back to seen@v2") && plan.stdout.contains("repeats 3 jobs")
                && plan.stdout.contains("without 2 of its rows"), "\(plan.stdout)")
        let exact = try world.job(
            "exact", "--model", "seen", "--forget", world.path("secret.jsonl"), "--holdout",
            world.path("holdout.jsonl"))
        #expect(exact["version"] == "v6" && exact["head_moved"] == true)
        #expect(exact["digest"] == clean["digest"] && exact["digest"]?.stringValue != nil)
        #expect(exact["result"]?["start"] == "seen@v2")
        #expect(
            exact["result"]?["jobs"]?.arrayValue?.compactMap { $0["rows_left_out"]?.integerValue } == [
                2, 2, 1,
            ])
        #expect(exact["evaluation"]?["after"]?["forget_loss"]?.doubleValue != nil)
        let history = try world.run("model", "history", "seen", "--json").json.arrayValue ?? []
        #expect(history.first { $0["version"] == "v6" }?["parent"] == "v2")

        // What is learned and forgotten later goes on from there.
        try world.learn("seen", "other.jsonl")
        let again = try world.job("exact", "--model", "seen", "--forget", world.path("third.jsonl"))
        try world.create("bare")
        try world.learn("bare", "first-without.jsonl")
        try world.forget("bare", "other.jsonl", "first-without.jsonl")
        try world.learn("bare", "second-without.jsonl")
        let bare = try world.learn("bare", "other.jsonl")
        #expect(again["digest"] == bare["digest"] && again["result"]?["start"] == "seen@v1")
    }

    @Test func `where nothing is recorded it says so`() throws {
        let world = try prepared()
        try world.create("seen")
        try world.learn("seen", "first.jsonl", epochs: 1)
        let never = try world.run(
            "submit", "exact", "--model", "seen", "--forget", world.path("third.jsonl"), "--wait")
        #expect(never.status == 65 && never.stderr.contains("never saw"), "\(never.stderr)")
        #expect(try world.run("model", "export", "seen", world.path("exported")).status == 0)
        #expect(try world.run("model", "import", "foreign", world.path("exported")).status == 0)
        let foreign = try world.run(
            "submit", "exact", "--model", "foreign", "--forget", world.path("secret.jsonl"), "--wait")
        #expect(
            foreign.status == 65 && foreign.stderr.contains("foreign@v1 was imported"), "\(foreign.stderr)")
        #expect(foreign.stderr.contains("npo"), "\(foreign.stderr)")
        try world.learn("foreign", "second.jsonl", epochs: 1)
        let since = try world.job("exact", "--model", "foreign", "--forget", world.path("secret.jsonl"))
        #expect(
            since["warnings"]?.arrayValue?.contains { $0.stringValue?.contains("imported") == true } == true)
        #expect(since["result"]?["start"] == "foreign@v1")
        let bare = try world.run("submit", "exact", "--model", "seen")
        #expect(bare.status == 64 && bare.stderr.contains("--forget"), "\(bare.stderr)")
    }

    @Test func `retraining makes the model of the rows that are kept`() throws {
        let world = try prepared()
        try world.create("seen", seed: 7)
        try world.learn("seen", "first.jsonl")
        try world.create("plain", seed: 7)
        let plain = try world.learn("plain", "second.jsonl")
        let settings = [
            "--retain", world.path("second.jsonl"), "--epochs", "2", "--learning-rate", "1e-3",
            "--batch-size",
            "2",
        ]
        func retrain(_ more: String...) throws -> RunningDaemon.Output {
            try world.daemon.ctl(["submit", "retrain"] + settings + more + ["--wait", "--json"])
        }
        // From the version before, as a model of its own.
        let gold = try retrain("--model", "gold", "--from", "seen@v1", "--seed", "5")
        #expect(gold.status == 0, "\(gold.stderr)")
        #expect(try gold.json["digest"] == plain["digest"] && gold.json["version"] == "v1")
        #expect(try gold.json["result"]?["from"] == "seen@v1" && gold.json["head_moved"] == true)
        // It measures others.
        let measured = try world.job(
            "evaluate", "--model", "seen", "--forget", world.path("secret.jsonl"), "--reference", "gold")
        #expect(measured["evaluation"]?["reference"]?["forget_loss"]?.doubleValue != nil)
        // In the same model it follows its head, but comes from an earlier version.
        let next = try retrain("--model", "seen", "--from", "seen@v1", "--seed", "5")
        #expect(try next.json["digest"] == plain["digest"] && next.json["version"] == "v3")
        #expect(try next.json["base"] == "v1" && next.json["head_moved"] == true)
        // Fresh weights are those that create draws.
        let fresh = try retrain("--model", "seen", "--fresh", "--seed", "7")
        #expect(fresh.status == 0, "\(fresh.stderr)")
        let drawn = try world.job(
            "finetune", "--model", "plain@v1", "--data", world.path("second.jsonl"), "--epochs", "2",
            "--learning-rate", "1e-3", "--batch-size", "2", "--seed", "7", "--no-evaluate")
        #expect(try fresh.json["digest"] == drawn["digest"])
        // What was retrained can be unlearned exactly, back to its fresh start.
        let exact = try world.job("exact", "--model", "seen", "--forget", world.path("secret.jsonl"))
        let wanted = try world.daemon.ctl(
            [
                "submit", "retrain", "--model", "wanted", "--from", "seen@v1", "--fresh", "--seed", "7",
                "--retain",
                world.path("second-without.jsonl"),
            ] + settings.dropFirst(2) + ["--wait", "--json"])
        #expect(try exact["digest"] == wanted.json["digest"] && exact["result"]?["start"]?.isNull == true)

        for (arguments, status, word) in [
            (["--model", "seen"], 64, "--fresh"), (["--model", "seen@v1", "--fresh"], 64, "seen"),
            (["--model", "nowhere", "--fresh"], 5, "nowhere"),
            (
                ["--model", "wanted", "--from", "seen@v1", "--fresh", "--lora-rank", "4"], 64,
                "adapters on fresh"
            ),
            (["--model", "gold", "--from", "seen@v9"], 5, "v9"),
        ] as [([String], Int32, String)] {
            let output = try world.daemon.ctl(["submit", "retrain"] + settings + arguments)
            #expect(output.status == status && output.stderr.contains(word), "\(arguments): \(output.stderr)")
        }
    }
}
