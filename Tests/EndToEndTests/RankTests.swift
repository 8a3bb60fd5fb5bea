// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Protocol
import TestSupport
import Testing

/// Jobs that several processes do together, started by a real mpirun.
@Suite(.serialized, .timeLimit(.minutes(15)))
struct RankTests {
    /// Whether mpirun is there; prints why the test is skipped otherwise.
    static func hasMPI() -> Bool {
        if access("/usr/bin/mpirun", X_OK) == 0 { return true }
        print("skipped: /usr/bin/mpirun is not there; install openmpi-bin")
        return false
    }

    /// A daemon with a randomly initialised `people` and short forget and retain files; batches of three rows do not
    /// share evenly, and the last ones are shorter.
    func prepared(_ environment: [String: String] = ["UNLEARND_THREADS": "2"]) throws
        -> RunningDaemon
    {
        let daemon = try RunningDaemon(environment: environment)
        let output = try daemon.ctl([
            "model", "create", "people", "--config", ExampleModel.path("config.json"),
            "--tokenizer", ExampleModel.path("tokenizer.json"),
            "--tokenizer-config", ExampleModel.path("tokenizer_config.json"), "--seed", "3",
        ])
        #expect(output.status == 0, "\(output.stderr)")
        for (name, count) in [("forget", 10), ("retain", 13)] {
            try ExampleModel.rows("\(name).jsonl", count).write(
                toFile: "\(daemon.directory)/\(name.prefix(1)).jsonl", atomically: false, encoding: .utf8)
        }
        return daemon
    }

    func submit(_ daemon: RunningDaemon, _ method: [String], _ more: String...) throws -> JobID {
        let method = method.map { $0.hasSuffix(".jsonl") ? "\(daemon.directory)/\($0)" : $0 }
        let output = try daemon.ctl(
            ["submit"] + method + ["--model", "people@v1", "--learning-rate", "1e-3", "--quiet"] + more)
        guard output.status == 0, let id = Int(output.stdout.trimmingCharacters(in: .whitespacesAndNewlines))
        else { throw TestFailure("the submission failed with \(output.status): \(output.stderr)") }
        return id
    }

    func job(_ daemon: RunningDaemon, _ id: JobID) throws -> Job {
        try daemon.session().result("job.show", ["job": .integer(Int64(id))])
    }

    func end(_ daemon: RunningDaemon, _ id: JobID) throws -> Job {
        try daemon.eventually("job \(id) ends", seconds: 180) { try job(daemon, id).state.isTerminal }
        return try job(daemon, id)
    }

