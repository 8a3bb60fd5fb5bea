// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Protocol
import TestSupport
import Testing

/// Jobs that a real Slurm runs, on the cluster that scripts/test-cluster makes: one node with two processors.
@Suite(.serialized, .timeLimit(.minutes(20)))
struct ClusterTests {
    private typealias Daemon = RunningDaemon

    /// The cluster's directory; prints why the test is skipped where there is none.
    private static func cluster() -> TestCluster? {
        if let cluster = TestCluster() { return cluster }
        print("skipped: UNLEARN_CLUSTER names no cluster; run make test-cluster")
        return nil
    }

    /// A daemon that sends jobs to the cluster, with a randomly initialised `people`.
    private func prepared(_ cluster: TestCluster, _ environment: [String: String] = [:]) throws
        -> RunningDaemon
    {
        let daemon = try RunningDaemon(environment: cluster.environment.merging(environment) { $1 })
        try create(daemon, "people")
        for (name, count) in [("forget", 10), ("retain", 13)] {
            try ExampleModel.rows("\(name).jsonl", count).write(
                toFile: "\(daemon.directory)/\(name.prefix(1)).jsonl", atomically: false, encoding: .utf8)
        }
        return daemon
    }

    private func create(_ daemon: RunningDaemon, _ name: String) throws {
        let output = try daemon.ctl([
            "model", "create", name, "--config", ExampleModel.path("config.json"),
            "--tokenizer", ExampleModel.path("tokenizer.json"),
            "--tokenizer-config", ExampleModel.path("tokenizer_config.json"), "--seed", "3",
        ])
        #expect(output.status == 0, "\(output.stderr)")
    }

    private func submit(_ daemon: RunningDaemon, _ words: [String], _ more: String...) throws -> JobID {
        let words = words.map { $0.hasSuffix(".jsonl") ? "\(daemon.directory)/\($0)" : $0 }
        let output = try daemon.ctl(["submit"] + words + ["--quiet"] + more)
        guard output.status == 0, let id = Int(output.stdout.trimmingCharacters(in: .whitespacesAndNewlines))
        else { throw TestFailure("the submission failed with \(output.status): \(output.stderr)") }
        return id
    }

    private func job(_ daemon: RunningDaemon, _ id: JobID) throws -> Job {
        try daemon.session().result("job.show", ["job": .integer(Int64(id))])
    }

    private func end(_ daemon: RunningDaemon, _ id: JobID, seconds: Double = 180) throws -> Job {
        try daemon.eventually("job \(id) ends", seconds: seconds) { try job(daemon, id).state.isTerminal }
        return try job(daemon, id)
    }

    private func reach(_ daemon: RunningDaemon, _ id: JobID, step: Int) throws {
        try daemon.eventually("job \(id) takes step \(step)", seconds: 90) {
            let job = try job(daemon, id)
            return job.state.isTerminal || job.checkpoint?.step ?? 0 >= step
        }
    }

    private func history(_ daemon: RunningDaemon) throws -> String {
        try daemon.ctl(["model", "history", "people", "--json"]).stdout
    }

    /// The store is whole, and the cluster has nothing of the daemon's.
    private func expectClean(_ daemon: RunningDaemon, _ cluster: TestCluster) throws {
        let verified = try daemon.ctl(["store", "verify"])
        #expect(verified.status == 0, "\(verified.stderr)")
        try daemon.eventually("nothing is left in Slurm", seconds: 60) { try cluster.jobs().isEmpty }
    }

    private static let train = [
        "ascent", "--model", "people@v1", "--forget", "f.jsonl", "--retain", "r.jsonl", "--pairing", "cycle",
        "--learning-rate", "1e-3", "--batch-size", "3", "--no-evaluate",
    ]
    private static let slurm = ["--launcher", "slurm"]
    private static let long = train + slurm + ["--ranks", "2", "--epochs", "40", "--checkpoint-every", "2"]

