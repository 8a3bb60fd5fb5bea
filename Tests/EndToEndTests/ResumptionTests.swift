// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Protocol
import TestSupport
import Testing

/// Training jobs that are killed, paused and continued: the result has the bytes of one that nobody disturbed.
@Suite(.serialized, .timeLimit(.minutes(15)))
struct ResumptionTests {
    /// The options of the two kinds of job that train.
    private static let methods: [[String]] = [
        [
            "finetune", "--data", "r.jsonl", "--learning-rate", "1e-3", "--schedule", "cosine",
            "--warmup-steps", "4", "--clip-norm", "1", "--accumulate", "2",
        ],
        [
            "ascent", "--forget", "f.jsonl", "--retain", "r.jsonl", "--retain-loss", "kl", "--alpha", "0.3",
            "--pairing", "cycle", "--learning-rate", "1e-3",
        ],
    ]

    /// Further ones whose state is more than weights and moments: adapters, what was taken of the base, a step uphill,
    /// weights that were drawn.
    private static let furtherMethods: [[String]] = [
        ["finetune", "--data", "r.jsonl", "--learning-rate", "1e-2", "--lora-rank", "4"],
        [
            "finetune", "--data", "r.jsonl", "--learning-rate", "1e-2", "--lora-rank", "4", "--precision",
            "bf16",
        ],
        [
            "npo", "--forget", "f.jsonl", "--retain", "r.jsonl", "--learning-rate", "1e-3", "--retain-loss",
            "kl", "--pairing", "cycle",
        ],
        [
            "graddiff", "--forget", "f.jsonl", "--retain", "r.jsonl", "--learning-rate", "1e-3",
            "--sam-rho", "0.01", "--pairing", "cycle",
        ],
        [
            "retrain", "--from", "people@v1", "--fresh", "--forget", "f.jsonl", "--retain", "r.jsonl",
            "--learning-rate", "1e-3", "--schedule", "linear", "--accumulate", "2",
        ],
    ]

    /// A daemon with a randomly initialised `people` and short forget and retain files.
    private func prepared() throws -> RunningDaemon {
        let daemon = try RunningDaemon()
        let output = try daemon.ctl([
            "model", "create", "people", "--config", ExampleModel.path("config.json"),
            "--tokenizer", ExampleModel.path("tokenizer.json"),
            "--tokenizer-config", ExampleModel.path("tokenizer_config.json"), "--seed", "3",
        ])
        #expect(output.status == 0, "\(output.stderr)")
        for (name, count) in [("forget", 10), ("retain", 14)] {
            try ExampleModel.rows("\(name).jsonl", count).write(
                toFile: "\(daemon.directory)/\(name.prefix(1)).jsonl", atomically: false, encoding: .utf8)
        }
        return daemon
    }

    /// The same training, of v1 unless told otherwise.
    private func submit(
        _ daemon: RunningDaemon, _ method: [String], model: String? = nil, epochs: Int = 6, _ more: String...
    ) throws -> JobID {
        // What is retrained becomes a model of its own.
        let model = model ?? (method[0] == "retrain" ? "gold" : "people@v1")
        let method = method.map { $0.hasSuffix(".jsonl") ? "\(daemon.directory)/\($0)" : $0 }
        let output = try daemon.ctl(
            ["submit"] + method + ["--model", model, "--batch-size", "2", "--epochs", "\(epochs)", "--quiet"]
                + more)
        guard output.status == 0, let id = Int(output.stdout.trimmingCharacters(in: .whitespacesAndNewlines))
        else { throw TestFailure("the submission failed with \(output.status): \(output.stderr)") }
        return id
    }

    private func job(_ daemon: RunningDaemon, _ id: JobID) throws -> Job {
        try daemon.session().result("job.show", ["job": .integer(Int64(id))])
    }

    private func end(_ daemon: RunningDaemon, _ id: JobID) throws -> Job {
        try daemon.eventually("job \(id) ends", seconds: 120) { try job(daemon, id).state.isTerminal }
        return try job(daemon, id)
    }

    /// Waits until a checkpoint of at least that step is recorded, or the job has ended.
    private func reach(_ daemon: RunningDaemon, _ id: JobID, step: Int) throws {
        let session = try daemon.session()
        try daemon.eventually("job \(id) takes step \(step)", seconds: 60) {
            let job: Job = try session.result("job.show", ["job": .integer(Int64(id))])
            return job.state.isTerminal || job.checkpoint?.step ?? 0 >= step
        }
    }

