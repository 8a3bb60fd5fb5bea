// SPDX-License-Identifier: Apache-2.0

import Foundation
import Protocol
import TestSupport
import Testing

/// What jobs take of memory: predicted, held, and refused where it cannot be had.
@Suite(.serialized, .timeLimit(.minutes(15)))
struct MemoryTests {
    private static let config =
        #"{"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "vocab_size": 12000, "n_positions": 256, "n_embd": 512, "n_layer": 6, "n_head": 8, "eos_token_id": 0}"#

    /// A daemon with a model of 25 million parameters and rows of ids.
    private func prepared(_ environment: [String: String] = [:]) throws -> RunningDaemon {
        let daemon = try RunningDaemon(environment: environment)
        try Self.config.write(toFile: daemon.directory + "/config.json", atomically: false, encoding: .utf8)
        let output = try daemon.ctl([
            "model", "create", "m", "--config", daemon.directory + "/config.json", "--tokenizer",
            ExampleModel.path("tokenizer.json"), "--seed", "1",
        ])
        #expect(output.status == 0, "\(output.stderr)")
        let rows = (0..<8).map { row in
            let ids = (0..<192).map { String(($0 * 37 + row * 11) % 12000) }.joined(separator: ",")
            return "{\"input_ids\": [\(ids)]}\n"
        }
        try rows.joined().write(
            toFile: daemon.directory + "/rows.jsonl", atomically: false, encoding: .utf8)
        return daemon
    }

    private func submit(_ daemon: RunningDaemon, _ method: String, _ more: [String]) throws
        -> RunningDaemon.Output
    {
        try daemon.ctl(["submit", method] + training(daemon, method) + more)
    }

    private func training(_ daemon: RunningDaemon, _ method: String) -> [String] {
        let rows = daemon.directory + "/rows.jsonl"
        let data = method == "finetune" ? ["--data", rows] : ["--forget", rows, "--retain", rows]
        return ["--model", "m@v1", "--epochs", "1", "--learning-rate", "1e-3"] + data
    }

    /// Questions with two answers each, as text.
    private func texts(_ daemon: RunningDaemon) throws -> String {
        let words = ["north", "river", "stone", "house", "green", "seven", "early", "winter"]
        func text(_ count: Int, _ step: Int) -> String {
            (0..<count).map { words[($0 * step + count) % words.count] }.joined(separator: " ")
        }
        let rows = (1...8).map {
            "{\"question\": \"\(text(12 + $0, 3))\", \"answer\": \"\(text(14 + $0, 5))\", \"replacement\": \"\(text(15 + $0, 7))\"}\n"
        }
        let path = daemon.directory + "/texts.jsonl"
        try rows.joined().write(toFile: path, atomically: false, encoding: .utf8)
        return path
    }

    /// Does a job, and holds what it took against what it was predicted to take and was admitted with.
    ///
    /// - Parameter isText: Whether the daemon, which has no tokenizer, can only say how much it is at most.
    private func expectWithinATenth(
        _ daemon: RunningDaemon, _ arguments: [String], isText: Bool = false
    ) throws {
        let hidden = [daemon.directory, "--model", "m@v1", "--forget", "--retain"]
        let name = arguments.filter { word in !hidden.contains { word.hasPrefix($0) } }
            .joined(separator: " ")
        let estimate = try daemon.ctl(["submit"] + arguments + ["--dry-run", "--json"])
        #expect(estimate.status == 0, "\(name): \(estimate.stderr)")
        let output = try daemon.ctl(["submit"] + arguments + ["--wait", "--json"])
        #expect(output.status == 0, "\(name): \(output.stderr)")
        let result = try #require(output.json["result"], "\(name)")
        let predicted = try #require(result["predicted_memory"]?.doubleValue, "\(name)")
        let peak = try #require(result["peak_memory"]?.doubleValue)
        let admitted = try #require(estimate.json["estimate"]?["memory"]?.doubleValue)
        func mebibytes(_ bytes: Double) -> Int { Int((bytes / 1048576).rounded()) }
        print(
            "| \(name) | \(mebibytes(admitted)) | \(mebibytes(predicted)) | \(mebibytes(peak)) | \((1000 * peak / predicted).rounded() / 10) % |"
        )
        #expect(abs(peak - predicted) <= 0.1 * predicted, "\(name)")
        // How much of the base is kept, the rows alone can tell: a copy of the weights is admitted.
        #expect(admitted >= 0.95 * predicted, "\(name)")
        #expect(isText || admitted <= 1.15 * predicted, "\(name)")
    }

    @Test func `the peak of training is within a tenth of the prediction`() throws {
        let daemon = try prepared()
        for (method, options) in [
            ("finetune", ["--no-evaluate"]), ("finetune", ["--no-evaluate", "--checkpoint-activations"]),
            ("finetune", ["--no-evaluate", "--train-layers", "3-5"]),
            ("finetune", ["--lora-rank", "8"]), ("ascent", ["--no-evaluate", "--retain-loss", "kl"]),
            ("npo", []), ("undial", ["--no-evaluate"]), ("rmu", ["--no-evaluate"]),
            ("graddiff", ["--no-evaluate", "--sam-rho", "0.01"]),
            ("simnpo", ["--precision", "bf16"]),
            ("graddiff", ["--attack", "relearn", "--attack", "quantize", "--relearn-steps", "2"]),
        ] { try expectWithinATenth(daemon, [method] + training(daemon, method) + options) }
    }

