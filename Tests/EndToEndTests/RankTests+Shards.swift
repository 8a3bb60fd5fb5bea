// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Protocol
import TestSupport
import Testing

/// Training whose ranks share the parameters out.
extension RankTests {
    private static let shared = long + ["--shard-parameters"]

    @Test(arguments: [
        [
            "finetune", "--data", "r.jsonl", "--batch-size", "3", "--accumulate", "2", "--clip-norm", "1",
            "--schedule", "cosine",
        ],
        ["finetune", "--data", "r.jsonl", "--lora-rank", "4", "--checkpoint-activations"],
        ["finetune", "--data", "r.jsonl", "--train-layers", "1-2", "--checkpoint-activations"],
        [
            "ascent", "--forget", "f.jsonl", "--retain", "r.jsonl", "--retain-loss", "kl", "--pairing",
            "cycle",
        ],
        ["npo", "--forget", "f.jsonl", "--retain", "r.jsonl", "--batch-size", "3", "--pairing", "cycle"],
        [
            "simnpo", "--forget", "f.jsonl", "--retain", "r.jsonl", "--batch-size", "3", "--accumulate", "2",
            "--pairing", "cycle",
        ],
        ["undial", "--forget", "f.jsonl", "--retain", "r.jsonl", "--batch-size", "3", "--pairing", "cycle"],
        [
            "altpo", "--forget", "f.jsonl", "--retain", "r.jsonl", "--pairing", "cycle",
            "--max-new-tokens", "6",
        ],
        ["rmu", "--forget", "f.jsonl", "--retain", "r.jsonl", "--layer", "1", "--pairing", "cycle"],
    ])
    func `two ranks that share the parameters agree with one process, and with themselves bit for bit`(
        method: [String]
    ) throws {
        guard Self.hasMPI() else { return }
        let daemon = try prepared()
        let method = method + ["--epochs", "2", "--epsilon", "1e-3"]
        let one = try end(daemon, submit(daemon, method))
        let two = try end(daemon, submit(daemon, method, "--ranks", "2", "--shard-parameters"))
        let again = try end(daemon, submit(daemon, method, "--ranks", "2", "--shard-parameters"))
        try expectAgreement(daemon, one, [two, again], "\(method[0]), two sharded ranks")
        #expect(try daemon.ctl(["store", "verify"]).status == 0)
    }

