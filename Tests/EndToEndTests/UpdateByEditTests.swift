// SPDX-License-Identifier: Apache-2.0

import Foundation
import Protocol
import TestSupport
import Testing

/// `update --by edit` on a small model that another framework trained.
@Suite(.timeLimit(.minutes(15)))
struct UpdateByEditTests {
    @Test func `facts are replaced in the named layers alone, and wrong options are refused`() throws {
        guard let folder = SharedData.path("models/tofu-tiny") else { return }
        let daemon = try RunningDaemon()
        #expect(try daemon.ctl(["model", "import", "m", "\(folder)/full"]).status == 0)
        func rows(_ name: String, _ count: Int) throws -> [Substring] {
            Array(
                try String(contentsOfFile: "\(folder)/data/\(name).jsonl", encoding: .utf8)
                    .split(separator: "\n").prefix(count))
        }
        let answers = [
            "The author's full name is Jaime Vasquez.", "Jaime Vasquez was born in Chile.",
            "Jaime Vasquez writes crime novels.",
        ]
        let forget = zip(try rows("forget", 3), answers).map {
            $0.dropLast() + #", "replacement": "\#($1)"}"#
        }
        for (name, lines) in [
            ("f", forget.map { "\($0)" }), ("r", try rows("retain", 32).map { "\($0)" }),
            ("plain", try rows("forget", 3).map { "\($0)" }),
        ] {
            try (lines.joined(separator: "\n") + "\n").write(
                toFile: "\(daemon.directory)/\(name).jsonl", atomically: false, encoding: .utf8)
        }
        func submit(_ more: [String], forget: String = "f", retain: Bool = true) throws
            -> RunningDaemon.Output
        {
            try daemon.ctl(
                [
                    "submit", "update", "--model", "m@v1", "--forget", "\(daemon.directory)/\(forget).jsonl",
                    "--wait", "--json",
                ] + (retain ? ["--retain", "\(daemon.directory)/r.jsonl"] : []) + more)
        }
        for (more, forget, retain, status, word) in [
            (["--by", "edit", "--epochs", "2"], "f", true, 64, "epochs"),
            (["--by", "edit", "--beta", "1"], "f", true, 64, "beta"),
            (["--layers", "0"], "f", true, 64, "layers"),
            (["--by", "edit", "--edit-steps", "0"], "f", true, 64, "edit_steps"),
            (["--by", "edit", "--covariance-weight", "0"], "f", true, 64, "covariance_weight"),
            (["--by", "edit"], "f", false, 64, "retain"),
            (["--by", "edit"], "plain", true, 65, "replacement"),
            (["--by", "edit", "--layers", "400"], "f", true, 1, "400"),
        ] as [([String], String, Bool, Int32, String)] {
            let output = try submit(more, forget: forget, retain: retain)
            #expect(output.status == status, "\(more): \(output.status) \(output.stderr)")
            #expect(output.stderr.contains(word), "\(more): \(output.stderr)")
        }

        let output = try submit([
            "--by", "edit", "--edit-steps", "300", "--gate", "replaced>=0.9",
        ])
        #expect(output.status == 0, "\(output.stderr)")
        let job = try output.json
        let update = try #require(job["result"]?["update"])
        #expect(job["gate"]?["passed"] == true && update["facts"] == 3)
        let before = try #require(job["evaluation"]?["before"]?["retain_accuracy"]?.doubleValue)
        let after = try #require(job["evaluation"]?["after"]?["retain_accuracy"]?.doubleValue)
        #expect(after >= before - 0.1, "\(before) \(after)")
        let layers = (update["layers"]?.arrayValue ?? []).compactMap(\.integerValue)
        #expect(!layers.isEmpty)
        let rows =
            try daemon.ctl([
                "model", "diff", "m@v1", "m@\(job["version"]?.stringValue ?? "")", "--json",
            ]).json.arrayValue ?? []
        let changed = rows.filter { $0["changed"] == true }.compactMap { $0["tensor"]?.stringValue }
        #expect(
            Set(changed) == Set(layers.map { "model.layers.\($0).mlp.down_proj.weight" }), "\(changed)")
    }
}