    /// The processes of the ranks, by their parents: children of the daemon's mpirun.
    func ranks(_ daemon: RunningDaemon) -> [pid_t] {
        let parents = Set(daemon.children)
        let entries = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return entries.compactMap { pid_t($0) }.filter { process in
            let stat = (try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8)) ?? ""
            let fields = stat.split(separator: ")").last?.split(separator: " ") ?? []
            return fields.count > 1 && pid_t(fields[1]).map(parents.contains) == true
        }.sorted()
    }

    /// Waits until a checkpoint of at least that step is recorded, or the job has ended.
    func reach(_ daemon: RunningDaemon, _ id: JobID, step: Int) throws {
        let session = try daemon.session()
        try daemon.eventually("job \(id) takes step \(step)", seconds: 60) {
            let job: Job = try session.result("job.show", ["job": .integer(Int64(id))])
            return job.state.isTerminal || job.checkpoint?.step ?? 0 >= step
        }
    }

    /// The length of the difference of two versions, all tensors together.
    func distance(_ daemon: RunningDaemon, _ a: VersionNumber?, _ b: VersionNumber?) throws -> Double {
        let (first, second) = (try #require(a), try #require(b))
        let output = try daemon.ctl(["model", "diff", "people@\(first)", "people@\(second)", "--json"])
        let tensors = try #require(try output.json.arrayValue)
        return tensors.reduce(0) { sum, tensor in
            let length = tensor["l2"]?.doubleValue ?? .nan
            return sum + length * length
        }.squareRoot()
    }

    /// Two trainings by several ranks make the same bytes, and what one process makes, but for rounding.
    func expectAgreement(_ daemon: RunningDaemon, _ one: Job, _ ranks: [Job], _ name: String) throws {
        for job in [one] + ranks {
            #expect(job.state == .succeeded, "\(name): \(String(describing: job.error))")
        }
        let first = try #require(ranks.first)
        #expect(first.digest != nil && ranks.allSatisfy { $0.digest == first.digest }, "\(name)")
        let change = try distance(daemon, VersionNumber(1), one.version)
        let difference = try distance(daemon, one.version, first.version)
        print("\(name) differ from one by \(difference / change) of the change")
        #expect(change > 0 && difference <= 1e-5 * change, "\(name)")
        for (own, other) in zip(one.training ?? [], first.training ?? []) {
            let (loss, same) = (try #require(own.loss), try #require(other.loss))
            #expect(own.steps == other.steps && abs(loss - same) <= 1e-5 * max(1, abs(loss)), "\(name)")
        }
        #expect(first.training?.count == 2, "\(name)")
    }

    func history(_ daemon: RunningDaemon) throws -> String {
        try daemon.ctl(["model", "history", "people", "--json"]).stdout
    }

    static let long = [
        "ascent", "--forget", "f.jsonl", "--retain", "r.jsonl", "--pairing", "cycle", "--epochs", "12",
        "--batch-size", "3", "--no-evaluate", "--ranks", "2",
    ]

    /// An epsilon that keeps rounding noise from making steps of its own.
    @Test(arguments: [
        [
            "finetune", "--data", "r.jsonl", "--batch-size", "3", "--accumulate", "2", "--clip-norm", "1",
            "--schedule", "cosine",
        ],
        ["finetune", "--data", "r.jsonl", "--lora-rank", "4", "--checkpoint-activations"],
        [
            "ascent", "--forget", "f.jsonl", "--retain", "r.jsonl", "--retain-loss", "kl", "--pairing",
            "cycle",
        ],
        [
            "npo", "--forget", "f.jsonl", "--retain", "r.jsonl", "--sam-rho", "0.01", "--pairing", "cycle",
            "--batch-size", "3", "--mask", "saliency",
        ],
        ["ceu", "--forget", "f.jsonl", "--retain", "r.jsonl", "--batch-size", "3", "--pairing", "cycle"],
        ["idk", "--forget", "f.jsonl", "--retain", "r.jsonl", "--batch-size", "3", "--pairing", "cycle"],
        [
            "pdu", "--forget", "f.jsonl", "--retain", "r.jsonl", "--retain-limit", "0.1",
            "--dual-warm-up-epochs", "0", "--pairing", "cycle",
        ],
        ["rmu", "--forget", "f.jsonl", "--retain", "r.jsonl", "--layer", "0", "--pairing", "cycle"],
    ])
    func `two ranks agree with one, and with themselves bit for bit`(method: [String]) throws {
        guard Self.hasMPI() else { return }
        let daemon = try prepared()
        let method = method + ["--epochs", "2", "--epsilon", "1e-3"]
        let one = try end(daemon, submit(daemon, method))
        let two = try end(daemon, submit(daemon, method, "--ranks", "2"))
        let again = try end(daemon, submit(daemon, method, "--ranks", "2", "--launcher", "mpi"))
        try expectAgreement(daemon, one, [two, again], "\(method[0]), two ranks")
    }

    @Test func `three ranks of a batch of four, a last batch that leaves some without rows`() throws {
        guard Self.hasMPI() else { return }
        let daemon = try prepared()
        let method = ["finetune", "--data", "r.jsonl", "--epochs", "2", "--epsilon", "1e-3"]
        let one = try end(daemon, submit(daemon, method))
        let three = try end(daemon, submit(daemon, method, "--ranks", "3"))
        #expect(three.state == .succeeded, "\(String(describing: three.error))")
        let change = try distance(daemon, VersionNumber(1), one.version)
        let difference = try distance(daemon, one.version, three.version)
        #expect(difference <= 1e-5 * change)
    }

    @Test
    func
        `a rank killed in the middle costs its steps since the checkpoint; killed each time, the job fails and nothing has changed`()
        throws
    {
        guard Self.hasMPI() else { return }
        let daemon = try prepared()
        let undisturbed = try end(daemon, submit(daemon, Self.long))
        #expect(undisturbed.state == .succeeded, "\(String(describing: undisturbed.error))")
        let id = try submit(daemon, Self.long, "--checkpoint-every", "2")
        for rank in [1, 0] {
            try reach(daemon, id, step: (job(daemon, id).checkpoint?.step ?? 0) + 2)
            let processes = ranks(daemon)
            #expect(processes.count == 2)
            if processes.count == 2 { Glibc.kill(processes[rank], SIGKILL) }
            try daemon.eventually("the ranks are followed by others", seconds: 60) {
                let now = Set(ranks(daemon))
                if !(try job(daemon, id).state == .running) { return true }
                return now.isDisjoint(with: processes) && now.count == 2
            }
        }
        let disturbed = try end(daemon, id)
        #expect(disturbed.state == .succeeded, "\(String(describing: disturbed.error))")
        #expect(disturbed.digest == undisturbed.digest)

        let head = try history(daemon)
        let doomed = try submit(daemon, Self.long)
        var killed: Set<pid_t> = []
        try daemon.eventually("job \(doomed) is given up", seconds: 120) {
            let processes = ranks(daemon)
            if processes.count == 2, killed.insert(processes[1]).inserted {
                usleep(150_000)
                Glibc.kill(processes[1], SIGKILL)
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

    @Test func `cancelled, no rank is left and nothing has changed`() throws {
        guard Self.hasMPI() else { return }
        let daemon = try prepared()
        let head = try history(daemon)
        let id = try submit(daemon, Self.long, "--checkpoint-every", "2")
        try reach(daemon, id, step: 2)
        let processes = ranks(daemon)
        #expect(processes.count == 2)
        let began = ContinuousClock.now
        #expect(try daemon.ctl(["cancel", "\(id)"]).status == 0)
        let cancelled = try end(daemon, id)
        #expect(cancelled.state == .cancelled)
        #expect(ContinuousClock.now - began < .seconds(10))
        try daemon.eventually("the ranks are gone") {
            processes.allSatisfy { Glibc.kill($0, 0) != 0 }
        }
        let now = try history(daemon)
        #expect(now == head)
    }

    @Test func `paused and resumed, and over a killed daemon, the bytes are the same`() throws {
        guard Self.hasMPI() else { return }
        let daemon = try prepared()
        let undisturbed = try end(daemon, submit(daemon, Self.long))
        let id = try submit(daemon, Self.long, "--checkpoint-every", "3")
        try reach(daemon, id, step: 3)
        #expect(try daemon.ctl(["pause", "\(id)"]).status == 0)
        try daemon.eventually("job \(id) is paused") { try job(daemon, id).state == .paused }
        #expect(ranks(daemon).isEmpty)
        let step = try #require(try job(daemon, id).checkpoint?.step)
        #expect(try daemon.ctl(["resume", "\(id)"]).status == 0)
        try reach(daemon, id, step: step + 3)
        let processes = ranks(daemon)
        try daemon.kill()
        try daemon.eventually("the ranks notice") { processes.allSatisfy { Glibc.kill($0, 0) != 0 } }
        try daemon.start(environment: ["UNLEARND_THREADS": "4"])
        let resumed = try end(daemon, id)
        #expect(resumed.state == .succeeded, "\(String(describing: resumed.error))")
        #expect(resumed.digest == undisturbed.digest)
        #expect(try daemon.ctl(["logs", "\(id)"]).stdout.contains("going on from the training checkpoint"))
    }

    /// A daemon with a model `m` of random weights, and eight rows of token ids in rows.jsonl.
    func random(_ configuration: String, vocabulary: Int, columns: Int) throws -> RunningDaemon {
        let daemon = try RunningDaemon(environment: ["UNLEARND_THREADS": "2"])
        try configuration.write(
            toFile: daemon.directory + "/config.json", atomically: false, encoding: .utf8)
        let created = try daemon.ctl([
            "model", "create", "m", "--config", daemon.directory + "/config.json", "--tokenizer",
            ExampleModel.path("tokenizer.json"), "--seed", "1",
        ])
        #expect(created.status == 0, "\(created.stderr)")
        let rows = (0..<8).map { row in
            let ids = (0..<columns).map { String(($0 * 37 + row * 11) % vocabulary) }
            return "{\"input_ids\": [\(ids.joined(separator: ","))]}\n"
        }
        try rows.joined().write(
            toFile: daemon.directory + "/rows.jsonl", atomically: false, encoding: .utf8)
        return daemon
    }

    @Test func `the peak of all ranks is within a tenth of the prediction`() throws {
        guard Self.hasMPI() else { return }
        let daemon = try random(
            #"{"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "vocab_size": 12000, "n_positions": 256, "n_embd": 512, "n_layer": 6, "n_head": 8}"#,
            vocabulary: 12000, columns: 192)
        for ranks in [2, 4] {
            let output = try daemon.ctl([
                "submit", "finetune", "--model", "m@v1", "--data", daemon.directory + "/rows.jsonl",
                "--epochs", "1", "--no-evaluate", "--ranks", "\(ranks)", "--wait", "--json",
            ])
            #expect(output.status == 0, "\(output.stderr)")
            let result = try #require(output.json["result"])
            let predicted = try #require(result["predicted_memory"]?.doubleValue)
            let peak = try #require(result["peak_memory"]?.doubleValue)
            print("\(ranks) ranks: predicted \(predicted / 1048576) MiB, peak \(peak / 1048576) MiB")
            #expect(abs(peak - predicted) <= 0.1 * predicted)
        }
    }

    @Test func `what cannot be started is refused at submission`() throws {
        let daemon = try prepared(["UNLEARND_MPIRUN": "/nowhere/mpirun"])
        func refusal(_ more: String...) throws -> RunningDaemon.Output {
            try daemon.ctl(
                ["submit", "finetune", "--model", "people", "--data", "\(daemon.directory)/r.jsonl"] + more)
        }
        let missing = try refusal("--ranks", "2")
        #expect(missing.status == ExitCode.badInput.rawValue)
        #expect(missing.stderr.contains("/nowhere/mpirun") && missing.stderr.contains("openmpi-bin"))
        let local = try refusal("--ranks", "2", "--launcher", "local")
        #expect(local.status == ExitCode.usage.rawValue && local.stderr.contains("--launcher mpi"))
        let many = try refusal("--ranks", "5")
        #expect(many.status == ExitCode.usage.rawValue && many.stderr.contains("--batch-size"))
        let wrong = try refusal("--ranks", "0")
        #expect(wrong.status == ExitCode.usage.rawValue)
        let adapter = daemon.directory + "/adapter"
        try FileManager.default.createDirectory(atPath: adapter, withIntermediateDirectories: false)
        for name in ["adapter_config.json", "adapter_model.safetensors"] {
            try "{}".write(toFile: "\(adapter)/\(name)", atomically: false, encoding: .utf8)
        }
        let passed = try daemon.ctl([
            "submit", "task-vector", "--model", "people", "--adapter", adapter, "--ranks", "2",
        ])
        #expect(
            passed.status == ExitCode.usage.rawValue && passed.stderr.contains("leave --ranks out"),
            "\(passed.stderr)")
    }
}
