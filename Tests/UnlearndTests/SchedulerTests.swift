// SPDX-License-Identifier: Apache-2.0

import Protocol
import Testing

import unlearnd

@Suite(.timeLimit(.minutes(3)))
struct SchedulerTests {
    @Test func `jobs start by priority and then by number`() async throws {
        let world = try World(parallel: 1)
        await world.control.start()
        for name in ["m1", "m2", "m3", "m4"] { try await world.model(name) }
        _ = try await world.control.setPaused(true, peer: World.user)
        let low = try await world.submit("m1", note: "b") { $0.priority = -5 }
        let first = try await world.submit("m2", note: "b")
        let second = try await world.submit("m3", note: "b")
        let high = try await world.submit("m4", note: "b") { $0.priority = 10 }
        #expect(try await world.control.job(first).state == .queued)
        let events = try await world.control.subscribe(SubscribeParams(types: ["state"]))
        _ = try await world.control.setPaused(false, peer: World.user)
        var order: [JobID?] = []
        for try await event in events where event.data["to"] == "running" {
            order.append(event.job)
            if order.count == 4 { break }
        }
        events.cancel()
        #expect(order == [high, first, second, low])
        for job in [high, first, second, low] { #expect(try await world.end(of: job).state == .succeeded) }
        await world.control.shutdown()
    }

    @Test func `one job writes a model at a time and the others say why they wait`() async throws {
        let world = try World(parallel: 2)
        await world.control.start()
        for name in ["m", "n"] { try await world.model(name) }
        let first = try await world.submit("m", note: "hang")
        try await world.reach(first) { $0 == .running }
        let second = try await world.submit("m", note: "b")
        let other = try await world.submit("n", note: "hang")
        try await world.reach(other) { $0 == .running }
        let third = try await world.submit("n", note: "b")
        // The lane of two is full now.
        let delayed = try await world.submit("n", note: "b") {
            $0.at = Timestamp(milliseconds: Timestamp.now.milliseconds + 3_600_000)
        }
        let status = try await world.control.queueStatus()
        #expect(status.running == [first, other])
        try await world.settle()
        #expect(try await world.control.job(second).reason == "parallel")
        #expect(try await world.control.job(third).reason == "parallel")
        #expect(try await world.control.job(delayed).reason == "delayed")
        _ = try await world.control.cancel(JobCancelParams(job: other), peer: World.user)
        #expect(try await world.end(of: third).state == .succeeded)
        try await world.settle()
        #expect(try await world.control.job(second).reason == "model-busy")
        _ = try await world.control.cancel(JobCancelParams(job: first), peer: World.user)
        #expect(try await world.end(of: second).state == .succeeded)
        #expect(try await world.end(of: first).state == .cancelled)
        await world.control.shutdown()
    }

    @Test func `a paused queue holds queued jobs and not interactive ones, over a restart`() async throws {
        let directory = try TemporaryDirectory()
        let held: JobID
        do {
            let world = try World(directory: directory)
            await world.control.start()
            try await world.model("m")
            _ = try await world.control.setPaused(true, peer: World.user)
            held = try await world.submit("m", note: "b")
            let quick = try await world.submit("m", as: .verify, note: "done") { $0.model = nil }
            #expect(try await world.end(of: quick).result?["rows"] == 3)
            await world.control.shutdown()
        }
        let world = try World(directory: directory)
        await world.control.start()
        try await world.settle()
        #expect(try await world.control.job(held).reason == "queue-paused")
        _ = try await world.control.setPaused(false, peer: World.user)
        #expect(try await world.end(of: held).version == VersionNumber(2))
        await world.control.shutdown()
    }

    @Test func `jobs wait for memory in their order`() async throws {
        // An estimate is 400 MiB for jobs by chunks.
        let world = try World(parallel: 4, memoryLimit: 700 << 20)
        await world.control.start()
        for name in ["m", "n"] { try await world.model(name) }
        let first = try await world.submit("m", note: "hang")
        try await world.reach(first) { $0 == .running }
        let second = try await world.submit("n", note: "b")
        try await world.settle()
        #expect(try await world.control.job(second).reason == "memory")
        _ = try await world.control.cancel(JobCancelParams(job: first), peer: World.user)
        #expect(try await world.end(of: second).state == .succeeded)
        await world.control.shutdown()
        let tiny = try World(memoryLimit: 200 << 20)
        let error = await #expect(throws: RPCError.self) {
            try await tiny.submit("m", as: .import, note: "a") {
                $0.parameters = World.parameters { $0.transfer = "transfer" }
            }
        }
        #expect(error?.kind == .insufficientMemory)
        await tiny.control.shutdown()
    }

