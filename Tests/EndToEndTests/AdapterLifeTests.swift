// SPDX-License-Identifier: Apache-2.0

import Foundation
import Protocol
import TestSupport
import Testing

/// The life of a low-rank adapter: trained, merged, exported, subtracted again.
@Suite(.timeLimit(.minutes(15)))
struct AdapterLifeTests {
    private func run(_ daemon: RunningDaemon, _ arguments: String...) throws -> RunningDaemon.Output {
        let output = try daemon.ctl(arguments)
        #expect(output.status == 0, "\(arguments): \(output.stderr)")
        return output
    }

    @Test func `an adapter is trained, merged, exported as PEFT has it, and taken away again`() throws {
        let daemon = try RunningDaemon()
        _ = try run(
            daemon, "model", "create", "people", "--config", ExampleModel.path("config.json"), "--tokenizer",
            ExampleModel.path("tokenizer.json"), "--tokenizer-config",
            ExampleModel.path("tokenizer_config.json"), "--seed", "3")
        let rows = daemon.directory + "/rows.jsonl"
        try ExampleModel.rows("retain.jsonl", 16).write(toFile: rows, atomically: false, encoding: .utf8)
        let trained = try run(
            daemon, "submit", "finetune", "--model", "people", "--data", rows, "--epochs", "2",
            "--learning-rate", "1e-2", "--lora-rank", "4", "--lora-alpha", "8", "--lora-targets",
            "q_proj,down_proj", "--schedule", "cosine", "--warmup-steps", "0.2", "--clip-norm", "1",
            "--accumulate", "2", "--checkpoint-activations", "--wait", "--json"
        ).json
        #expect(trained["version"] == "v2" && trained["result"]?["steps"] == 4)
        let changed =
            try run(daemon, "model", "diff", "people@v1", "people@v2", "--json").json.arrayValue ?? []
        for row in changed {
            let name = row["tensor"]?.stringValue ?? ""
            let isTarget = name.hasSuffix("q_proj.weight") || name.hasSuffix("down_proj.weight")
            #expect(row["changed"] == .bool(isTarget), "\(name)")
        }
        let folder = daemon.directory + "/adapter"
        _ = try run(daemon, "model", "export", "people@v2", folder, "--adapter")
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == [
                "adapter_config.json", "adapter_model.safetensors",
            ])
        let configuration = try StrictJSON.parse(
            Array(Data(contentsOf: URL(filePath: folder + "/adapter_config.json"))))
        #expect(configuration["r"] == 4 && configuration["target_modules"] == ["down_proj", "q_proj"])
        // An exported version is without it, and a version that was not trained so has none.
        _ = try run(daemon, "model", "export", "people@v2", daemon.directory + "/whole")
        #expect(!FileManager.default.fileExists(atPath: daemon.directory + "/whole/adapter_config.json"))
        let none = try daemon.ctl(["model", "export", "people@v1", daemon.directory + "/none", "--adapter"])
        #expect(none.status != 0 && none.stderr.contains("--lora-rank"), "\(none.stderr)")

        let undone = try run(
            daemon, "submit", "task-vector", "--model", "people", "--adapter", folder, "--wait", "--json"
        ).json
        #expect(undone["version"] == "v3")
        let left = try run(daemon, "model", "diff", "people@v1", "people@v3", "--json").json.arrayValue ?? []
        #expect(left.allSatisfy { $0["relative_l2"]?.doubleValue ?? 1 < 1e-6 })
        #expect(try run(daemon, "store", "verify").status == 0)
    }
}
