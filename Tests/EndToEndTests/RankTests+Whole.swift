// SPDX-License-Identifier: Apache-2.0

import Foundation
import Protocol
import TestSupport
import Testing

/// What one rank does for all: exact repetitions, and the search of an edit of facts.
extension RankTests {
    @Test func `exact unlearning by several ranks makes the bytes and the figures of one`() throws {
        guard Self.hasMPI() else { return }
        let daemon = try taught()
        let learned = try end(
            daemon,
            submit(
                daemon,
                ["finetune", "--data", "r.jsonl", "--epochs", "2", "--no-evaluate"]))
        #expect(learned.state == .succeeded, "\(String(describing: learned.error))")
        let version = try #require(learned.version)
        let rows = try ExampleModel.rows("retain.jsonl", 3)
        try rows.write(toFile: "\(daemon.directory)/some.jsonl", atomically: false, encoding: .utf8)
        let words = [
            "exact", "--model", "people@\(version)", "--forget", "some.jsonl", "--retain", "r.jsonl",
            "--holdout", "h.jsonl", "--attack", "quantize", "--metrics", "all", "--max-new-tokens", "6",
        ]
        let one = try expectTheSame(daemon, words, ranks: ["2", "3"])
        #expect(one.digest != nil && one.evaluation?.after?.forgetLoss != nil)
        #expect(try daemon.ctl(["store", "verify"]).status == 0)
    }

    @Test func `what several ranks trained cannot be repeated, and exact says so before it begins`() throws {
        guard Self.hasMPI() else { return }
        let daemon = try prepared()
        let trained = try end(
            daemon,
            submit(
                daemon, ["finetune", "--data", "r.jsonl", "--epochs", "1", "--no-evaluate"], "--ranks", "2"))
        let version = try #require(trained.version)
        let head = try history(daemon)
        try ExampleModel.rows("retain.jsonl", 3).write(
            toFile: "\(daemon.directory)/some.jsonl", atomically: false, encoding: .utf8)
        for ranks in [[], ["--ranks", "2"]] {
            let output = try daemon.ctl(
                [
                    "submit", "exact", "--model", "people@\(version)", "--forget",
                    "\(daemon.directory)/some.jsonl", "--dry-run",
                ] + ranks)
            #expect(output.status == ExitCode.badInput.rawValue, "\(output.status)")
            #expect(output.stderr.contains("was trained on 2 ranks"), "\(output.stderr)")
            #expect(output.stderr.contains("npo"), "\(output.stderr)")
        }
        let now = try history(daemon)
        #expect(now == head)
    }

    @Test func `facts edited by several ranks are the bytes and the figures of one`() throws {
        guard Self.hasMPI() else { return }
        let daemon = try taught()
        let rows = try ExampleModel.rows("forget.jsonl", 4)
        try rows.replacingOccurrences(of: "}\n", with: #", "replacement": "Siebim Troathoul"}"# + "\n").write(
            toFile: "\(daemon.directory)/facts.jsonl", atomically: false, encoding: .utf8)
        let words = [
            "update", "--by", "edit", "--model", "people@v2", "--forget", "facts.jsonl", "--retain",
            "r.jsonl", "--holdout", "h.jsonl", "--edit-steps", "40", "--attack", "probe",
        ]
        let one = try expectTheSame(daemon, words, ranks: ["2", "3"])
        #expect(one.digest != nil && one.result?["update"]?["facts"] == 4)
    }
}
