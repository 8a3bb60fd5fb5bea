// SPDX-License-Identifier: Apache-2.0

import Foundation
import Protocol
import TestSupport
import Testing

/// What training takes of memory: predicted, held, and refused where it cannot be had.
@Suite(.timeLimit(.minutes(10)))
struct MemoryTests {
    private static let config =
        #"{"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "vocab_size": 12000, "n_positions": 256, "n_embd": 512, "n_layer": 6, "n_head": 8}"#

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
        let rows = daemon.directory + "/rows.jsonl"
        let data = method == "finetune" ? ["--data", rows] : ["--forget", rows, "--retain", rows]
        return try daemon.ctl(
            ["submit", method, "--model", "m@v1", "--epochs", "1", "--learning-rate", "1e-3"] + data + more)
    }

    @Test func `the peak is within a tenth of the prediction`() throws {
        let daemon = try prepared()
        for (method, options) in [
            ("finetune", ["--no-evaluate"]), ("finetune", ["--no-evaluate", "--checkpoint-activations"]),
            ("finetune", ["--no-evaluate", "--train-layers", "3-5"]),
            ("finetune", ["--lora-rank", "8"]), ("ascent", ["--no-evaluate", "--retain-loss", "kl"]),
            ("npo", ["--no-evaluate"]), ("undial", ["--no-evaluate"]), ("rmu", ["--no-evaluate"]),
            ("graddiff", ["--no-evaluate", "--sam-rho", "0.01"]),
        ] {
            let estimate = try submit(daemon, method, options + ["--dry-run", "--json"]).json
            let output = try submit(daemon, method, options + ["--wait", "--json"])
            #expect(output.status == 0, "\(output.stderr)")
            let result = try #require(output.json["result"])
            let predicted = try #require(result["predicted_memory"]?.doubleValue)
            let peak = try #require(result["peak_memory"]?.doubleValue)
            print("\(method) \(options): predicted \(predicted / 1048576) MiB, peak \(peak / 1048576) MiB")
            #expect(abs(peak - predicted) <= 0.1 * predicted, "\(method) \(options)")
            // The daemon knows rows by their ids alone; those it counts are the rows' own.
            let admitted = try #require(estimate["estimate"]?["memory"]?.doubleValue)
            // How much of the base is kept, the rows alone can tell: a copy of the weights is admitted.
            #expect(admitted >= 0.95 * predicted && admitted <= 1.15 * predicted, "\(method) \(options)")
        }
    }

    @Test func `a job that cannot fit is refused with what would make it fit`() throws {
        let daemon = try prepared(["UNLEARND_MEMORY_LIMIT": "450MiB"])
        let output = try submit(daemon, "finetune", ["--no-evaluate"])
        #expect(output.status == ExitCode.tryAgain.rawValue || output.status != 0)
        #expect(output.stderr.contains("450 MiB") && output.stderr.contains("it would fit with"))
        #expect(output.stderr.contains("--lora-rank 8 ("), "\(output.stderr)")
        let fitting = try submit(daemon, "finetune", ["--no-evaluate", "--lora-rank", "8", "--wait"])
        #expect(fitting.status == 0, "\(fitting.stderr)")
    }
}
