// SPDX-License-Identifier: Apache-2.0

import Foundation
import Protocol
import TestSupport
import Testing

/// Many jobs: order, dependencies, pausing, cancelling, retrying, and the exit statuses that tell of them.
@Suite(.timeLimit(.minutes(15)))
struct QueueTests {
    private func prepared() throws -> RunningDaemon {
        let daemon = try RunningDaemon()
        for (name, seed) in [("a", UInt64(1)), ("b", 2), ("tuned", 3)] {
            try SyntheticCheckpoint(seed: seed, matrices: 2, side: 256).write(
                to: "\(daemon.directory)/\(name)")
            let output = try daemon.ctl(["model", "import", name, "\(daemon.directory)/\(name)"])
            #expect(output.status == 0, "\(output.stderr)")
        }
        return daemon
    }

    private func submit(_ daemon: RunningDaemon, _ model: String, _ more: String...) throws -> JobID {
        let output = try daemon.ctl(
            ["submit", "task-vector", "--model", model, "--finetuned", "tuned", "--quiet"] + more)
        guard output.status == 0, let id = Int(output.stdout.split(separator: "\n").first ?? "") else {
            throw TestFailure("not submitted (\(output.status)): \(output.stderr)")
        }
        return id
    }

    private func job(_ daemon: RunningDaemon, _ id: JobID) throws -> JSONValue {
        try daemon.ctl(["show", "\(id)", "--json"]).json
    }

    @Test func `a paused queue starts nothing; then priority decides, then order`() throws {
        let daemon = try prepared()
        #expect(try daemon.ctl(["queue", "pause"]).status == 0)
        let ordinary = try submit(daemon, "a")
        let later = try submit(daemon, "a")
        let urgent = try submit(daemon, "a", "--priority", "50")
        #expect(try job(daemon, ordinary)["state"] == "queued")
        #expect(try daemon.ctl(["queue", "status", "--json"]).json["paused"] == true)
        // The pause outlives the daemon.
        try daemon.kill()
        try daemon.start()
        #expect(try job(daemon, ordinary)["state"] == "queued")
        #expect(try daemon.ctl(["queue", "resume"]).status == 0)
        let waited = try daemon.ctl(["wait", "\(ordinary)", "\(later)", "\(urgent)"])
        #expect(waited.status == 0, "\(waited.stderr)")
        #expect(try job(daemon, urgent)["version"] == "v2")
        #expect(try job(daemon, ordinary)["version"] == "v3")
        #expect(try job(daemon, later)["version"] == "v4")
    }

    @Test func `a dependent job waits for the other's success and is cancelled by its failure`() throws {
        let daemon = try prepared()
        #expect(try daemon.ctl(["queue", "pause"]).status == 0)
        let first = try submit(daemon, "a")
        let second = try submit(daemon, "b", "--after", "\(first)")
        let third = try submit(daemon, "b", "--after", "\(first):notok")
        #expect(try job(daemon, second)["state"] == "blocked")
        #expect(try daemon.ctl(["queue", "resume"]).status == 0)
        #expect(try daemon.ctl(["wait", "\(second)"]).status == 0)
        #expect(try daemon.ctl(["wait", "\(third)"]).status == 4)
        #expect(try job(daemon, third)["state"] == "cancelled")
        #expect(try job(daemon, third)["reason"] == "dependency")
    }

    @Test func `a queued job is cancelled at once, and retried into its place`() throws {
        let daemon = try prepared()
        #expect(try daemon.ctl(["queue", "pause"]).status == 0)
        let id = try submit(daemon, "a")
        #expect(try daemon.ctl(["cancel", "\(id)"]).status == 0)
        #expect(try daemon.ctl(["wait", "\(id)"]).status == 4)
        #expect(try daemon.ctl(["cancel", "\(id)", "--json"]).json["already"] == true)
        #expect(try daemon.ctl(["retry", "\(id)"]).status == 0)
        #expect(try daemon.ctl(["queue", "resume"]).status == 0)
        #expect(try daemon.ctl(["wait", "\(id)"]).status == 0)
    }

