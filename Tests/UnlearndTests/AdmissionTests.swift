// SPDX-License-Identifier: Apache-2.0

import Protocol
import Testing

import unlearnd

/// What jobs wait for beside their model: groups, threads, room on the disk, other users' turns.
@Suite(.timeLimit(.minutes(2)))
struct AdmissionTests {
    @Test func `of a group so many jobs run as the configuration says`() async throws {
        let world = try World(parallel: 4) { $0.groups = ["night": 1, "day": 2] }
        await world.control.start()
        for name in ["m", "n", "o"] { try await world.model(name) }
        let first = try await world.submit("m", note: "hang") { $0.group = "night" }
        try await world.reach(first) { $0 == .running }
        let second = try await world.submit("n", note: "b") { $0.group = "night" }
        try await world.settle()
        #expect(try await world.control.job(second).reason == "group")
        let status = try await world.control.queueStatus()
        #expect(
            status.groups == [
                QueueGroup(name: "day", parallel: 2, running: 0, waiting: 0),
                QueueGroup(name: "night", parallel: 1, running: 1, waiting: 1),
            ])
        // It holds up nobody else.
        #expect(try await world.end(of: world.submit("o", note: "b")).state == .succeeded)
        _ = try await world.control.cancel(JobCancelParams(job: first), peer: World.user)
        #expect(try await world.end(of: second).group == "night")
        let error = await #expect(throws: RPCError.self) {
            try await world.submit("m", note: "b") { $0.group = "nigth" }
        }
        #expect(error?.kind == .notFound && error?.hint == "groups: day, night")
        await world.control.shutdown()
    }

    @Test func `running jobs have so many threads together`() async throws {
        let world = try World(parallel: 4) {
            $0.threads = 2
            $0.threadLimit = 3
        }
        await world.control.start()
        for name in ["m", "n"] { try await world.model(name) }
        let first = try await world.submit("m", note: "hang")
        try await world.reach(first) { $0 == .running }
        let second = try await world.submit("n", note: "b")
        try await world.settle()
        #expect(try await world.control.job(second).reason == "threads")
        _ = try await world.control.cancel(JobCancelParams(job: first), peer: World.user)
        #expect(try await world.end(of: second).state == .succeeded)
        await world.control.shutdown()
    }

    @Test func `a job waits for room on the disk`() async throws {
        let world = try World()
        await world.control.start()
        try await world.model("m")
        let job = try await world.submit("m", note: "b") { $0.hold = true }
        var tight = ControlConfiguration(
            stateDirectory: world.directory.path + "/state", memoryLimit: 64 << 30)
        tight.freeSpaceFloor = .bytes(.max / 2)
        try await world.control.apply(tight, changed: JSONObject())
        _ = try await world.control.release(job, peer: World.user)
        try await world.settle()
        let waiting = try await world.control.job(job)
        #expect(waiting.state == .queued && waiting.reason == "disk")
        tight.freeSpaceFloor = nil
        try await world.control.apply(tight, changed: JSONObject())
        #expect(try await world.end(of: job).state == .succeeded)
        await world.control.shutdown()
    }

    @Test func `of one priority users take turns`() async throws {
        let world = try World(parallel: 1)
        await world.control.start()
        for name in ["m1", "m2", "m3", "m4", "m5"] { try await world.model(name) }
        _ = try await world.control.setPaused(true, peer: World.user)
        let other = Peer(uid: 1001, gid: 1001, pid: 1, role: .operator_)
        var mine: [JobID] = []
        for name in ["m1", "m2", "m3"] { mine.append(try await world.submit(name, note: "b")) }
        let theirs = try #require(
            try await world.control.submit(
                JobSubmitParams(spec: World.spec("m4", note: "b")), peer: other
            ).job?.id)
        let urgent = try await world.submit("m5", note: "b") { $0.priority = 1 }
        let events = try await world.control.subscribe(SubscribeParams(types: ["state"]))
        _ = try await world.control.setPaused(false, peer: World.user)
        var order: [JobID?] = []
        for try await event in events where event.data["to"] == "running" {
            order.append(event.job)
            if order.count == 5 { break }
        }
        events.cancel()
        #expect(order == [urgent, theirs, mine[0], mine[1], mine[2]])
        for job in mine + [theirs, urgent] { #expect(try await world.end(of: job).state == .succeeded) }
        await world.control.shutdown()
    }
}