    @Test func `ranks that share the parameters make the same fresh weights as one process`() throws {
        guard Self.hasMPI() else { return }
        let daemon = try prepared()
        func retrained(_ more: String...) throws -> Job {
            let output = try daemon.ctl(
                [
                    "submit", "retrain", "--model", "people", "--retain", "\(daemon.directory)/r.jsonl",
                    "--fresh", "--seed", "5", "--learning-rate", "1e-3", "--epochs", "1", "--epsilon", "1e-3",
                    "--quiet",
                ] + more)
            let id = Int(output.stdout.trimmingCharacters(in: .whitespacesAndNewlines))
            return try end(daemon, try #require(id, "\(output.stderr)"))
        }
        let one = try retrained()
        let two = try retrained("--ranks", "2", "--shard-parameters")
        #expect(two.state == .succeeded, "\(String(describing: two.error))")
        let change = try distance(daemon, VersionNumber(1), one.version)
        let difference = try distance(daemon, one.version, two.version)
        #expect(change > 0 && difference <= 1e-5 * change)
    }

    @Test func `three ranks that share the parameters, and a last batch that leaves some without rows`()
        throws
    {
        guard Self.hasMPI() else { return }
        let daemon = try prepared()
        let method = ["finetune", "--data", "r.jsonl", "--epochs", "2", "--epsilon", "1e-3"]
        let one = try end(daemon, submit(daemon, method))
        let three = try end(daemon, submit(daemon, method, "--ranks", "3", "--shard-parameters"))
        #expect(three.state == .succeeded, "\(String(describing: three.error))")
        let change = try distance(daemon, VersionNumber(1), one.version)
        let difference = try distance(daemon, one.version, three.version)
        print("three sharded ranks differ from one by \(difference / change) of the change")
        #expect(difference <= 1e-5 * change)
    }

    @Test
    func `what ranks that share the parameters measure is what one process finds in the same versions`()
        throws
    {
        guard Self.hasMPI() else { return }
        let daemon = try prepared()
        try ExampleModel.rows("holdout.jsonl", 9).write(
            toFile: "\(daemon.directory)/h.jsonl", atomically: false, encoding: .utf8)
        let sets = ["--forget", "f.jsonl", "--retain", "r.jsonl", "--holdout", "h.jsonl"]
        let trained = try end(
            daemon,
            submit(
                daemon,
                [
                    "ascent", "--pairing", "cycle", "--epochs", "1", "--metrics", "rouge", "--reference",
                    "people@v1",
                ] + sets, "--ranks", "2", "--shard-parameters", "--max-new-tokens", "6"))
        #expect(trained.state == .succeeded, "\(String(describing: trained.error))")
        let version = try #require(trained.version)
        let words = ["submit", "evaluate", "--metrics", "rouge", "--max-new-tokens", "6", "--quiet"]
        let files = sets.map { $0.hasSuffix(".jsonl") ? "\(daemon.directory)/\($0)" : $0 }
        for (figures, version) in [
            (trained.evaluation?.before, "v1"), (trained.evaluation?.after, "\(version)"),
            (trained.evaluation?.reference, "v1"),
        ] {
            let output = try daemon.ctl(words + ["--model", "people@\(version)"] + files)
            let id = try #require(Int(output.stdout.trimmingCharacters(in: .whitespacesAndNewlines)))
            let alone = try #require(try end(daemon, id).evaluation?.after)
            let own = try #require(figures)
            #expect(own.forgetLoss == alone.forgetLoss && own.retainLoss == alone.retainLoss)
            #expect(own.holdoutLoss == alone.holdoutLoss && own.forgetAccuracy == alone.forgetAccuracy)
            #expect(own.membershipInferenceAUC == alone.membershipInferenceAUC && own.forgetLoss != nil)
        }
    }

    @Test func `killed, paused and resumed, ranks that share the parameters end with the same bytes`() throws
    {
        guard Self.hasMPI() else { return }
        let daemon = try prepared()
        let undisturbed = try end(daemon, submit(daemon, Self.shared))
        #expect(undisturbed.state == .succeeded, "\(String(describing: undisturbed.error))")
        let id = try submit(daemon, Self.shared, "--checkpoint-every", "2")
        try reach(daemon, id, step: 2)
        let processes = ranks(daemon)
        #expect(processes.count == 2)
        if processes.count == 2 { Glibc.kill(processes[1], SIGKILL) }
        try daemon.eventually("the ranks are followed by others", seconds: 60) {
            let now = Set(ranks(daemon))
            if !(try job(daemon, id).state == .running) { return true }
            return now.isDisjoint(with: processes) && now.count == 2
        }
        try reach(daemon, id, step: (job(daemon, id).checkpoint?.step ?? 0) + 2)
        #expect(try daemon.ctl(["pause", "\(id)"]).status == 0)
        try daemon.eventually("job \(id) is paused", seconds: 60) { try job(daemon, id).state == .paused }
        #expect(ranks(daemon).isEmpty)
        #expect(try daemon.ctl(["resume", "\(id)"]).status == 0)
        let disturbed = try end(daemon, id)
        #expect(disturbed.state == .succeeded, "\(String(describing: disturbed.error))")
        #expect(disturbed.digest == undisturbed.digest)
        #expect(try daemon.ctl(["logs", "\(id)"]).stdout.contains("going on from the training checkpoint"))
    }

    @Test func `a rank killed each time leaves nothing of a training that shares the parameters`() throws {
        guard Self.hasMPI() else { return }
        let daemon = try prepared()
        let head = try history(daemon)
        let doomed = try submit(daemon, Self.shared)
        var killed: Set<pid_t> = []
        try daemon.eventually("job \(doomed) is given up", seconds: 120) {
            let processes = ranks(daemon)
            if processes.count == 2, killed.insert(processes[killed.count % 2]).inserted {
                usleep(150_000)
                Glibc.kill(processes[(killed.count - 1) % 2], SIGKILL)
            }
            return try job(daemon, doomed).state.isTerminal
        }
        let failed = try job(daemon, doomed)
        #expect(failed.state == .failed || failed.state == .lost, "\(failed.state)")
        #expect(failed.version == nil && killed.count >= 2)
        let now = try history(daemon)
        #expect(now == head)
        #expect(try daemon.ctl(["store", "verify"]).status == 0)
        #expect(ranks(daemon).isEmpty && daemon.children.isEmpty)
    }

    @Test
    func
        `ranks that share the parameters hold about what was predicted, and much less than those that do not`()
        throws
    {
        guard Self.hasMPI() else { return }
        let daemon = try random(
            #"{"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "vocab_size": 2000, "n_positions": 64, "n_embd": 384, "n_layer": 24, "n_head": 6}"#,
            vocabulary: 2000, columns: 32)
        func peak(_ more: [String]) throws -> (predicted: Double, peak: Double) {
            let output = try daemon.ctl(
                [
                    "submit", "finetune", "--model", "m@v1", "--data", daemon.directory + "/rows.jsonl",
                    "--epochs", "1", "--no-evaluate", "--wait", "--json",
                ] + more)
            #expect(output.status == 0, "\(output.stderr)")
            let result = try #require(output.json["result"])
            return (
                try #require(result["predicted_memory"]?.doubleValue),
                try #require(result["peak_memory"]?.doubleValue)
            )
        }
        for ranks in [2, 4] {
            let whole = try peak(["--ranks", "\(ranks)"])
            let shared = try peak(["--ranks", "\(ranks)", "--shard-parameters"])
            print(
                "\(ranks) ranks: whole \(whole.peak / 1048576) MiB; shared: predicted \(shared.predicted / 1048576) MiB, peak \(shared.peak / 1048576) MiB"
            )
            #expect(abs(shared.peak - shared.predicted) <= 0.1 * shared.predicted)
            #expect(shared.peak < (ranks == 2 ? 0.9 : 0.7) * whole.peak)
        }
    }

    @Test func `what needs whole weights is refused where ranks share them out`() throws {
        let daemon = try prepared()
        for (words, remedy) in [
            ([], "--ranks 2"), (["--ranks", "1"], "--ranks 2"),
            (["--ranks", "2", "--mask", "saliency"], "--mask"),
            (["--ranks", "2", "--sam-rho", "0.01"], "--sam-rho"),
            (["--ranks", "2", "--attack", "quantize"], "submit attack"),
            (["--ranks", "2", "--metrics", "gradient_norm"], "gradient_norm"),
            (["--ranks", "2", "--device", "cuda"], "--device cpu"),
        ] as [([String], String)] {
            let output = try daemon.ctl(
                [
                    "submit", "ascent", "--model", "people", "--forget", "\(daemon.directory)/f.jsonl",
                    "--retain", "\(daemon.directory)/r.jsonl", "--pairing", "cycle", "--shard-parameters",
                ] + words)
            #expect(output.status == ExitCode.usage.rawValue, "\(words): \(output.status)")
            #expect(output.stderr.contains(remedy), "\(words): \(output.stderr)")
        }
    }

    @Test func `what the base says is refused where it takes more than the weights`() throws {
        guard Self.hasMPI() else { return }
        let daemon = try prepared()
        let forget = try submit(
            daemon, ["ascent", "--forget", "f.jsonl", "--retain-loss", "kl", "--pairing", "cycle"],
            "--retain", ExampleModel.path("retain.jsonl"), "--ranks", "2", "--shard-parameters")
        let job = try end(daemon, forget)
        #expect(job.state == .failed && job.error?.kind == .unsupported, "\(String(describing: job.error))")
        #expect(job.error?.message.contains("--shard-parameters") == true)
        #expect(job.error?.hint?.contains("--lora-rank") == true)
        #expect(try !history(daemon).contains("v2"))
    }
}