    @Test func `one and two ranks by srun make the bytes that other launchers make`() throws {
        guard let cluster = Self.cluster() else { return }
        let daemon = try prepared(cluster)
        let method = Self.train + ["--epochs", "3"]
        let pairs = try [("1", "local"), ("2", "mpi")].map { ranks, launcher in
            let other = try end(daemon, submit(daemon, method, "--ranks", ranks, "--launcher", launcher))
            let own = try end(
                daemon, submit(daemon, method + Self.slurm, "--ranks", ranks, "--partition", "work"))
            return (other, own)
        }
        for (other, own) in pairs {
            for job in [other, own] { #expect(job.state == .succeeded, "\(String(describing: job.error))") }
            #expect(own.digest == other.digest && own.digest != nil)
            #expect(other.placement == nil)
            let placement = try #require(own.placement)
            #expect(
                placement.launcher == .slurm && Int(placement.id) != nil && placement.nodes == cluster.node)
        }
        #expect(pairs[0].1.digest != pairs[1].1.digest)
        let shown = try daemon.ctl(["show", "\(pairs[1].1.id)"]).stdout
        #expect(shown.contains("slurm") && shown.contains(cluster.node))
        // Jobs that do not train go there too.
        for words in [
            ["evaluate", "--model", "people@v1", "--forget", "f.jsonl"],
            ["task-vector", "--model", "people@v1", "--finetuned", "people@v2", "--no-evaluate"],
            [
                "ablate", "--model", "people@v1", "--forget", "f.jsonl", "--retain", "r.jsonl",
                "--no-evaluate",
            ],
        ] {
            let local = try end(daemon, submit(daemon, words))
            let own = try end(daemon, submit(daemon, words + Self.slurm))
            #expect(own.state == .succeeded && local.state == .succeeded, "\(String(describing: own.error))")
            #expect(own.digest == local.digest && own.placement != nil)
            #expect(own.evaluation?.after?.forgetLoss == local.evaluation?.after?.forgetLoss)
        }
        try expectClean(daemon, cluster)
    }

    @Test func `cancelled while it waits and while it runs, nothing is left in Slurm`() throws {
        guard let cluster = Self.cluster() else { return }
        let daemon = try prepared(cluster)
        let head = try history(daemon)
        let blocker = try cluster.occupy()
        let waiting = try submit(daemon, Self.long)
        try daemon.eventually("Slurm says why the job waits") {
            try job(daemon, waiting).reason?.hasPrefix("slurm: ") == true
        }
        let placement = try #require(try job(daemon, waiting).placement)
        #expect(placement.state == "PENDING" && placement.reason != nil && placement.nodes == nil)
        #expect(try cluster.jobs().contains(placement.id))
        let listed = try daemon.ctl(["ps"]).stdout
        #expect(listed.contains("running (slurm: \(placement.reason ?? "")"))
        var began = ContinuousClock.now
        #expect(try daemon.ctl(["cancel", "\(waiting)"]).status == 0)
        #expect(try end(daemon, waiting).state == .cancelled)
        #expect(ContinuousClock.now - began < .seconds(10))
        try daemon.eventually("Slurm has let it go") { try !cluster.jobs().contains(placement.id) }

        // A pause takes it out of Slurm's queue, a resumed one stands there again.
        let paused = try submit(daemon, Self.long)
        try daemon.eventually("it waits") { try job(daemon, paused).placement?.state == "PENDING" }
        #expect(try daemon.ctl(["pause", "\(paused)"]).status == 0)
        try daemon.eventually("it is paused") { try job(daemon, paused).state == .paused }
        #expect(try daemon.ctl(["resume", "\(paused)"]).status == 0)
        try cluster.release(blocker)
        try reach(daemon, paused, step: 2)
        began = ContinuousClock.now
        #expect(try daemon.ctl(["cancel", "\(paused)"]).status == 0)
        #expect(try end(daemon, paused).state == .cancelled)
        #expect(ContinuousClock.now - began < .seconds(10))
        let now = try history(daemon)
        #expect(now == head)
        try expectClean(daemon, cluster)
        #expect(daemon.children.isEmpty)
    }