    @Test func `dependent jobs follow the fate of those they wait for`() async throws {
        let world = try World(parallel: 1)
        await world.control.start()
        try await world.model("m")
        _ = try await world.control.setPaused(true, peer: World.user)
        let failing = try await world.submit("m", note: "fail")
        func after(_ condition: DependencyCondition, _ note: String = "b") async throws -> JobID {
            try await world.submit("m", note: note) {
                $0.after = [Dependency(job: failing, condition: condition)]
            }
        }
        let (onSuccess, onAny, onFailure) = (
            try await after(.ok), try await after(.any), try await after(.notok, "c")
        )
        let chained = try await world.submit("m", note: "c") { $0.after = [Dependency(job: onSuccess)] }
        #expect(try await world.control.job(onAny).state == .blocked)
        _ = try await world.control.setPaused(false, peer: World.user)
        let end = try await world.end(of: failing)
        #expect(end.state == .failed && end.reason == "bad-input" && end.error?.message == "line 3")
        for job in [onSuccess, chained] {
            let end = try await world.end(of: job)
            #expect(end.state == .cancelled && end.reason == "dependency")
        }
        for job in [onAny, onFailure] { #expect(try await world.end(of: job).state == .succeeded) }
        let error = await #expect(throws: RPCError.self) { try await after(.ok) }
        #expect(error?.kind == .conflict)
        await world.control.shutdown()
    }

    @Test func `held jobs wait for their release`() async throws {
        let world = try World()
        await world.control.start()
        try await world.model("m")
        let job = try await world.submit("m", note: "b") { $0.hold = true }
        #expect(try await world.control.job(job).state == .held)
        #expect(try await world.control.release(job, peer: World.user).state == .queued)
        let end = try await world.end(of: job)
        #expect(end.state == .succeeded, "\(String(describing: end.error))")
        let error = await #expect(throws: RPCError.self) {
            try await world.control.hold(job, peer: World.user)
        }
        #expect(error?.kind == .conflict)
        await world.control.shutdown()
    }

    @Test(arguments: [("hang", false), ("deaf", true)])
    func `a running job is cancelled, asked or killed`(_ note: String, _ force: Bool) async throws {
        let world = try World()
        await world.control.start()
        try await world.model("m")
        let job = try await world.submit("m", note: note)
        try await world.reach(job) { $0 == .running }
        let answer = try await world.control.cancel(JobCancelParams(job: job, force: force), peer: World.user)
        #expect(answer.state == .cancelling && !answer.already)
        let end = try await world.end(of: job)
        #expect(end.state == .cancelled && end.error == nil)
        let again = try await world.control.cancel(JobCancelParams(job: job), peer: World.user)
        #expect(again.state == .cancelled && again.already)
        #expect(try await world.control.retry(job, peer: World.user).state == .queued)
        try await world.reach(job) { $0 == .running }
        _ = try await world.control.cancel(JobCancelParams(job: job, force: true), peer: World.user)
        #expect(try await world.end(of: job).attempt == 2)
        await world.control.shutdown()
    }

    @Test func `a deaf worker is killed when its grace is over`() async throws {
        let world = try World(grace: 0.2)
        await world.control.start()
        try await world.model("m")
        let job = try await world.submit("m", note: "deaf")
        try await world.reach(job) { $0 == .running }
        _ = try await world.control.cancel(JobCancelParams(job: job), peer: World.user)
        #expect(try await world.end(of: job).state == .cancelled)
        await world.control.shutdown()
    }

    @Test func `a result that comes after the cancellation is not committed`() async throws {
        let world = try World()
        await world.control.start()
        try await world.model("m")
        // This worker answers any command with its result.
        let job = try await world.submit("m", note: "wait-b")
        try await world.reach(job) { $0 == .running }
        _ = try await world.control.cancel(JobCancelParams(job: job), peer: World.user)
        #expect(try await world.end(of: job).state == .cancelled)
        #expect(
            try await world.control.history(ModelHistoryParams(model: try World.reference("m").model)).count
                == 1)
        await world.control.shutdown()
    }

    @Test(arguments: [("die", "worker-died", "the last words"), ("garbage", "internal", "no message")])
    func `a worker that dies or talks nonsense fails its job`(
        _ note: String, _ reason: String, _ words: String
    ) async throws {
        let world = try World()
        await world.control.start()
        try await world.model("m")
        let job = try await world.submit("m", note: note)
        let end = try await world.end(of: job)
        #expect(end.state == .failed && end.reason == reason)
        #expect(end.error?.message.contains(words) == true, "\(end.error?.message ?? "")")
        let log = try await world.control.log(JobLogParams(job: job))
        #expect(log.lines.contains { $0.level == "error" })
        #expect(log.lines.map(\.line) == Array(1...Int64(log.lines.count)))
        await world.control.shutdown()
    }

    @Test func `a shutdown puts running jobs back at no cost`() async throws {
        let directory = try TemporaryDirectory()
        let job: JobID
        do {
            let world = try World(directory: directory)
            await world.control.start()
            try await world.model("m")
            job = try await world.submit("m", note: "hang")
            try await world.reach(job) { $0 == .running }
            await world.control.shutdown()
            let row = try await world.control.job(job)
            #expect(row.state == .queued && row.attempt == 0 && row.base == nil)
        }
        let world = try World(directory: directory)
        #expect(world.control.recovered == [:])
        #expect(try await world.control.job(job).state == .queued)
        await world.control.shutdown()
    }

    @Test func `the state directory serves one daemon`() async throws {
        let world = try World()
        let error = #expect(throws: StartupError.self) { _ = try World(directory: world.directory) }
        #expect(error?.code == .locked)
        await world.control.shutdown()
    }
}

extension World {
    /// Waits until the scheduler has seen everything that was asked so far: a job that can start at once has ended.
    func settle() async throws {
        let probe = try await submit("m", as: .tokenize, note: "done") {
            $0.parameters = Self.parameters { $0.text = "a" }
        }
        _ = try await end(of: probe)
    }
}
