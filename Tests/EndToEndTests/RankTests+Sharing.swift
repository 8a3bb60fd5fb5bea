// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Protocol
import TestSupport
import Testing

/// What several processes measure, attack and edit together, against one process.
extension RankTests {
    static let sets = ["--forget", "f.jsonl", "--retain", "r.jsonl", "--holdout", "h.jsonl"]

    /// A daemon with a second version, trained a little, and files for all three sets.
    func taught(_ environment: [String: String] = ["UNLEARND_THREADS": "2"]) throws -> RunningDaemon {
        let daemon = try prepared(environment)
        try ExampleModel.rows("holdout.jsonl", 9).write(
            toFile: "\(daemon.directory)/h.jsonl", atomically: false, encoding: .utf8)
        let taught = try end(
            daemon, submit(daemon, ["finetune", "--data", "f.jsonl", "--epochs", "8"]))
        #expect(taught.state == .succeeded, "\(String(describing: taught.error))")
        return daemon
    }

    func submit(_ daemon: RunningDaemon, untrained words: [String], _ more: String...) throws -> JobID {
        let words = words.map { $0.hasSuffix(".jsonl") ? "\(daemon.directory)/\($0)" : $0 }
        let output = try daemon.ctl(["submit"] + words + ["--quiet"] + more)
        guard output.status == 0, let id = Int(output.stdout.trimmingCharacters(in: .whitespacesAndNewlines))
        else { throw TestFailure("the submission failed with \(output.status): \(output.stderr)") }
        return id
    }

    /// What the figures are made of: the rows' own scores, the attacks' series, the units.
    func evidence(_ daemon: RunningDaemon, _ id: JobID) throws -> [String: JSONValue] {
        let session = try daemon.session()
        let list: JSONValue = try session.result("job.evidence", ["job": .integer(Int64(id))])
        let names = (list["pieces"]?.arrayValue ?? []).compactMap { $0["name"]?.stringValue }
        return try ["rows", "attack", "units", "diff"].filter(names.contains).reduce(into: [:]) {
            let answer: JSONValue = try session.result(
                "job.evidence", ["job": .integer(Int64(id)), "name": .string($1)])
            $0[$1] = answer["pieces"]?.arrayValue?.first?["data"]
        }
    }

    /// A result without what several processes take more of.
    func withoutMemory(_ result: JSONValue?) -> JSONObject? {
        var members = result?.objectValue
        for name in ["peak_memory", "predicted_memory"] { members?[name] = nil }
        return members
    }

    @Test(arguments: [
        ["evaluate", "--model", "people@v2", "--reference", "people@v1", "--metrics", "all"] + sets,
        [
            "attack", "prompt", "relearn", "probe", "quantize", "--model", "people@v2", "--attack-prompts",
            "prefix", "--attack-prompts", "few_shot", "--attack-prompts", "soft", "--attack-prompts",
            "suffix",
            "--samples", "2", "--soft-tokens", "2", "--soft-steps", "3",
            "--suffix-tokens", "3", "--suffix-steps", "2", "--suffix-candidates", "5", "--relearn-steps", "4",
            "--attack-rows", "9", "--forget", "f.jsonl", "--retain", "r.jsonl",
        ],
        [
            "task-vector", "--model", "people@v1", "--finetuned", "people@v2", "--density", "0.5",
            "--scale", "2",
        ] + sets,
        [
            "ablate", "--model", "people@v2", "--fraction", "0.2", "--attack", "probe", "--attribution",
            "integrated", "--attribution-steps", "3",
        ] + sets,
        ["ablate", "--model", "people@v2", "--units", "neurons", "--target-drop", "0.01"] + sets,
        ["dampen", "--model", "people@v2", "--ratio", "1", "--strength", "0.5"] + sets,
    ])
    func `two and three ranks find the figures and make the bytes of one`(words: [String]) throws {
        guard Self.hasMPI() else { return }
        let daemon = try taught()
        let words = words + ["--max-new-tokens", "6"]
        // Three share nothing evenly.
        let one = try expectTheSame(daemon, words, ranks: words[0] == "evaluate" ? ["2", "3"] : ["3"])
        #expect(try !evidence(daemon, one.id).isEmpty)
        #expect(one.evaluation != nil || one.result != nil)
        #expect(try daemon.ctl(["store", "verify"]).status == 0)
    }

