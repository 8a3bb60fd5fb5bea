// SPDX-License-Identifier: Apache-2.0

import Protocol
import Testing

import unlearnd

/// Deadlines: a warning before, another when they are missed, and nothing else.
@Suite(.timeLimit(.minutes(2)))
struct DeadlineTests {
    private func later(_ seconds: Double) -> Timestamp {
        Timestamp(milliseconds: Timestamp.now.milliseconds + Int64(seconds * 1000))
    }

    @Test func `a deadline warns before and when it is missed, once each, and the job goes on`() async throws
    {
        let directory = try TemporaryDirectory()
        let job: JobID
        do {
            let world = try World(directory: directory) { $0.deadlineWarning = 3 }
            await world.control.start()
            try await world.model("m")
            let deadline = later(5)
            job = try await world.submit("m", note: "b") {
                $0.hold = true
                $0.deadline = deadline
            }
            #expect(try await world.control.job(job).deadline == deadline)
            let events = try await world.control.subscribe(
                SubscribeParams(since: 1, types: ["deadline"], jobs: [job]))
            var told: [(missed: Bool?, at: Int64)] = []
            for try await event in events {
                #expect(event.data["deadline"]?.stringValue == deadline.description)
                #expect(event.data["state"] == "held")
                told.append(
                    (event.data["missed"]?.boolValue, event.time.milliseconds - deadline.milliseconds))
                if told.count == 2 { break }
            }
            events.cancel()
            #expect(told.map(\.missed) == [false, true])
            #expect((-3000..<0).contains(told[0].at) && told[1].at >= 0)
            let warnings = try await world.control.job(job).warnings
            #expect(warnings.contains { $0.contains("comes near: the job is held") })
            #expect(warnings.contains { $0.contains("is missed: the job is held") })
            await world.control.shutdown()
        }
        // Another daemon does not say it again.
        let world = try World(directory: directory)
        await world.control.start()
        _ = try await world.control.release(job, peer: World.user)
        #expect(try await world.end(of: job).state == .succeeded)
        #expect(try await world.events(of: job).filter { $0.type == .deadline }.count == 2)
        await world.control.shutdown()
    }

    @Test func `a deadline that was missed while no daemon ran is told by the next`() async throws {
        let directory = try TemporaryDirectory()
        let job: JobID
        let deadline: Timestamp
        do {
            let world = try World(directory: directory) { $0.deadlineWarning = 0 }
            await world.control.start()
            try await world.model("m")
            deadline = later(4)
            job = try await world.submit("m", note: "b") {
                $0.hold = true
                $0.deadline = deadline
            }
            await world.control.shutdown()
        }
        let left = deadline.milliseconds - Timestamp.now.milliseconds
        try await Task.sleep(for: .milliseconds(max(0, left) + 100))
        let world = try World(directory: directory)
        await world.control.start()
        try await world.settle()
        let told = try await world.events(of: job).filter { $0.type == .deadline }
        #expect(told.map { $0.data["missed"] } == [true])
        await world.control.shutdown()
    }

    @Test func `a job that ended in time is not spoken of`() async throws {
        let world = try World { $0.deadlineWarning = 0 }
        await world.control.start()
        try await world.model("m")
        let deadline = later(4)
        let job = try await world.submit("m", note: "b") {
            $0.hold = true
            $0.deadline = deadline
        }
        _ = try await world.control.cancel(JobCancelParams(job: job), peer: World.user)
        #expect(try await world.end(of: job).warnings.allSatisfy { !$0.contains("deadline") })
        try await Task.sleep(for: .milliseconds(4200))
        try await world.settle()
        #expect(try await world.events(of: job).allSatisfy { $0.type != .deadline })
        await world.control.shutdown()
    }

    @Test func `deadlines that cannot be met are refused`() async throws {
        let world = try World()
        await world.control.start()
        try await world.model("m")
        let (past, near, far) = (later(-1), later(100), later(200))
        for (deadline, start) in [(past, nil), (near, far)] as [(Timestamp, Timestamp?)] {
            let error = await #expect(throws: RPCError.self) {
                try await world.submit("m", note: "b") {
                    $0.deadline = deadline
                    $0.at = start
                }
            }
            #expect(error?.kind == .invalidParams && error?.field == "spec.deadline")
        }
        await world.control.shutdown()
    }
}
