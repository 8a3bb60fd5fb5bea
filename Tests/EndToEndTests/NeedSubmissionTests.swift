// SPDX-License-Identifier: Apache-2.0

import Foundation
import Protocol
import TestSupport
import Testing

/// What is chosen and what is refused when a job is submitted, before anything runs.
@Suite(.timeLimit(.minutes(15)))
struct NeedSubmissionTests {
    private static let daemon = Result { () throws -> RunningDaemon in
        let daemon = try RunningDaemon()
        for name in ["forget.jsonl", "retain.jsonl"] {
            try ExampleModel.rows(name, 8).write(
                toFile: "\(daemon.directory)/\(name)", atomically: false, encoding: .utf8)
        }
        let made = try daemon.ctl([
            "model", "create", "people", "--config", ExampleModel.path("config.json"), "--tokenizer",
            ExampleModel.path("tokenizer.json"), "--tokenizer-config",
            ExampleModel.path("tokenizer_config.json"), "--seed", "3",
        ])
        guard made.status == 0 else { throw TestFailure(made.stderr) }
        return daemon
    }

    private func path(_ name: String) throws -> String { "\(try Self.daemon.get().directory)/\(name)" }

    @Test func `a need chooses metrics, attacks and gate, and shows them before anything runs`() throws {
        func asked(_ arguments: String...) throws -> RunningDaemon.Output {
            try Self.daemon.get().ctl(
                [
                    "submit", "ascent", "--model", "people", "--forget", try path("forget.jsonl"), "--retain",
                    try path("retain.jsonl"), "--dry-run",
                ] + arguments)
        }
        let copyright = try asked("--need", "copyright", "--json").json["spec"]
        let metrics = copyright?["parameters"]?["metrics"]?.arrayValue?.compactMap(\.stringValue) ?? []
        #expect(metrics.contains("verbatim") && metrics.contains("rouge"))
        #expect(copyright?["attacks"] == ["prompt"])
        #expect(copyright?["gate"]?.stringValue?.contains("near_verbatim<=0.1") == true)
        let safety = try asked("--need", "safety", "--reference", "people@v1", "--json").json["spec"]
        #expect(safety?["attacks"] == ["relearn", "quantize", "prompt", "probe"])
        #expect(safety?["gate"]?.stringValue?.contains("relearn_gap<=0.1") == true)
        // What is given stays.
        let own = try asked(
            "--need", "safety", "--attack", "probe", "--metrics", "zlib", "--gate", "forget<=1", "--json"
        ).json["spec"]
        #expect(own?["attacks"] == ["probe"])
        #expect(own?["parameters"]?["metrics"] == ["zlib"])
        #expect(own?["gate"] == "forget<=1")
        let words = try asked("--need", "privacy").stdout
        #expect(words.contains("need") && words.contains("privacy"))
        #expect(words.contains("attacks") && words.contains("prompt"))
        // An update without new answers cannot be judged.
        let refused = try asked("--need", "update")
        #expect(refused.status == 64)
        #expect(refused.stderr.contains("replacement"))
    }

    @Test(arguments: ["truth_ratio>=0.5", "replaced>=0.9", "ks_p>=0.05", "auc<=0.6", "privleak<=10"])
    func `a gate whose figure cannot be measured is refused with the remedy`(_ gate: String) throws {
        let output = try Self.daemon.get().ctl([
            "submit", "ascent", "--model", "people", "--forget", try path("forget.jsonl"), "--retain",
            try path("retain.jsonl"), "--gate", gate,
        ])
        #expect(output.status == 64)
        let remedy = [
            "truth_ratio": "perturbed_answer", "replaced": "replacement", "ks_p": "--reference",
            "auc": "--holdout", "privleak": "--holdout",
        ]
        let name = String(gate.prefix { $0.isLetter || $0 == "_" })
        #expect(output.stderr.contains(remedy[name] ?? "?"), "\(output.stderr)")
    }
}