    /// Expects that several ranks make of `words` the bytes, figures and evidence of one process, whose job is returned.
    func expectTheSame(_ daemon: RunningDaemon, _ words: [String], ranks: [String]) throws -> Job {
        let one = try end(daemon, submit(daemon, untrained: words))
        #expect(one.state == .succeeded, "\(String(describing: one.error))")
        let own = try evidence(daemon, one.id)
        for count in ranks {
            let several = try end(daemon, submit(daemon, untrained: words, "--ranks", count))
            #expect(several.state == .succeeded, "\(String(describing: several.error))")
            #expect(several.digest == one.digest)
            // A later job measures the requests before it again.
            var figures = several.evaluation
            figures?.earlier = one.evaluation?.earlier
            #expect(figures == one.evaluation)
            #expect(withoutMemory(several.result) == withoutMemory(one.result))
            #expect(try evidence(daemon, several.id) == own)
        }
        return one
    }

    @Test func `what a training of two ranks measures is what one process finds in the same versions`() throws
    {
        guard Self.hasMPI() else { return }
        let daemon = try taught()
        let trained = try end(
            daemon,
            submit(
                daemon,
                ["ascent", "--pairing", "cycle", "--epochs", "1", "--attack", "quantize"] + Self.sets,
                "--ranks", "2"))
        #expect(trained.state == .succeeded, "\(String(describing: trained.error))")
        let version = try #require(trained.version)
        let before = try end(
            daemon, submit(daemon, untrained: ["evaluate", "--model", "people@v1"] + Self.sets))
        let after = try end(
            daemon, submit(daemon, untrained: ["evaluate", "--model", "people@\(version)"] + Self.sets))
        for (figures, alone) in [
            (trained.evaluation?.before, before.evaluation?.after),
            (trained.evaluation?.after, after.evaluation?.after),
        ] {
            let (own, other) = (try #require(figures), try #require(alone))
            #expect(own.forgetLoss == other.forgetLoss && own.retainLoss == other.retainLoss)
            #expect(own.holdoutLoss == other.holdoutLoss && own.forgetAccuracy == other.forgetAccuracy)
            #expect(own.membershipInferenceAUC == other.membershipInferenceAUC && own.forgetLoss != nil)
        }
        #expect(trained.evaluation?.attacks?.attacks.isEmpty == false)
    }

    @Test func `a rank killed in a measurement or an edit fails the job, and nothing has changed`() throws {
        guard Self.hasMPI() else { return }
        let daemon = try taught()
        let head = try history(daemon)
        for (words, rank) in [
            (["evaluate", "--model", "people@v2", "--metrics", "all", "--max-new-tokens", "400"], 1),
            (
                [
                    "ablate", "--model", "people@v2", "--fraction", "0.2", "--attribution", "integrated",
                    "--attribution-steps", "400",
                ], 0
            ),
        ] {
            let id = try submit(daemon, untrained: words + Self.sets, "--ranks", "2")
            try daemon.eventually("two ranks are at work", seconds: 60) {
                let job = try job(daemon, id)
                return job.state.isTerminal || ranks(daemon).count == 2 && job.progress != nil
            }
            let processes = ranks(daemon)
            #expect(processes.count == 2)
            if processes.count == 2 { Glibc.kill(processes[rank], SIGKILL) }
            let failed = try end(daemon, id)
            #expect(failed.state == .failed, "\(failed.state)")
            #expect(failed.version == nil && failed.error != nil)
            #expect(ranks(daemon).isEmpty && daemon.children.isEmpty)
        }
        let now = try history(daemon)
        #expect(now == head)
        #expect(try daemon.ctl(["store", "verify"]).status == 0)
    }
}
