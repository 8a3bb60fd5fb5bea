// SPDX-License-Identifier: Apache-2.0

import GRDB
import Glibc
import Protocol
import Synchronization
import Testing

import unlearnd

/// Changes that are committed together.
@Suite(.timeLimit(.minutes(2)))
struct SharedTransactionTests {
    /// The events that were published, by the transactions that they came from.
    private final class Transactions: Sendable {
        let calls = Mutex<[[Event]]>([])
    }

    private struct Refusal: Error, Equatable {
        var number: Int
    }

    @Test func `changes that wait together share a transaction, and each fails alone`() async throws {
        let directory = try TemporaryDirectory()
        let published = Transactions()
        let database = try StateDatabase(path: directory.path + "/db") { events in
            published.calls.withLock { $0.append(events) }
        }
        try await database.change { _ in }
        published.calls.withLock { $0 = [] }
        let outcomes = try await withThrowingTaskGroup(of: (Int, Refusal?).self) { group in
            // The writer is busy until all of them wait for it.
            group.addTask {
                try await database.betweenChanges { _ in _ = usleep(300_000) }
                return (-1, nil)
            }
            try await Task.sleep(for: .milliseconds(50))
            for number in 0..<100 {
                group.addTask {
                    do {
                        try await database.change { change in
                            try change.record(.warning, ["message": .string("\(number)")])
                            if number % 3 == 0 { throw Refusal(number: number) }
                        }
                        return (number, nil)
                    } catch let refusal as Refusal { return (number, refusal) }
                }
            }
            return try await group.reduce(into: [Int: Refusal?]()) { $0[$1.0] = .some($1.1) }
        }
        for number in 0..<100 {
            let refusal: Refusal? = number % 3 == 0 ? Refusal(number: number) : nil
            #expect(outcomes[number] == .some(refusal))
        }
        let calls = published.calls.withLock(\.self)
        let events = calls.flatMap(\.self)
        #expect(calls.count < 10, "\(calls.count) transactions for 100 changes")
        #expect(events.compactMap(\.seq) == events.compactMap(\.seq).sorted())
        #expect(
            Set(events.compactMap { $0.data["message"]?.stringValue.flatMap { Int($0) } })
                == Set((0..<100).filter { $0 % 3 != 0 }))
        #expect(
            try await database.read { try Int64.fetchAll($0, sql: "SELECT seq FROM event ORDER BY seq") }
                == events.compactMap(\.seq))
    }

    @Test func `a change that finds the disk full takes nobody's word back`() async throws {
        let directory = try TemporaryDirectory()
        let published = Transactions()
        let database = try StateDatabase(path: directory.path + "/db") { events in
            published.calls.withLock { $0.append(events) }
        }
        try await database.betweenChanges { db in
            let pages = try Int.fetchOne(db, sql: "PRAGMA page_count") ?? 0
            try db.execute(sql: "PRAGMA max_page_count = \(pages + 40)")
        }
        let kept = await withTaskGroup(of: Int?.self) { group in
            group.addTask {
                try? await database.betweenChanges { _ in _ = usleep(300_000) }
                return nil
            }
            try? await Task.sleep(for: .milliseconds(50))
            for number in 0..<40 {
                group.addTask {
                    let text = number == 20 ? String(repeating: "x", count: 1 << 20) : "\(number)"
                    let isDone: Void? = try? await database.change {
                        try $0.record(.warning, ["message": .string(text)])
                    }
                    return isDone == nil ? nil : number
                }
            }
            return await group.reduce(into: Set<Int>()) { if let number = $1 { $0.insert(number) } }
        }
        #expect(!kept.contains(20))
        // Whoever was told that it is done finds it, and nobody else's is there.
        let rows = try await database.read { db in
            try String.fetchAll(db, sql: "SELECT json_extract(data, '$.message') FROM event")
        }
        #expect(Set(rows.compactMap { Int($0) }) == kept)
        #expect(published.calls.withLock { $0.flatMap(\.self).count } == kept.count)
        try await database.change { try $0.record(.warning, ["message": "afterwards"]) }
    }
}
