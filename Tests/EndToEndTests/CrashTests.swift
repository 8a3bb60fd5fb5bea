// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Protocol
import TestSupport
import Testing

/// `kill -9` of the daemon or of a worker, at named points and at random moments: afterwards no job is
/// forgotten, none is half applied, and the store is whole.
@Suite(.serialized, .timeLimit(.minutes(15)))
struct CrashTests {
    /// A daemon with the models `target` and `tuned` imported.
    private func prepared() throws -> RunningDaemon {
        let daemon = try RunningDaemon()
        for (name, seed) in [("target", UInt64(1)), ("tuned", 2)] {
            let directory = "\(daemon.directory)/\(name)"
            try SyntheticCheckpoint(seed: seed, matrices: 6, side: 1024).write(to: directory, shards: 2)
            let output = try daemon.ctl(["model", "import", name, directory])
            #expect(output.status == 0, "\(output.stderr)")
        }
        return daemon
    }

    private func submit(_ daemon: RunningDaemon, scale: Double) throws -> JobID {
        let output = try daemon.ctl([
            "submit", "task-vector", "--model", "target", "--finetuned", "tuned", "--scale", "\(scale)",
            "--quiet",
        ])
        guard output.status == 0, let id = Int(output.stdout.trimmingCharacters(in: .whitespacesAndNewlines))
        else {
            throw TestFailure("the submission failed with \(output.status): \(output.stderr)")
        }
        return id
    }

    /// Everything that must hold whenever no job is left to do.
    private func check(_ daemon: RunningDaemon, submitted: [JobID]) throws {
        let session = try daemon.session()
        let jobs: [Job] = try session.result("job.list", ["all": true, "limit": 1000])
        for id in submitted { #expect(jobs.contains { $0.id == id }, "job \(id) is forgotten") }
        let edits = jobs.filter { $0.kind == .taskVector }
        for job in edits {
            #expect(job.state.isTerminal, "job \(job.id) is still \(job.state)")
            #expect((job.version != nil) == (job.state == .succeeded))
        }
        let history: [VersionSummary] = try session.result("model.history", ["model": "target"])
        let made = edits.filter { $0.state == .succeeded }
        #expect(history.count == 1 + made.count)
        #expect(history.filter(\.head).count == 1)
        for job in made {
            let version = history.first { $0.version == job.version }
            #expect(version?.job == job.id && version?.digest == job.digest)
        }
        let events: SubscribeResult = try session.result("events.subscribe", ["since": 1])
        var lastSnapshot: [JobID: Int64] = [:]
        var seen: Int64 = 0
        while seen < events.nextSeq - 1 {
            let event = try session.event()
            seen = event.seq ?? seen
            guard let job = event.job else { continue }
            if event.type == .snapshot { lastSnapshot[job] = event.seq }
            if event.type == .edit {
                #expect(lastSnapshot[job] != nil, "job \(job) was edited before its snapshot")
            }
        }
        let verified = try daemon.ctl(["store", "verify", "--json"])
        #expect(verified.status == 0, "\(verified.stdout) \(verified.stderr)")
        let audit: AuditVerifyResult = try session.result("audit.verify")
        #expect(audit.valid)
    }

    private func finish(_ daemon: RunningDaemon, _ jobs: [JobID]) throws {
        let session = try daemon.session()
        for id in jobs {
            try daemon.eventually("job \(id) ends", seconds: 60) {
                let job: Job = try session.result("job.show", ["job": .integer(Int64(id))])
                return job.state.isTerminal
            }
        }
    }

    @Test(arguments: [
        "after-claim", "after-snapshot", "after-result", "before-commit", "inside-commit", "after-commit",
    ])
    func `a daemon that dies at a named step has done the job once or not at all`(point: String) throws {
        let daemon = try prepared()
        try daemon.stop()
        try daemon.start(environment: ["UNLEARND_FAILPOINT": point])
        let id = try submit(daemon, scale: 0.5)
        let status = try #require(daemon.process).wait(seconds: 60)
        #expect(status == 128 + SIGKILL)
        try daemon.start()
        try finish(daemon, [id])
        let job: Job = try daemon.session().result("job.show", ["job": .integer(Int64(id))])
        #expect(job.state == .succeeded, "\(String(describing: job.error))")
        #expect(job.headMoved == true)
        #expect(job.version == VersionNumber(2))
        try check(daemon, submitted: [id])
    }

    @Test func `a daemon that dies inside its recovery recovers at the next start`() throws {
        let daemon = try prepared()
        try daemon.stop()
        try daemon.start(environment: ["UNLEARND_FAILPOINT": "after-snapshot"])
        let id = try submit(daemon, scale: 0.25)
        _ = try daemon.process?.wait(seconds: 60)
        let second = try daemon.spawn(environment: ["UNLEARND_FAILPOINT": "inside-recovery"])
        #expect(try second.wait(seconds: 60) == 128 + SIGKILL)
        try daemon.start()
        try finish(daemon, [id])
        try check(daemon, submitted: [id])
    }

    @Test func `a daemon killed at random moments forgets no job and applies none by half`() throws {
        let daemon = try prepared()
        var random = SystemRandomNumberGenerator()
        var submitted: [JobID] = []
        for round in 0..<12 {
            submitted.append(try submit(daemon, scale: 0.01 * Double(round + 1)))
            usleep(useconds_t.random(in: 0..<500_000, using: &random))
            try daemon.kill()
            try daemon.start()
        }
        try finish(daemon, submitted)
        let session = try daemon.session()
        for id in submitted {
            let job: Job = try session.result("job.show", ["job": .integer(Int64(id))])
            // A job that was being started at three kills may be given up as lost, never anything else.
            #expect(job.state == .succeeded || job.state == .lost, "job \(id) is \(job.state)")
        }
        try check(daemon, submitted: submitted)
        #expect(try FileManager.default.contentsOfDirectory(atPath: daemon.state + "/staging").isEmpty)
    }

    @Test func `a worker killed at random moments fails its job and changes nothing`() throws {
        let daemon = try prepared()
        var random = SystemRandomNumberGenerator()
        var submitted: [JobID] = []
        var killed = 0
        for round in 0..<12 {
            let id = try submit(daemon, scale: 0.01 * Double(round + 1))
            submitted.append(id)
            usleep(useconds_t.random(in: 0..<300_000, using: &random))
            for worker in daemon.children where kill(worker, SIGKILL) == 0 { killed += 1 }
            try finish(daemon, [id])
            let job: Job = try daemon.session().result("job.show", ["job": .integer(Int64(id))])
            #expect(job.state == .succeeded || job.error?.kind == .workerDied, "job \(id): \(job.state)")
        }
        #expect(killed > 0)
        try check(daemon, submitted: submitted)
    }
}