    @Test func `a killed rank, preemption and a lost node cost the steps since the checkpoint`() throws {
        guard let cluster = Self.cluster() else { return }
        let daemon = try prepared(cluster)
        let undisturbed = try end(daemon, submit(daemon, Self.long))
        #expect(undisturbed.state == .succeeded, "\(String(describing: undisturbed.error))")
        let id = try submit(daemon, Self.long)
        for rank in [1, 0] {
            let first = try job(daemon, id).placement?.id
            try daemon.eventually("another start") {
                let placement = try job(daemon, id).placement
                return placement?.state == "RUNNING" && (rank == 1 || placement?.id == first)
            }
            try reach(daemon, id, step: (job(daemon, id).checkpoint?.step ?? 0) + 2)
            let ranks = cluster.ranks()
            #expect(ranks.count == 2)
            if ranks.count == 2 { Glibc.kill(ranks[rank], SIGKILL) }
            try daemon.eventually("the ranks are followed by others", seconds: 60) {
                let now = Set(cluster.ranks())
                return try job(daemon, id).state.isTerminal || now.isDisjoint(with: ranks) && now.count == 2
            }
        }
        try reach(daemon, id, step: (job(daemon, id).checkpoint?.step ?? 0) + 2)
        let preempter = try cluster.occupy(partition: "urgent")
        try daemon.eventually("the job has given way", seconds: 60) {
            let job = try job(daemon, id)
            return job.warnings.contains { $0.contains("had to give its nodes back") }
        }
        try cluster.release(preempter)
        try daemon.eventually("it runs again", seconds: 60) { cluster.ranks().count == 2 }
        try reach(daemon, id, step: (job(daemon, id).checkpoint?.step ?? 0) + 2)
        #expect(
            try cluster.run("scontrol", ["update", "nodename=\(cluster.node)", "state=down", "reason=test"]).0
                == 0)
        try daemon.eventually("the job has lost its node", seconds: 60) {
            try job(daemon, id).warnings.contains { $0.contains("went down") }
        }
        // Refused where the node has come back by itself.
        try daemon.eventually("the node is back", seconds: 60) {
            _ = try cluster.run("scontrol", ["update", "nodename=\(cluster.node)", "state=resume"])
            return try !cluster.run("sinfo", ["--noheader", "--format=%t"]).1.contains("down")
        }
        let disturbed = try end(daemon, id)
        #expect(disturbed.state == .succeeded, "\(String(describing: disturbed.error))")
        #expect(disturbed.digest == undisturbed.digest)
        #expect(disturbed.warnings.count >= 4, "\(disturbed.warnings)")
        try expectClean(daemon, cluster)
    }

    @Test func `a time limit ends a job without a checkpoint; one with a checkpoint goes on`() throws {
        guard let cluster = Self.cluster() else { return }
        let daemon = try prepared(cluster)
        try create(daemon, "other")
        let head = try history(daemon)
        let endless = Self.train + Self.slurm + ["--partition", "short", "--epochs", "100000"]
        let doomed = try submit(daemon, endless, "--checkpoint-every", "1h")
        var words = endless
        words[words.firstIndex(of: "people@v1") ?? 0] = "other@v1"
        let lasting = try submit(daemon, words, "--checkpoint-every", "5s")
        let failed = try end(daemon, doomed)
        #expect(
            failed.state == .failed && failed.error?.kind == .timeLimit, "\(String(describing: failed.error))"
        )
        try daemon.eventually("the other job goes on", seconds: 120) {
            let job = try job(daemon, lasting)
            return job.state.isTerminal || job.warnings.contains { $0.contains("reached its time limit") }
        }
        try daemon.eventually("it has another place", seconds: 60) {
            try job(daemon, lasting).placement?.state == "RUNNING" && cluster.ranks().count == 1
        }
        // Slurm says that it runs before the worker has read anything.
        try daemon.eventually("it goes on from its checkpoint", seconds: 60) {
            try daemon.ctl(["logs", "\(lasting)"]).stdout.contains("going on from the training checkpoint")
        }
        #expect(try daemon.ctl(["cancel", "\(lasting)"]).status == 0)
        #expect(try end(daemon, lasting).state == .cancelled)
        let now = try history(daemon)
        #expect(now == head)
        try expectClean(daemon, cluster)
    }

    @Test func `the controller is stopped and started: what runs ends, what comes waits`() throws {
        guard let cluster = Self.cluster() else { return }
        let daemon = try prepared(cluster)
        let running = try submit(daemon, Self.long)
        try reach(daemon, running, step: 2)
        try cluster.control("stop", "slurmctld")
        let late = try submit(
            daemon, ["evaluate", "--model", "people@v1", "--forget", "f.jsonl"] + Self.slurm)
        try daemon.eventually("the late job waits for Slurm", seconds: 120) {
            let job = try job(daemon, late)
            return job.state.isTerminal || job.state == .queued && job.reason == "unreachable"
        }
        try cluster.control("start", "slurmctld")
        let ended = try end(daemon, running)
        #expect(ended.state == .succeeded, "\(String(describing: ended.error))")
        let came = try end(daemon, late)
        #expect(came.state == .succeeded, "\(String(describing: came.error))")
        try expectClean(daemon, cluster)
    }

    @Test func `the state directory is gone from the node for a while`() throws {
        guard let cluster = Self.cluster() else { return }
        let daemon = try prepared(cluster)
        let undisturbed = try end(daemon, submit(daemon, Self.long))
        let id = try submit(daemon, Self.long)
        try reach(daemon, id, step: 4)
        try cluster.control("hide", daemon.state)
        try daemon.eventually("the job waits for the directory", seconds: 60) {
            let job = try job(daemon, id)
            return job.state.isTerminal || job.state == .queued && job.reason == "unreachable"
        }
        let late = try submit(
            daemon, ["evaluate", "--model", "people@v1", "--forget", "f.jsonl"] + Self.slurm)
        try daemon.eventually("so does another", seconds: 60) {
            let job = try job(daemon, late)
            return job.state.isTerminal || job.state == .queued && job.reason == "unreachable"
        }
        #expect(try cluster.isEmptyOnNode(daemon.state))
        try cluster.control("show", daemon.state)
        let disturbed = try end(daemon, id)
        #expect(disturbed.state == .succeeded, "\(String(describing: disturbed.error))")
        #expect(disturbed.digest == undisturbed.digest && disturbed.digest != nil)
        #expect(try end(daemon, late).state == .succeeded)
        try expectClean(daemon, cluster)
    }

    @Test func `many small jobs at once`() throws {
        guard let cluster = Self.cluster() else { return }
        let daemon = try prepared(cluster, ["UNLEARND_SLURM_PARALLEL": "16"])
        for name in ["b", "c", "d"] { try create(daemon, name) }
        let jobs = try (0..<40).map { number in
            let model = ["people", "b", "c", "d"][number % 4]
            return number % 5 == 0
                ? try submit(
                    daemon,
                    ["finetune", "--data", "r.jsonl", "--model", model, "--epochs", "1", "--no-evaluate"]
                        + Self.slurm)
                : try submit(
                    daemon, ["evaluate", "--model", "\(model)@v1", "--forget", "f.jsonl"] + Self.slurm)
        }
        var most = 0
        try daemon.eventually("all have ended", seconds: 300) {
            most = max(most, try cluster.jobs().count)
            usleep(200_000)
            return try jobs.allSatisfy { try job(daemon, $0).state.isTerminal }
        }
        for id in jobs {
            let job = try job(daemon, id)
            #expect(job.state == .succeeded, "\(id): \(String(describing: job.error))")
        }
        print("40 jobs, at most \(most) of them in Slurm at the same time")
        #expect(most > 2 && most <= 16)
        try expectClean(daemon, cluster)
    }

    @Test func `a killed daemon leaves nothing in Slurm, and its jobs go on`() throws {
        guard let cluster = Self.cluster() else { return }
        let daemon = try prepared(cluster)
        let undisturbed = try end(daemon, submit(daemon, Self.long))
        let running = try submit(daemon, Self.long)
        try reach(daemon, running, step: 2)
        let ranks = cluster.ranks()
        #expect(ranks.count == 2)
        let waiting = try submit(
            daemon, ["evaluate", "--model", "people@v1", "--forget", "f.jsonl"] + Self.slurm)
        try daemon.eventually("the other job waits") {
            try job(daemon, waiting).placement?.state == "PENDING"
        }
        let left = try #require(try job(daemon, waiting).placement?.id)
        try daemon.kill()
        try daemon.eventually("the ranks notice") { ranks.allSatisfy { Glibc.kill($0, 0) != 0 } }
        try daemon.start(environment: cluster.environment)
        try daemon.eventually("the old start is gone", seconds: 60) { try !cluster.jobs().contains(left) }
        let ended = try end(daemon, running)
        #expect(
            ended.state == .succeeded && ended.digest == undisturbed.digest,
            "\(String(describing: ended.error))")
        #expect(try end(daemon, waiting).state == .succeeded)
        try expectClean(daemon, cluster)
    }

    @Test func `steps of a standing allocation`() throws {
        guard let cluster = Self.cluster() else { return }
        let salloc = try cluster.run(
            "salloc", ["--no-shell", "--ntasks=2", "--quiet", "--job-name=standing"])
        #expect(salloc.0 == 0, "\(salloc.1)")
        let allocation = try #require(
            try cluster.run("squeue", ["--noheader", "--name=standing", "--format=%i"]).1.split(
                separator: "\n"
            ).first)
        let daemon = try prepared(cluster, ["SLURM_JOB_ID": String(allocation)])
        let other = try end(daemon, submit(daemon, Self.train, "--epochs", "3", "--ranks", "2"))
        let id = try submit(daemon, Self.train + Self.slurm, "--epochs", "3", "--ranks", "2")
        let own = try end(daemon, id)
        #expect(own.state == .succeeded && own.digest == other.digest, "\(String(describing: own.error))")
        let cancelled = try submit(daemon, Self.long)
        try reach(daemon, cancelled, step: 2)
        // Slurm is asked half a second after a start, and the first steps may take less.
        try daemon.eventually("the step has a number") {
            try job(daemon, cancelled).placement?.id.hasPrefix("\(allocation).") == true
        }
        #expect(try daemon.ctl(["cancel", "\(cancelled)"]).status == 0)
        #expect(try end(daemon, cancelled).state == .cancelled)
        try daemon.eventually("the step is gone") { cluster.ranks().isEmpty }
        #expect(try cluster.jobs() == [String(allocation)])
        #expect(try cluster.run("scancel", [String(allocation)]).0 == 0)
        try expectClean(daemon, cluster)
    }

    @Test func `what Slurm refuses fails, and what somebody cancels there`() throws {
        guard let cluster = Self.cluster() else { return }
        let daemon = try prepared(cluster)
        let words = ["evaluate", "--model", "people@v1", "--forget", "f.jsonl"] + Self.slurm
        let refused = try end(daemon, submit(daemon, words, "--partition", "nowhere"))
        #expect(
            refused.state == .failed && refused.error?.kind == .cluster,
            "\(String(describing: refused.error))")
        #expect(
            refused.error?.message.contains("nvalid partition") == true,
            "\(String(describing: refused.error))")
        let blocker = try cluster.occupy()
        let id = try submit(daemon, words)
        try daemon.eventually("it waits") { try job(daemon, id).placement?.state == "PENDING" }
        let place = try #require(try job(daemon, id).placement?.id)
        #expect(try cluster.run("scancel", [place]).0 == 0)
        let cancelled = try end(daemon, id)
        #expect(
            cancelled.state == .failed && cancelled.error?.kind == .cluster,
            "\(String(describing: cancelled.error))")
        try cluster.release(blocker)
        #expect(try daemon.ctl(["retry", "\(id)"]).status == 0)
        #expect(try end(daemon, id).state == .succeeded)
        try expectClean(daemon, cluster)
    }
}
