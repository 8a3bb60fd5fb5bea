// SPDX-License-Identifier: Apache-2.0

import Foundation
import Protocol
import TestSupport
import Testing

/// `--profile` and `--precision` on real jobs.
@Suite(.timeLimit(.minutes(15)))
struct ProfileTests {
    /// A daemon with two equal random models and rows to learn.
    private func prepared() throws -> RunningDaemon {
        let daemon = try RunningDaemon()
        for name in ["a", "b"] {
            let output = try daemon.ctl([
                "model", "create", name, "--config", ExampleModel.path("config.json"),
                "--tokenizer", ExampleModel.path("tokenizer.json"),
                "--tokenizer-config", ExampleModel.path("tokenizer_config.json"), "--seed", "3",
            ])
            #expect(output.status == 0, "\(output.stderr)")
        }
        try ExampleModel.rows("retain.jsonl", 8).write(
            toFile: "\(daemon.directory)/rows.jsonl", atomically: false, encoding: .utf8)
        return daemon
    }

    private func finetune(_ daemon: RunningDaemon, _ model: String, _ more: String...) throws -> JSONValue {
        let rows = "\(daemon.directory)/rows.jsonl"
        let output = try daemon.ctl(
            [
                "submit", "finetune", "--model", model, "--data", rows, "--holdout", rows, "--epochs", "1",
                "--wait", "--json",
            ] + more)
        #expect(output.status == 0, "\(output.stderr)")
        return try output.json
    }

    @Test func `a profile adds up, and changes nothing`() throws {
        let daemon = try prepared()
        let plain = try finetune(daemon, "a")
        let profiled = try finetune(daemon, "b", "--profile")
        #expect(plain["digest"]?.stringValue != nil && plain["digest"] == profiled["digest"])
        #expect(plain["result"]?["profile"] == nil)
        let phases = try #require(profiled["result"]?["profile"])
        for phase in ["edit", "evaluate-before", "evaluate-after"] {
            let shares = try #require(phases[phase]?["shares"]?.objectValue)
            let names = [
                "gemm", "attention", "normalization", "loss", "optimizer", "input", "exchange", "other",
            ]
            #expect(shares.members.map(\.key).sorted() == names.sorted())
            let values = shares.members.compactMap(\.value.doubleValue)
            #expect(values.allSatisfy { $0 >= 0 } && abs(values.reduce(0, +) - 1) < 1e-6)
            #expect((shares["gemm"]?.doubleValue ?? 0) > 0 && (shares["loss"]?.doubleValue ?? 0) > 0)
            #expect(((shares["optimizer"]?.doubleValue ?? 0) > 0) == (phase == "edit"))
            #expect((phases[phase]?["gemm_gflops"]?.doubleValue ?? 0) > 0)
        }
        let job = try #require(profiled["id"]?.integerValue)
        #expect(try daemon.ctl(["logs", "\(job)"]).stdout.contains("profile of edit: gemm"))
    }

    @Test func `bf16 runs as asked, or says that it runs in f32`() throws {
        let daemon = try prepared()
        let plain = try finetune(daemon, "a")
        let asked = try finetune(daemon, "b", "--precision", "bf16")
        let warnings = (asked["warnings"]?.arrayValue ?? []).compactMap(\.stringValue)
        if let warning = warnings.first(where: { $0.hasPrefix("bf16: ") }) {
            #expect(warning.hasSuffix("computed in f32"))
            #expect(asked["digest"] == plain["digest"])
        } else {
            #expect(asked["digest"] != plain["digest"])
        }
    }
}
