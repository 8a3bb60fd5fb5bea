// SPDX-License-Identifier: Apache-2.0

import Protocol
import Testing

import unlearnd

@Suite(.timeLimit(.minutes(2)))
struct EventTests {
    @Test func `subscribers who come at any moment see every event once and in order`() async throws {
        let world = try World()
        let total = 200
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for number in 0..<total {
                    _ = try await world.control.setPaused(number.isMultiple(of: 2), peer: World.user)
                }
            }
            for since: Int64? in [1, 1, 1, 1, nil, nil] {
                group.addTask {
                    let events = try await world.control.subscribe(
                        SubscribeParams(since: since, types: ["queue"]))
                    var expected = since == nil ? events.nextSeq : 2
                    for try await event in events {
                        #expect(event.seq == expected)
                        expected += 1
                        // The first event is that of the start.
                        if expected == Int64(total) + 2 { break }
                    }
                    #expect(expected == Int64(total) + 2)
                    events.cancel()
                }
            }
            try await group.waitForAll()
        }
        await world.control.shutdown()
    }

    @Test func `a subscriber who does not read is told where to go on, and loses nothing before that`()
        async throws
    {
        let hub = EventHub()
        let (queue, next) = hub.subscribe(EventFilter(SubscribeParams()))
        for seq: Int64 in 0..<1100 { hub.publish([Event(seq: next + seq, time: .now, type: .queue)]) }
        var numbers: [Int64] = []
        var last: Event?
        while let event = await queue.next() {
            if let seq = event.seq { numbers.append(seq) }
            last = event
        }
        #expect(numbers == Array(next..<next + 1000))
        #expect(last?.type == .lagged)
        #expect(last?.data["next"]?.integerValue == next + 1000)
    }

    @Test func `a past of several pages is read to its end`() async throws {
        let directory = try TemporaryDirectory()
        let hub = EventHub()
        let database = try StateDatabase(path: directory.path + "/db") { hub.publish($0) }
        try await database.change { change in
            for number in 0..<1300 { try change.record(number.isMultiple(of: 3) ? .queue : .warning) }
        }
        let pages = EventSubscription(
            reading: database, hub: hub, SubscribeParams(since: 1, types: ["queue"]))
        pages.cancel()
        var numbers: [Int64] = []
        for try await event in pages { numbers.append(event.seq ?? 0) }
        #expect(numbers == stride(from: 1, through: 1300, by: 3).map { Int64($0) })
    }

    @Test func `of a job's progress only the latest waits`() async throws {
        let hub = EventHub()
        let (queue, _) = hub.subscribe(EventFilter(SubscribeParams()))
        for step in 0..<5000 {
            for job in 1...3 {
                hub.publish(
                    JobProgress(phase: "train", done: Double(step), total: nil, unit: "steps"), job: job,
                    model: nil)
            }
        }
        hub.close()
        var latest: [Int: Double] = [:]
        while let event = await queue.next() {
            #expect(event.type == .progress)
            if let job = event.job { latest[job] = event.data["done"]?.doubleValue }
        }
        #expect(latest == [1: 4999, 2: 4999, 3: 4999])
    }

    @Test func `a reader that is cancelled ends`() async throws {
        let world = try World()
        let events = try await world.control.subscribe(SubscribeParams(types: ["nothing"]))
        let reader = Task {
            for try await _ in events {}
        }
        reader.cancel()
        try await reader.value
        await world.control.shutdown()
    }

    @Test func `positions that cannot be served are refused`() async throws {
        let world = try World()
        await #expect(throws: RPCError.self) {
            try await world.control.subscribe(SubscribeParams(since: 1000))
        }
        let error = await #expect(throws: RPCError.self) {
            try await world.control.subscribe(SubscribeParams(jobs: [7], snapshot: true))
        }
        #expect(error?.kind == .notFound)
        await world.control.shutdown()
    }
}
