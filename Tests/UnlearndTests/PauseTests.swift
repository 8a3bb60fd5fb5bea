// SPDX-License-Identifier: Apache-2.0

import Foundation
import GRDB
import Protocol
import Testing

import unlearnd

/// Pausing and resuming as the daemon sees it; the worker is a script.
@Suite(.timeLimit(.minutes(2)))
struct PauseTests {
    /// Submits a training job whose worker writes a checkpoint and then waits for a command.
    private func train(_ world: World, _ model: String = "m", note: String = "train") async throws -> JobID {
        let rows = try await world.control.putDataset(
            Array("{\"text\":\"one two\"}\n".utf8), name: nil, peer: World.user)
        return try await world.submit(model, as: .finetune, note: note) { $0.retain = rows.dataset }
    }

    private func checkpointed(_ world: World, _ job: JobID) async throws {
        let events = try await world.control.subscribe(
            SubscribeParams(since: 1, types: ["checkpoint"], jobs: [job]))
        defer { events.cancel() }
        for try await event in events where event.seq != nil { return }
    }

    private func file(_ world: World, _ job: JobID) -> String {
        world.directory.path + "/state/training/\(job).checkpoint"
    }

    @Test func `a paused job keeps its model and its base, and neither memory nor a slot`() async throws {
        let world = try World(parallel: 1, memoryLimit: 1 << 40)
        await world.control.start()
        try await world.model("m")
        try await world.model("other")
        let job = try await train(world)
        try await checkpointed(world, job)
        let asked = try await world.control.pause(job, peer: World.user)
        #expect(asked.state == .running && asked.reason == "pausing")
        try await world.reach(job) { $0 == .paused }
        let paused = try await world.control.job(job)
        #expect(paused.checkpoint?.step == 3 && paused.checkpoint?.total == 9)
        #expect(paused.base == VersionNumber(1) && paused.attempt == 0 && paused.reason == nil)
        // Asking again is no error.
        #expect(try await world.control.pause(job, peer: World.user).state == .paused)

        let beside = try await world.submit("other", note: "b")
        #expect(try await world.end(of: beside).state == .succeeded)
        let behind = try await world.submit("m", note: "b")
        try await Task.sleep(for: .milliseconds(100))
        #expect(try await world.control.job(behind).reason == "model-busy")
        #expect(try await world.control.queueStatus().running.isEmpty)

        #expect(try await world.control.resume(job, peer: World.user).state == .queued)
        try await world.reach(job) { $0 == .running }
        #expect(try await world.control.job(job).base == VersionNumber(1))
        _ = try await world.control.cancel(JobCancelParams(job: job), peer: World.user)
        #expect(try await world.end(of: job).checkpoint == nil)
        #expect(try await world.end(of: behind).state == .succeeded)
        let actions = try await world.control.auditLog(AuditLogParams()).map(\.action)
        #expect(actions.count { $0 == "job.pause" } == 2 && actions.contains("job.resume"))
        await world.control.shutdown()
    }

    /// A paused job, and one that trained when its daemon was stopped; the daemon is gone.
    private func interrupted(_ directory: TemporaryDirectory) async throws -> (paused: JobID, killed: JobID) {
        let world = try World(directory: directory)
        await world.control.start()
        try await world.model("m")
        try await world.model("n")
        let paused = try await train(world)
        try await checkpointed(world, paused)
        _ = try await world.control.pause(paused, peer: World.user)
        try await world.reach(paused) { $0 == .paused }
        let killed = try await train(world, "n")
        try await checkpointed(world, killed)
        await world.control.shutdown()
        return (paused, killed)
    }

    @Test func `a paused job stays paused over a restart, and one that was to be paused is`() async throws {
        let directory = try TemporaryDirectory()
        let (paused, killed) = try await interrupted(directory)
        // As a daemon leaves it that dies between the wish and the worker's end.
        let path = directory.path + "/state/unlearnd.sqlite"
        try await DatabaseQueue(path: path).write { db in
            try db.execute(
                sql:
                    "UPDATE job SET state = 'running', owner = 'earlier', pause_requested = 1 WHERE id = ?",
                arguments: [killed])
        }
        let second = try World(directory: directory)
        #expect(second.control.recovered == ["paused": 1])
        await second.control.start()
        for job in [paused, killed] {
            let found = try await second.control.job(job)
            #expect(found.state == .paused && found.checkpoint?.step == 3 && found.base == VersionNumber(1))
            #expect(try await second.control.resume(job, peer: World.user).state == .queued)
            try await second.reach(job) { $0 == .running }
        }
        await second.control.shutdown()
    }