    @Test func `edits, measurements and attacks stay within a tenth of the prediction too`() throws {
        let daemon = try prepared()
        let output = try daemon.ctl([
            "model", "create", "other", "--config", daemon.directory + "/config.json", "--tokenizer",
            ExampleModel.path("tokenizer.json"), "--seed", "2",
        ])
        #expect(output.status == 0, "\(output.stderr)")
        let rows = daemon.directory + "/rows.jsonl"
        let data = ["--model", "m@v1", "--forget", rows, "--retain", rows]
        // The sets are the same rows, and what carries one carries the other.
        let ablate = ["ablate", "--retain-weight", "0.5"]
        let direction = ["task-vector", "--finetuned", "other@v1", "--scale", "0.1"]
        for method in [
            direction, ["evaluate"], ["evaluate", "--reference", "other@v1"],
            ["evaluate", "--metrics", "gradient_norm"], ablate, ablate + ["--no-evaluate"],
            ablate + ["--batch-size", "8"], ["dampen", "--ratio", "0.5"],
            ["attack", "probe"], ["attack", "quantize"],
            ["attack", "relearn", "--relearn-steps", "2", "--relearn-rows", "4"],
            ["attack", "prompt", "--attack-prompts", "soft", "--soft-steps", "2"],
            [
                "attack", "prompt", "--attack-prompts", "suffix", "--suffix-steps", "1",
                "--suffix-candidates", "2",
            ],
        ] { try expectWithinATenth(daemon, method + data) }
    }

    @Test func `so do jobs that are done again without some rows`() throws {
        let daemon = try prepared()
        let taught = try submit(daemon, "finetune", ["--no-evaluate", "--wait"])
        #expect(taught.status == 0, "\(taught.stderr)")
        let rows = try String(contentsOfFile: daemon.directory + "/rows.jsonl", encoding: .utf8)
        let some = daemon.directory + "/some.jsonl"
        try rows.split(separator: "\n").prefix(2).joined(separator: "\n").write(
            toFile: some, atomically: false, encoding: .utf8)
        try expectWithinATenth(daemon, ["exact", "--model", "m@v2", "--forget", some, "--no-evaluate"])
    }

    @Test func `so do jobs in which the model speaks, and those that replace what it says`() throws {
        let daemon = try prepared()
        let texts = try texts(daemon)
        let data = ["--model", "m@v1", "--forget", texts, "--retain", texts]
        let training = ["--epochs", "1", "--learning-rate", "1e-3", "--no-evaluate"]
        for method in [
            ["evaluate", "--metrics", "rouge"], ["update", "--by", "edit", "--edit-steps", "2"],
            ["attack", "prompt", "--attack-prompts", "affirmative"], ["dpo", "--batch-size", "8"] + training,
            ["altpo", "--batch-size", "8", "--alternates", "2", "--max-new-tokens", "40"] + training,
        ] { try expectWithinATenth(daemon, method + data, isText: true) }

        let prompts = daemon.directory + "/prompts.txt"
        try (1...16).map { "north river stone \($0)\n" }.joined().write(
            toFile: prompts, atomically: false, encoding: .utf8)
        let output = try daemon.ctl([
            "generate", "m@v1", "--prompts", prompts, "--max-new-tokens", "200", "--json",
        ])
        #expect(output.status == 0, "\(output.stderr)")
        let log = try daemon.ctl(["logs", "7"]).stdout
        let figures =
            log.split(separator: "\n").last { $0.contains("memory peaked at") }
            .map { $0.split(separator: " ").compactMap { Int($0) } } ?? []
        let (peak, predicted) = (try #require(figures.dropLast().last), try #require(figures.last))
        print("| generate | | \(predicted) | \(peak) | \(1000 * peak / predicted / 10) % |")
        #expect(abs(peak - predicted) * 10 <= predicted)
    }

    @Test func `a job that cannot fit is refused with what would make it fit`() throws {
        let daemon = try prepared(["UNLEARND_MEMORY_LIMIT": "450MiB"])
        let output = try submit(daemon, "finetune", ["--no-evaluate"])
        #expect(output.status == ExitCode.tryAgain.rawValue || output.status != 0)
        #expect(output.stderr.contains("450 MiB") && output.stderr.contains("it would fit with"))
        #expect(output.stderr.contains("--lora-rank 8 ("), "\(output.stderr)")
        let fitting = try submit(daemon, "finetune", ["--no-evaluate", "--lora-rank", "8", "--wait"])
        #expect(fitting.status == 0, "\(fitting.stderr)")
        let rows = daemon.directory + "/rows.jsonl"
        let ablate = [
            "ablate", "--retain-weight", "0.5", "--model", "m@v1", "--forget", rows, "--retain", rows,
        ]
        let large = try daemon.ctl(["submit"] + ablate)
        #expect(large.status != 0 && large.stderr.contains("it would fit with"), "\(large.stderr)")
        #expect(large.stderr.contains("--batch-size 1 ("), "\(large.stderr)")
        let small = try daemon.ctl(["submit"] + ablate + ["--batch-size", "1", "--wait"])
        #expect(small.status == 0, "\(small.stderr)")
        let attack = try daemon.ctl(["submit", "attack", "relearn"] + ablate.dropFirst(3))
        #expect(attack.status != 0 && attack.stderr.contains("does not fit"), "\(attack.stderr)")
    }
}
