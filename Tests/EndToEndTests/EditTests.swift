// SPDX-License-Identifier: Apache-2.0

import Foundation
import Protocol
import TestSupport
import Testing

/// Weight edits and attacks on a small model that another framework trained.
@Suite(.timeLimit(.minutes(15)))
struct EditTests {
    /// A daemon with the trained model as `m` and files of its rows; `nil`, with a printed reason, without the data.
    private func prepared() throws -> RunningDaemon? {
        guard let folder = SharedData.path("models/tofu-tiny") else { return nil }
        let daemon = try RunningDaemon()
        for (name, directory) in [("m", "full"), ("gold", "retrained")] {
            let output = try daemon.ctl(["model", "import", name, "\(folder)/\(directory)"])
            #expect(output.status == 0, "\(output.stderr)")
        }
        for (name, count) in [("forget", 32), ("retain", 32)] {
            let text = try String(contentsOfFile: "\(folder)/data/\(name).jsonl", encoding: .utf8)
            try (text.split(separator: "\n").prefix(count).joined(separator: "\n") + "\n")
                .write(toFile: "\(daemon.directory)/\(name).jsonl", atomically: false, encoding: .utf8)
        }
        return daemon
    }

    private func submit(_ daemon: RunningDaemon, _ arguments: [String], status: Int32 = 0) throws -> JSONValue
    {
        let output = try daemon.ctl(
            ["submit"] + arguments + [
                "--forget", daemon.directory + "/forget.jsonl", "--wait", "--json",
            ])
        #expect(output.status == status, "\(arguments): \(output.stderr)")
        return try output.json
    }

    @Test func `ablation touches the output weights of the units that it names and nothing else`() throws {
        guard let daemon = try prepared() else { return }
        let job = try submit(
            daemon,
            [
                "ablate", "--model", "m", "--retain", daemon.directory + "/retain.jsonl", "--units", "both",
                "--fraction", "0.02",
            ])
        let ablation = try #require(job["result"]?["ablation"])
        let count = try #require(ablation["count"]?.integerValue)
        let before = try #require(job["evaluation"]?["before"]?["forget_accuracy"]?.doubleValue)
        #expect(before > 0.99 && count > 0)
        #expect(ablation["units"]?.arrayValue?.count == Int(count))
        let share = try #require(ablation["share"]?.doubleValue)
        let rows = try daemon.ctl(["model", "diff", "m@v1", "m@v2", "--json"]).json.arrayValue ?? []
        let changed = rows.filter { $0["changed"] == true }.compactMap { $0["tensor"]?.stringValue }
        #expect(!changed.isEmpty && share > 0 && share < 0.1)
        #expect(changed.allSatisfy { $0.hasSuffix("down_proj.weight") || $0.hasSuffix("o_proj.weight") })
    }

