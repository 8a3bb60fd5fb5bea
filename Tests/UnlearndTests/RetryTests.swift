// SPDX-License-Identifier: Apache-2.0

import Protocol
import Testing

import unlearnd

/// Jobs that are tried again by themselves after a failure that may pass.
@Suite(.timeLimit(.minutes(2)))
struct RetryTests {
    @Test func `a job whose worker died is tried again, as often as it may be`() async throws {
        let world = try World { $0.retryDelay = 0.05 }
        await world.control.start()
        try await world.model("m")
        let job = try await world.submit("m", note: "die") { $0.retries = 2 }
        let end = try await world.end(of: job)
        #expect(end.state == .failed && end.reason == "worker-died" && end.error?.kind == .workerDied)
        #expect(end.retried == 2 && end.attempt == 3 && end.retryAt == nil)
        #expect(end.warnings.filter { $0.contains("tried again at") }.count == 2)
        #expect(end.warnings.contains { $0.hasSuffix("for the 2. of 2 times") })
        let reasons = try await world.events(of: job).filter { $0.type == .state }.map { $0.data["reason"] }
        #expect(reasons.filter { $0 == "retrying" }.count == 2)
        // A person's retry gives it as many again.
        #expect(try await world.control.retry(job, peer: World.user).retried == 0)
        #expect(try await world.end(of: job).retried == 2)
        await world.control.shutdown()
    }

    @Test func `what goes well the second time has no error left`() async throws {
        let world = try World { $0.retryDelay = 0.05 }
        await world.control.start()
        try await world.model("m")
        let job = try await world.submit("m", note: "die-once-b") { $0.retries = 5 }
        let end = try await world.end(of: job)
        #expect(end.state == .succeeded && end.version == VersionNumber(2) && end.error == nil)
        #expect(end.retried == 1 && end.attempt == 2)
        await world.control.shutdown()
    }

    @Test func `what would only fail again is not tried again`() async throws {
        let world = try World { $0.retryDelay = 0.05 }
        await world.control.start()
        try await world.model("m")
        let faulty = try await world.end(of: world.submit("m", note: "fail") { $0.retries = 3 })
        #expect(faulty.state == .failed && faulty.attempt == 1 && faulty.retried == 0)
        let plain = try await world.end(of: world.submit("m", note: "die"))
        #expect(plain.state == .failed && plain.attempt == 1)
        for (retries, kind) in [(-1, JobKind.taskVector), (11, .taskVector), (1, .import)] {
            let error = await #expect(throws: RPCError.self) {
                try await world.submit("m", as: kind, note: "a") {
                    $0.retries = retries
                    if kind == .import { $0.parameters = World.parameters { $0.transfer = "transfer" } }
                }
            }
            #expect(error?.kind == .invalidParams && error?.field == "spec.retries")
        }
        await world.control.shutdown()
    }

    @Test func `each wait is longer, can be seen, and outlives the daemon`() async throws {
        let directory = try TemporaryDirectory()
        let job: JobID
        let waiting: Job
        do {
            let world = try World(directory: directory) { $0.retryDelay = 1000 }
            await world.control.start()
            try await world.model("m")
            job = try await world.submit("m", note: "die-once-b") { $0.retries = 3 }
            let events = try await world.control.subscribe(
                SubscribeParams(since: 1, types: ["state"], jobs: [job]))
            for try await event in events where event.data["reason"] == "retrying" { break }
            events.cancel()
            waiting = try await world.control.job(job)
            #expect(waiting.state == .queued && waiting.reason == "retrying")
            #expect(waiting.error?.kind == .workerDied && waiting.retried == 1 && waiting.started == nil)
            let wait = try #require(waiting.retryAt).milliseconds - Timestamp.now.milliseconds
            #expect((790_000...1_200_000).contains(wait))
            await world.control.shutdown()
        }
        let world = try World(directory: directory) { $0.retryDelay = 1000 }
        await world.control.start()
        try await world.settle()
        let again = try await world.control.job(job)
        #expect(again.state == .queued && again.reason == "retrying" && again.retryAt == waiting.retryAt)
        #expect(again.error == waiting.error)
        _ = try await world.control.cancel(JobCancelParams(job: job), peer: World.user)
        #expect(try await world.end(of: job).state == .cancelled)
        await world.control.shutdown()
    }
}
