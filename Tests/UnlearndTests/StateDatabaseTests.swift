// SPDX-License-Identifier: Apache-2.0

import Foundation
import GRDB
import Protocol
import Testing

import unlearnd

@Suite(.timeLimit(.minutes(2)))
struct StateDatabaseTests {
    @Test func `a commit is on the disk before it is answered`() async throws {
        let directory = try TemporaryDirectory()
        let database = try StateDatabase(path: directory.path + "/db") { _ in }
        #expect(try await database.synchronousLevel() == 2)
        let mode = try await database.read { try String.fetchOne($0, sql: "PRAGMA journal_mode") }
        #expect(mode == "wal")
    }

    @Test func `a damaged file is refused and left alone`() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/db"
        try autoreleased {
            let database = try StateDatabase(path: path) { _ in }
            try database.changeNow { change in
                for number in 0..<2000 { try change.record(.warning, ["message": .string("\(number)")]) }
            }
            try database.checkpoint()
        }
        var bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        for offset in stride(from: 8192, to: bytes.count, by: 4096) {
            for byte in 0..<64 { bytes[offset + byte] = 0xA5 }
        }
        try bytes.write(to: URL(fileURLWithPath: path))
        let error = #expect(throws: StartupError.self) { _ = try StateDatabase(path: path) { _ in } }
        #expect(error?.code == .database)
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == bytes)
    }

    @Test func `what was replaced is nowhere in the file once it is written anew`() throws {
        let secret = Data("c4n4ry of Ann".utf8)
        var stale = 0
        for size in stride(from: 100, to: 1000, by: 30) {
            let directory = try TemporaryDirectory()
            let path = directory.path + "/db"
            let database = try StateDatabase(path: path) { _ in }
            try database.changeNow { change in
                for number in 0..<60 {
                    let secret = "c4n4ry of Ann" + String(repeating: "z", count: size / 2)
                    let text = number % 5 == 0 ? secret : String(repeating: "x", count: size)
                    try change.record(.warning, ["message": .string(text)])
                }
            }
            // Rows beside those grow, and the trees are balanced with the secret in them.
            try database.changeNow { change in
                for seq in stride(from: 2, through: 60, by: 2) {
                    try change.db.execute(
                        sql: "UPDATE event SET data = ? WHERE seq = ?",
                        arguments: [#"{"message":"\#(String(repeating: "y", count: size * 3 / 2))"}"#, seq])
                }
            }
            try database.changeNow { change in
                try change.db.execute(
                    sql: "UPDATE event SET data = ? WHERE data LIKE '%c4n4ry%'",
                    arguments: [#"{"message":"[purged]"}"#])
            }
            func holds() throws -> Bool {
                try Data(contentsOf: URL(fileURLWithPath: path)).range(of: secret) != nil
            }
            try database.checkpoint()
            if try holds() { stale += 1 }
            try database.rewrite()
            #expect(try !holds())
            let log = try FileManager.default.attributesOfItem(atPath: path + "-wal")[.size] as? Int
            #expect(log == 0)
            let rows = try database.changeNow {
                try Int.fetchOne($0.db, sql: "SELECT count(*) FROM event")
            }
            #expect(rows == 60)
        }
        // Or there is nothing to write it anew for.
        #expect(stale > 0)
    }

    @Test func `a file that is no database is refused and left alone`() throws {
        let directory = try TemporaryDirectory()
        let path = try directory.write(String(repeating: "not a database\n", count: 1000), "db")
        let before = try Data(contentsOf: URL(fileURLWithPath: path))
        #expect(throws: StartupError.self) { _ = try StateDatabase(path: path) { _ in } }
        #expect(try Data(contentsOf: URL(fileURLWithPath: path)) == before)
    }

    @Test(arguments: [
        ("PRAGMA user_version = 99", "newer version"), ("PRAGMA application_id = 7", "another program"),
    ])
    func `another schema is refused`(_ statement: String, _ words: String) throws {
        let directory = try TemporaryDirectory()
        let path = directory.path + "/db"
        try autoreleased { _ = try StateDatabase(path: path) { _ in } }
        let queue = try DatabaseQueue(path: path)
        try queue.writeWithoutTransaction { try $0.execute(sql: statement) }
        try queue.close()
        let error = #expect(throws: StartupError.self) { _ = try StateDatabase(path: path) { _ in } }
        #expect(error?.message.contains(words) == true)
    }

    @Test func `a change that fails leaves nothing and tells nobody`() async throws {
        let directory = try TemporaryDirectory()
        let published = Published()
        let database = try StateDatabase(path: directory.path + "/db") { published.add($0) }
        await #expect(throws: RPCError.self) {
            try await database.change { change in
                try change.record(.warning)
                throw RPCError(.conflict, "no")
            }
        }
        try await database.change { try $0.record(.queue) }
        #expect(published.events.map(\.type) == [.queue])
        #expect(try await database.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM event") } == 1)
    }

    @Test func `the file itself allows one active writer of a model`() throws {
        let directory = try TemporaryDirectory()
        let database = try StateDatabase(path: directory.path + "/db") { _ in }
        try database.changeNow { change in
            var ids: [JobID] = []
            for kind in [JobKind.taskVector, .taskVector, .evaluate] {
                ids.append(
                    try JobRow.insert(
                        try World.spec("m", as: kind, note: ""), state: .queued, reason: nil, submitter: 1,
                        memory: 0,
                        warnings: [], keyHash: nil, in: change))
            }
            #expect(try JobRow.apply(.claim, to: ids[0], owner: "me", in: change))
            #expect(throws: DatabaseError.self) {
                try JobRow.apply(.claim, to: ids[1], owner: "me", in: change)
            }
            #expect(try JobRow.apply(.claim, to: ids[2], owner: "me", in: change))
        }
    }

    @Test func `the audit chain shows any change`() async throws {
        let directory = try TemporaryDirectory()
        let database = try StateDatabase(path: directory.path + "/db") { _ in }
        for number in 0..<20 {
            try await database.change {
                try $0.audit("test", actor: number, ["n": .integer(Int64(number)), "é": "ü"])
            }
        }
        let whole = try await database.read { try AuditTrail.verify($0) }
        #expect(whole.valid && whole.rows == 20)
        for statement in ["UPDATE audit SET actor = 9 WHERE seq = 3", "DELETE FROM audit WHERE seq = 20"] {
            await #expect(throws: DatabaseError.self) {
                try await database.change { try $0.db.execute(sql: statement) }
            }
        }
        let changes = [
            "UPDATE audit SET actor = 900 WHERE seq = 13", "UPDATE audit SET body = '{}' WHERE seq = 13",
            "UPDATE audit SET time = time + 1000 WHERE seq = 13", "DELETE FROM audit WHERE seq = 13",
            "UPDATE audit SET action = 'other' WHERE seq = 13",
            "UPDATE audit SET hash = '\(String(repeating: "0", count: 64))' WHERE seq = 13",
        ]
        for statement in changes {
            let verdict = try database.changeNow { change in
                try change.db.execute(
                    sql: "DROP TRIGGER audit_no_update; DROP TRIGGER audit_no_delete; SAVEPOINT s")
                try change.db.execute(sql: statement)
                let verdict = try AuditTrail.verify(change.db)
                try change.db.execute(
                    sql: """
                        ROLLBACK TO s; RELEASE s;
                        CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT raise(ABORT, 'no'); END;
                        CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT raise(ABORT, 'no'); END
                        """)
                return verdict
            }
            #expect(!verdict.valid && verdict.brokenAt == 13, "\(statement)")
        }
    }

    private func autoreleased(_ body: () throws -> Void) rethrows { try body() }
}

/// Collects what a database publishes.
final class Published: @unchecked Sendable {
    private let lock = NSLock()
    private var all: [Event] = []
    func add(_ events: [Event]) { lock.withLock { all += events } }
    var events: [Event] { lock.withLock { all } }
}
