// SPDX-License-Identifier: Apache-2.0

import Foundation
import GRDB
import Logging
import Protocol
import Testing

import unlearnd

/// State directories of every earlier version, and of newer ones.
@Suite(.timeLimit(.minutes(3)))
struct MigrationTests {
    /// Every schema that a version had before the present one; 7 came together with 8.
    static let earlier = [1, 2, 3, 4, 5, 6, 8]

    /// A state directory with the database of a schema as a daemon of then left it, with a job in every state.
    private func state(_ schema: Int) throws -> TemporaryDirectory {
        let directory = try TemporaryDirectory()
        let state = directory.path + "/state"
        try FileManager.default.createDirectory(
            atPath: state, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        let file = try #require(
            Bundle.module.url(forResource: "schema-\(schema)", withExtension: "sql", subdirectory: "Fixtures")
        )
        let text = try String(contentsOf: file, encoding: .utf8)
        var configuration = Configuration()
        configuration.foreignKeysEnabled = false
        let queue = try DatabaseQueue(path: state + "/unlearnd.sqlite", configuration: configuration)
        try queue.writeWithoutTransaction { try $0.execute(sql: text) }
        try queue.close()
        return directory
    }

    private func definitions(_ path: String) throws -> Set<String> {
        let queue = try DatabaseQueue(path: path)
        defer { try? queue.close() }
        return try queue.read { db in
            let rows = try Row.fetchAll(
                db,
                sql:
                    "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name <> 'sqlite_sequence'"
            )
            return Set(rows.map { "\($0[0] as String) \($0[1] as String): \($0[2] as String)" })
        }
    }

    @Test(arguments: earlier)
    func `a database of each earlier schema becomes the present one and loses nothing`(_ schema: Int)
        async throws
    {
        let directory = try state(schema)
        let world = try World(directory: directory)
        // What ran waits again; what needed files of the old daemon's clients cannot go on.
        #expect(world.control.recovered == ["requeued": 1, "failed": 1])
        await world.control.start()
        // A job without a place in the paused queue: after it, the start has done all that it does.
        let quick = try await world.submit("people", as: .verify, note: "done") { $0.model = nil }
        #expect(try await world.end(of: quick).state == .succeeded)
        // The daemon itself wants to bring a publish target up to date, which is not configured here.
        let jobs = try await world.control.jobs(JobListParams(all: true)).filter {
            $0.kind != .publish && $0.id != quick
        }
        #expect(jobs.count == (schema >= 3 ? 11 : 10))
        #expect(
            jobs.prefix(9).map(\.state) == [
                .succeeded, .succeeded, .failed, .cancelled, .lost, .held, .queued, .blocked, .queued,
            ])
        let unlearned = try await world.control.job(2)
        #expect(
            unlearned.gate?.passed == true && unlearned.training?.count == 1 && unlearned.note == "request 17"
        )
        #expect(unlearned.version == VersionNumber(2) && unlearned.headMoved == true)
        #expect(unlearned.retried == 0 && unlearned.deadline == nil && unlearned.group == nil)
        #expect(try await world.control.job(3).error?.hint == "mend it")
        #expect(try await world.control.job(10).error?.kind == .sourceGone)
        let status = try await world.control.queueStatus()
        #expect(status.paused && status.running.isEmpty)
        var waiting = ["held": 1, "queued": 2, "blocked": 1]
        if schema >= 3 { waiting["paused"] = 1 }
        #expect(status.jobs == waiting)
        let model = try World.reference("people").model
        #expect(
            try await world.control.history(ModelHistoryParams(model: model)).map(\.version) == [
                VersionNumber(1), VersionNumber(2),
            ])
        #expect(try await world.control.auditVerify().valid)
        #expect(quick > jobs.count)
        await world.control.shutdown()
        let fresh = try TemporaryDirectory()
        do { _ = try StateDatabase(path: fresh.path + "/db") { _ in } }
        #expect(try definitions(directory.path + "/state/unlearnd.sqlite") == definitions(fresh.path + "/db"))
    }

    /// Every file below a directory with its bytes and times.
    private func everything(_ path: String) throws -> [String: String] {
        var found: [String: String] = [:]
        let names = try FileManager.default.subpathsOfDirectory(atPath: path) + [""]
        for name in names {
            var status = stat()
            #expect(lstat(path + "/" + name, &status) == 0)
            let bytes =
                status.st_mode & S_IFMT == S_IFREG
                ? try Data(contentsOf: URL(fileURLWithPath: path + "/" + name)) : Data()
            found[name] =
                "\(status.st_mode) \(status.st_size) \(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec) "
                + "\(status.st_ctim.tv_sec).\(status.st_ctim.tv_nsec) \(bytes.base64EncodedString())"
        }
        return found
    }

    private func refusal(_ directory: TemporaryDirectory) throws -> StartupError {
        let state = directory.path + "/state"
        let before = try everything(state)
        let error = #expect(throws: StartupError.self) {
            _ = try ControlPlane(
                configuration: ControlConfiguration(stateDirectory: state),
                transfers: EmptyTransfers(directory: directory),
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        }
        #expect(try everything(state) == before)
        return try #require(error)
    }

    @Test func `a database of a newer schema is refused with nothing touched`() throws {
        let directory = try state(6)
        let path = directory.path + "/state/unlearnd.sqlite"
        let queue = try DatabaseQueue(path: path)
        try queue.writeWithoutTransaction { try $0.execute(sql: "PRAGMA user_version = 10") }
        try queue.close()
        #expect(try refusal(directory).message.contains("newer version"))
    }

    @Test func `a migration that is still in the log of a newer daemon that was killed counts`() throws {
        let directory = try state(6)
        let path = directory.path + "/state/unlearnd.sqlite"
        // A copy of the files of an open database is what a kill leaves.
        let queue = try DatabaseQueue(path: path)
        try queue.writeWithoutTransaction { db in
            try db.execute(sql: "PRAGMA journal_mode = WAL; PRAGMA user_version = 10; CREATE TABLE later(x)")
        }
        let copy = try TemporaryDirectory()
        try FileManager.default.copyItem(atPath: directory.path + "/state", toPath: copy.path + "/state")
        try queue.close()
        let file = try Data(contentsOf: URL(fileURLWithPath: copy.path + "/state/unlearnd.sqlite"))
        #expect([UInt8](file[60..<64]) == [0, 0, 0, 6], "the file itself does not know yet")
        #expect(try refusal(copy).message.contains("has schema 10"))
    }

    @Test func `an object store of a newer format is refused with nothing touched`() throws {
        let directory = try state(6)
        _ = try directory.write(
            #"{"store":"unlearnd","format":2,"id":"x","read":[],"write":[],"check":[],"delete":[]}"#,
            "state/FORMAT")
        let error = try refusal(directory)
        #expect(error.code == .store)
    }
}