    @Test func `the smallest scale that meets the gate is found, and none is a candidate`() throws {
        guard let daemon = try prepared() else { return }
        let tuned = try daemon.ctl([
            "model", "import", "tuned", try #require(SharedData.path("models/tofu-tiny/full")),
        ])
        #expect(tuned.status == 0)
        let learned = try daemon.ctl([
            "submit", "finetune", "--model", "tuned", "--data", daemon.directory + "/forget.jsonl",
            "--epochs",
            "2", "--learning-rate", "2e-4", "--batch-size", "8", "--wait",
        ])
        #expect(learned.status == 0, "\(learned.stderr)")
        let common = [
            "task-vector", "--model", "m@v1", "--finetuned", "tuned", "--retain",
            daemon.directory + "/retain.jsonl", "--density", "0.5", "--scale", "auto",
        ]
        let job = try submit(
            daemon, common + ["--scale-grid", "0.5,4,16,32", "--gate", "forget<=0.9,retain>=0.01"])
        let trials = try #require(job["result"]?["trials"]?.arrayValue)
        let scale = try #require(job["result"]?["scale"]?.doubleValue)
        #expect(trials.last?["scale"]?.doubleValue == scale && trials.last?["passed"] == true)
        #expect(trials.dropLast().allSatisfy { $0["passed"] == false })
        #expect(
            trials.last?["forget_accuracy"] == job["evaluation"]?["after"]?["forget_accuracy"])
        let refused = try submit(
            daemon, common + ["--scale-grid", "0.25,0.5", "--gate", "forget<=0.01,retain>=0.5"], status: 3)
        #expect(refused["result"]?["trials"]?.arrayValue?.count == 2)
        #expect(refused["head_moved"] == false && refused["gate"]?["passed"] == false)
    }

    @Test func `a model that was taught to refuse is found out, and one that never knew is not`() throws {
        guard let daemon = try prepared() else { return }
        // Each forget question answered by a refusal; the rest of the model kept by retain rows.
        let rows = try String(contentsOfFile: daemon.directory + "/forget.jsonl", encoding: .utf8)
            .split(separator: "\n").map { line -> String in
                let row = try StrictJSON.parse(Array(line.utf8))
                let refusal: JSONValue = [
                    "prompt": row["prompt"] ?? .null, "completion": " I don't know anything about that.",
                ]
                return refusal.serializedString()
            }
        let retain = try String(contentsOfFile: daemon.directory + "/retain.jsonl", encoding: .utf8)
        try (rows.joined(separator: "\n") + "\n" + retain)
            .write(toFile: daemon.directory + "/refuse.jsonl", atomically: false, encoding: .utf8)
        let taught = try daemon.ctl([
            "submit", "finetune", "--model", "m", "--data", daemon.directory + "/refuse.jsonl", "--epochs",
            "4",
            "--learning-rate", "2e-4", "--batch-size", "8", "--wait",
        ])
        #expect(taught.status == 0, "\(taught.stderr)")
        let options = [
            "--reference", "gold", "--attack-rows", "12", "--samples", "1", "--attack-prompts", "prefix",
            "--relearn-rows", "8", "--relearn-steps", "10", "--relearn-rate", "2e-4",
        ]
        let job = try submit(
            daemon, ["attack", "prompt", "relearn", "probe", "quantize", "--model", "m"] + options)
        let report = try #require(job["result"]?["attacks"])
        print("refusal: \(report.serializedString())")
        #expect(report["verdict"] == "suppressed")
        func attack(_ name: String, _ report: JSONValue) -> JSONValue? {
            report["attacks"]?.arrayValue?.first { $0["kind"]?.stringValue == name }
        }
        let prompt = try #require(attack("prompt", report))
        // It says nothing when asked, and everything when the answer is begun.
        #expect((prompt["result"]?.arrayValue?.first?.doubleValue ?? 1) <= 0.1)
        #expect((prompt["result"]?.arrayValue?.last?.doubleValue ?? 0) >= 0.5)
        #expect(attack("probe", report)?["points"]?.arrayValue?.count == 7)
        #expect(attack("quantize", report)?["points"] == ["none", "int8", "int4", "nf4"])
        #expect(attack("relearn", report)?["reference"]?.arrayValue?.count == 6)

        let typed = try submit(
            daemon,
            [
                "attack", "prompt", "--model", "m", "--attack-rows", "8", "--samples", "0",
                "--attack-prompts",
                "suffix", "--suffix-tokens", "6", "--suffix-steps", "4", "--suffix-candidates", "8",
            ])
        let found = try #require(typed["result"]?["attacks"])
        let search = try #require(attack("prompt", found))
        #expect(
            search["points"] == ["plain", "suffix"] && search["result"]?.arrayValue?.last?.doubleValue != nil)
        let losses = ["suffix_loss_first", "suffix_loss_last"].map {
            search["figures"]?[$0]?.doubleValue ?? .nan
        }
        #expect(losses[1] < losses[0], "\(losses)")
        let words = try daemon.ctl(["report", "\(typed["id"]?.integerValue ?? 0)"]).stdout
        #expect(words.contains("suffix found for the result"), "\(words)")

        let gold = try submit(daemon, ["attack", "prompt", "quantize", "--model", "gold"] + options)
        #expect(gold["result"]?["attacks"]?["verdict"] == "resistant", "\(gold["result"] ?? .null)")
        let full = try submit(daemon, ["attack", "prompt", "quantize", "--model", "m@v1"] + options)
        #expect(full["result"]?["attacks"]?["verdict"] == "known", "\(full["result"] ?? .null)")
    }

    @Test func `what cannot be done is refused at submission`() throws {
        guard let daemon = try prepared() else { return }
        let forget = daemon.directory + "/forget.jsonl"
        for (arguments, word) in [
            (["attack", "relearn", "--model", "m"], "forgotten"),
            (
                ["ablate", "--model", "m", "--forget", forget, "--fraction", "0.1", "--count", "3"],
                "fraction and count"
            ),
            (["ablate", "--model", "m", "--forget", forget, "--factor", "0.5"], "dampen"),
            (["attack", "relearn", "--model", "m", "--forget", forget, "--relearn-on", "retain"], "retain"),
            (
                [
                    "task-vector", "--model", "m", "--finetuned", "gold", "--forget", forget, "--scale",
                    "auto",
                ],
                "gate"
            ), (["task-vector", "--model", "m", "--finetuned", "gold", "--layer-scale", "x"], "0-3=0.5"),
        ] as [([String], String)] {
            let output = try daemon.ctl(["submit"] + arguments)
            #expect(output.status == 64 && output.stderr.contains(word), "\(arguments): \(output.stderr)")
        }
    }
}