    @Test func `a running job is cancelled within a moment and leaves the model as it was`() throws {
        let daemon = try RunningDaemon()
        for (name, seed) in [("big", UInt64(1)), ("tuned", 2)] {
            try SyntheticCheckpoint(seed: seed, matrices: 24, side: 2048).write(
                to: "\(daemon.directory)/\(name)")
            #expect(try daemon.ctl(["model", "import", name, "\(daemon.directory)/\(name)"]).status == 0)
        }
        let id = try submit(daemon, "big")
        try daemon.eventually("the job runs") { try job(daemon, id)["state"] == "running" }
        #expect(try daemon.ctl(["cancel", "\(id)"]).status == 0)
        #expect(try daemon.ctl(["wait", "\(id)", "--timeout", "20s"]).status == 4)
        #expect(try daemon.ctl(["model", "history", "big", "--json"]).json.arrayValue?.count == 1)
        try daemon.eventually("no worker is left") { daemon.children.isEmpty }
        #expect(try FileManager.default.contentsOfDirectory(atPath: daemon.state + "/staging").isEmpty)
    }

    @Test func `a held job runs when it is released`() throws {
        let daemon = try prepared()
        let id = try submit(daemon, "a", "--hold")
        #expect(try job(daemon, id)["state"] == "held")
        #expect(try daemon.ctl(["release", "\(id)"]).status == 0)
        #expect(try daemon.ctl(["wait", "\(id)"]).status == 0)
    }

    @Test func `a drained queue has nothing running and starts nothing until it is resumed`() throws {
        let daemon = try prepared()
        #expect(try daemon.ctl(["queue", "drain"]).stdout.contains("paused"))
        let waiting = try submit(daemon, "a")
        #expect(try daemon.ctl(["queue", "resume"]).status == 0)
        let drained = try daemon.ctl(["queue", "drain", "--json"])
        #expect(drained.status == 0, "\(drained.stderr)")
        #expect(try drained.json["running"]?.arrayValue == [] && drained.json["paused"] == true)
        // Whether it had begun or not, it is not running now.
        #expect(try ["queued", "succeeded"].contains(job(daemon, waiting)["state"]))
        #expect(try daemon.ctl(["queue", "resume"]).status == 0)
        #expect(try daemon.ctl(["wait", "\(waiting)"]).status == 0)
    }

    @Test func `deadline, retries and group are told`() throws {
        let daemon = try prepared()
        let refused = try daemon.ctl([
            "submit", "task-vector", "--model", "a", "--finetuned", "tuned", "--group", "night",
        ])
        #expect(refused.status == 5 && refused.stderr.contains("there is no group"), "\(refused.stderr)")
        let id = try submit(daemon, "a", "--deadline", "+3d", "--retries", "2", "--hold")
        let shown = try daemon.ctl(["show", "\(id)"]).stdout
        #expect(shown.contains("(in 2 d)") && shown.contains("retries     0 of 2"), "\(shown)")
        #expect(try job(daemon, id)["deadline"]?.stringValue?.hasSuffix("Z") == true)
        #expect(try job(daemon, id)["retry_at"] == .null && job(daemon, id)["retried"] == 0)
    }

    @Test func `one key names one job`() throws {
        let daemon = try prepared()
        let first = try submit(daemon, "a", "--key", "request-17")
        let again = try submit(daemon, "a", "--key", "request-17")
        #expect(first == again)
        let other = try daemon.ctl([
            "submit", "task-vector", "--model", "b", "--finetuned", "tuned", "--key", "request-17",
        ])
        #expect(other.status == 6)
    }

    @Test func `waiting ends with its time limit, and the job goes on`() throws {
        let daemon = try prepared()
        #expect(try daemon.ctl(["queue", "pause"]).status == 0)
        let id = try submit(daemon, "a")
        #expect(try daemon.ctl(["wait", "\(id)", "--timeout", "1s"]).status == 8)
        #expect(try job(daemon, id)["state"] == "queued")
    }

    @Test func `the log of a job names the kernels that it ran on`() throws {
        let daemon = try prepared()
        let id = try submit(daemon, "a")
        #expect(try daemon.ctl(["wait", "\(id)"]).status == 0)
        let log = try daemon.ctl(["logs", "\(id)"]).stdout
        #expect(log.contains("threads"), "\(log)")
        #expect(log.contains("avx512") || log.contains("avx2") || log.contains("scalar"))
    }
}