    @Test func `a daemon that stops lets training jobs write their checkpoint and wait`() async throws {
        let world = try World()
        await world.control.start()
        try await world.model("m")
        let job = try await train(world)
        try await checkpointed(world, job)
        await world.control.shutdown()
        let found = try await world.control.job(job)
        #expect(found.state == .queued && found.reason == "interrupted")
        #expect(found.checkpoint?.step == 3 && found.base == VersionNumber(1) && found.attempt == 0)
    }

    @Test func `a worker that dies before the first checkpoint is followed by another, three times at most`()
        async throws
    {
        let world = try World()
        await world.control.start()
        try await world.model("m")
        let job = try await train(world, note: "die")
        let end = try await world.end(of: job)
        #expect(end.state == .failed && end.error?.kind == .workerDied)
        #expect(try await world.events(of: job).count { $0.data["to"] == "running" } == 3)
        #expect(end.warnings.contains { $0.contains("the last words") && $0.contains("begins again") })
        await world.control.shutdown()
    }

    @Test func `a worker that dies after its checkpoint is followed by another, three times at most`()
        async throws
    {
        let world = try World()
        await world.control.start()
        try await world.model("m")
        let job = try await train(world, note: "train-die")
        let end = try await world.end(of: job)
        #expect(end.state == .failed && end.error?.kind == .workerDied)
        let starts = try await world.events(of: job).count { $0.data["to"] == "running" }
        // One that wrote the checkpoint, and two more that died without a newer one.
        #expect(starts == 3)
        #expect(end.warnings.contains { $0.contains("step 3 of 9") })
        await world.control.shutdown()
    }

    @Test func `a cancelled job's checkpoint is removed, paused or not`() async throws {
        let world = try World()
        await world.control.start()
        try await world.model("m")
        let job = try await train(world)
        try await checkpointed(world, job)
        try Data([1, 2, 3]).write(to: URL(fileURLWithPath: file(world, job)))
        #expect(try await world.control.storeStatus().trainingBytes == 3)
        _ = try await world.control.pause(job, peer: World.user)
        try await world.reach(job) { $0 == .paused }
        let result = try await world.control.cancel(JobCancelParams(job: job), peer: World.user)
        #expect(result.state == .cancelled)
        while FileManager.default.fileExists(atPath: file(world, job)) {
            try await Task.sleep(for: .milliseconds(10))
        }
        #expect(try await world.control.storeStatus().trainingBytes == 0)
        await world.control.shutdown()
    }

    @Test func `what cannot be paused or resumed says why`() async throws {
        let world = try World(parallel: 1)
        await world.control.start()
        try await world.model("m")
        let running = try await world.submit("m", note: "wait-b")
        let waiting = try await world.submit("m", note: "b")
        try await world.reach(running) { $0 == .running }
        let kind = try await #require(throws: RPCError.self) {
            try await world.control.pause(running, peer: World.user)
        }
        #expect(kind.kind == .conflict && kind.message.contains("task-vector"))
        let early = try await #require(throws: RPCError.self) {
            try await world.control.pause(waiting, peer: World.user)
        }
        #expect(early.kind == .conflict && early.hint?.contains("hold") == true)
        await #expect(throws: RPCError.self) { try await world.control.resume(waiting, peer: World.user) }
        _ = try await world.control.cancel(JobCancelParams(job: running, force: true), peer: World.user)
        #expect(try await world.end(of: waiting).state == .succeeded)
        await #expect(throws: RPCError.self) { try await world.control.pause(waiting, peer: World.user) }
        await #expect(throws: RPCError.self) { try await world.control.pause(99, peer: World.user) }
        await world.control.shutdown()
    }
}