    private func checkpoints(_ daemon: RunningDaemon) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: daemon.state + "/training")
    }

    private func expectSwept(_ daemon: RunningDaemon) throws {
        try daemon.eventually("the checkpoints are swept") { try checkpoints(daemon).isEmpty }
    }

    @Test func `a worker killed before the first checkpoint is followed by one that begins again`() throws {
        let daemon = try prepared()
        let undisturbed = try end(daemon, submit(daemon, Self.methods[1]))
        let id = try submit(daemon, Self.methods[1])
        try daemon.eventually("job \(id) runs", seconds: 60) {
            try job(daemon, id).state == .running && !daemon.children.isEmpty
        }
        var kills = 0
        for worker in daemon.children where Glibc.kill(worker, SIGKILL) == 0 { kills += 1 }
        let disturbed = try end(daemon, id)
        #expect(kills == 1 && disturbed.state == .succeeded, "\(String(describing: disturbed.error))")
        #expect(disturbed.digest == undisturbed.digest)
        #expect(disturbed.warnings.contains { $0.contains("begins again") })
    }

    @Test(arguments: methods + furtherMethods)
    func `killed at random moments, daemon or worker, with one and two threads`(method: [String]) throws {
        let daemon = try prepared()
        let undisturbed = try end(daemon, submit(daemon, method))
        #expect(undisturbed.state == .succeeded, "\(String(describing: undisturbed.error))")
        let id = try submit(daemon, method, "--checkpoint-every", "1")
        var random = SystemRandomNumberGenerator()
        var kills = 0
        for round in 0..<8 {
            try reach(daemon, id, step: (job(daemon, id).checkpoint?.step ?? 0) + 1)
            usleep(useconds_t.random(in: 0..<60_000, using: &random))
            if try job(daemon, id).state.isTerminal { break }
            if round % 2 == 0 {
                try daemon.kill()
                try daemon.start(environment: ["UNLEARND_THREADS": round % 4 == 0 ? "1" : "2"])
                kills += 1
            } else {
                for worker in daemon.children where Glibc.kill(worker, SIGKILL) == 0 { kills += 1 }
            }
        }
        let disturbed = try end(daemon, id)
        #expect(disturbed.state == .succeeded, "\(String(describing: disturbed.error))")
        #expect(kills >= 3)
        #expect(disturbed.digest == undisturbed.digest)
        #expect(disturbed.training?.map(\.loss) == undisturbed.training?.map(\.loss))
        // The undisturbed job is an earlier request to the other, and nothing to itself.
        var evaluation = disturbed.evaluation
        evaluation?.earlier = nil
        #expect(evaluation == undisturbed.evaluation)
        try expectSwept(daemon)
        #expect(try daemon.ctl(["store", "verify"]).status == 0)
    }

    @Test(arguments: methods)
    func `paused, over restarts of the daemon, and resumed`(method: [String]) throws {
        let daemon = try prepared()
        let undisturbed = try end(daemon, submit(daemon, method))
        #expect(try daemon.ctl(["rollback", "people", "--to", "v1"]).status == 0)
        let id = try submit(daemon, method, model: "people", "--checkpoint-every", "3")
        try reach(daemon, id, step: 3)
        let output = try daemon.ctl(["pause", "\(id)"])
        #expect(output.status == 0 && output.stdout.hasPrefix("job \(id) is paus"), "\(output.stderr)")
        try daemon.eventually("job \(id) is paused") { try job(daemon, id).state == .paused }
        let step = try #require(try job(daemon, id).checkpoint?.step)
        #expect(daemon.children.isEmpty)
        #expect(try checkpoints(daemon) == ["\(id).checkpoint"])
        let status = try daemon.ctl(["store", "status", "--json"]).json
        #expect(status["training_bytes"]?.integerValue ?? 0 > 10_000_000)
        #expect(try daemon.ctl(["show", "\(id)"]).stdout.contains("step \(step) of"))
        try daemon.stop()
        try daemon.start()
        try daemon.kill()
        try daemon.start(environment: ["UNLEARND_THREADS": "1"])
        #expect(try job(daemon, id).state == .paused)
        #expect(try job(daemon, id).checkpoint?.step == step)
        // The head moves meanwhile: the job goes on from the version that it began with.
        #expect(try daemon.ctl(["promote", "people@v2", "--reason", "test"]).status == 0)
        #expect(try daemon.ctl(["resume", "\(id)"]).status == 0)
        let resumed = try end(daemon, id)
        #expect(resumed.state == .succeeded && resumed.digest == undisturbed.digest)
        #expect(resumed.base == VersionNumber(1) && resumed.headReason == "base-not-head")
        #expect(!resumed.warnings.contains { $0.contains("checkpoint") })
        #expect(try daemon.ctl(["logs", "\(id)"]).stdout.contains("after step \(step)"))
        try expectSwept(daemon)
    }

    @Test(arguments: furtherMethods)
    func `what else a job keeps comes back when it is paused and resumed`(method: [String]) throws {
        let daemon = try prepared()
        let undisturbed = try end(daemon, submit(daemon, method))
        #expect(undisturbed.state == .succeeded, "\(String(describing: undisturbed.error))")
        let id = try submit(daemon, method, "--checkpoint-every", "1")
        var steps: [Int] = []
        for threads in ["1", "2"] {
            try reach(daemon, id, step: (steps.last ?? 0) + 2)
            #expect(try daemon.ctl(["pause", "\(id)"]).status == 0)
            try daemon.eventually("job \(id) is paused") { try job(daemon, id).state == .paused }
            steps.append(try #require(try job(daemon, id).checkpoint?.step))
            try daemon.stop()
            try daemon.start(environment: ["UNLEARND_THREADS": threads])
            #expect(try daemon.ctl(["resume", "\(id)"]).status == 0)
        }
        let resumed = try end(daemon, id)
        #expect(resumed.state == .succeeded, "\(String(describing: resumed.error))")
        #expect(resumed.digest == undisturbed.digest)
        #expect(resumed.training?.map(\.loss) == undisturbed.training?.map(\.loss))
        let log = try daemon.ctl(["logs", "\(id)"]).stdout
        #expect(steps.count == 2 && steps.allSatisfy { log.contains("after step \($0)") }, "\(log)")
        try expectSwept(daemon)
    }

    @Test func `a daemon that is stopped writes a checkpoint at the step's end, and goes on from it`() throws
    {
        let daemon = try prepared()
        // Long enough to be seen at it.
        let undisturbed = try end(daemon, submit(daemon, Self.methods[1], epochs: 30))
        let id = try submit(daemon, Self.methods[1], epochs: 30, "--checkpoint-every", "1h")
        let session = try daemon.session()
        try daemon.eventually("job \(id) trains") {
            let job: Job = try session.result("job.show", ["job": .integer(Int64(id))])
            return job.progress?.phase == "edit" && job.progress?.done ?? 0 > 0
        }
        #expect(try daemon.stop() == 0)
        #expect(try checkpoints(daemon) == ["\(id).checkpoint"])
        try daemon.start()
        let resumed = try end(daemon, id)
        #expect(resumed.digest == undisturbed.digest)
        #expect(try daemon.ctl(["logs", "\(id)"]).stdout.contains("going on from the training checkpoint"))
    }

    @Test func `a checkpoint that is damaged or another job's is warned of, and the training starts over`()
        throws
    {
        let daemon = try prepared()
        let undisturbed = try end(daemon, submit(daemon, Self.methods[0]))
        let id = try submit(daemon, Self.methods[0], "--checkpoint-every", "2")
        try reach(daemon, id, step: 2)
        #expect(try daemon.ctl(["pause", "\(id)"]).status == 0)
        try daemon.eventually("job \(id) is paused") { try job(daemon, id).state == .paused }
        let path = "\(daemon.state)/training/\(id).checkpoint"
        let whole = try Data(contentsOf: URL(fileURLWithPath: path))
        var damaged = whole
        damaged[whole.count / 2] ^= 1
        try damaged.write(to: URL(fileURLWithPath: path))
        #expect(try daemon.ctl(["resume", "\(id)"]).status == 0)
        let resumed = try end(daemon, id)
        #expect(resumed.digest == undisturbed.digest)
        #expect(resumed.warnings.contains { $0.contains("starts over") && $0.contains("damaged") })

        let other = try submit(daemon, Self.methods[0], "--hold", "--seed", "9")
        try whole.write(to: URL(fileURLWithPath: "\(daemon.state)/training/\(other).checkpoint"))
        #expect(try daemon.ctl(["release", "\(other)"]).status == 0)
        let started = try end(daemon, other)
        #expect(started.state == .succeeded && started.digest != undisturbed.digest)
        #expect(started.warnings.contains { $0.contains("another specification") })
    }

    @Test func `a paused job can be cancelled, and leaves nothing behind`() throws {
        let daemon = try prepared()
        let id = try submit(daemon, Self.methods[0], "--checkpoint-every", "1")
        try reach(daemon, id, step: 1)
        #expect(try daemon.ctl(["pause", "\(id)"]).status == 0)
        try daemon.eventually("job \(id) is paused") { try job(daemon, id).state == .paused }
        #expect(try daemon.ctl(["cancel", "\(id)"]).status == 0)
        #expect(try job(daemon, id).state == .cancelled)
        try expectSwept(daemon)
        let refused = try daemon.ctl(["resume", "\(id)"])
        #expect(refused.status == ExitCode.conflict.rawValue)
    }
}
