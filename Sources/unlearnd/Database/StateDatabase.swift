// SPDX-License-Identifier: Apache-2.0

import Dispatch
import GRDB
import Glibc
import Protocol

/// `unlearnd.sqlite`: the only mutable truth. One process opens it; one writer at a time changes it.
package final class StateDatabase: Sendable {
    let path: String
    private let pool: DatabasePool
    private let publish: @Sendable ([Event]) -> Void
    private let pending = PendingChanges()
    private let trim: MemoryTrim

    /// Opens the database, checks it and brings its schema up to date.
    ///
    /// - Parameter publish: Gets the events of each committed change, in the order of the commits.
    /// - Throws: ``StartupError``; what cannot be read is never written to.
    package init(path: String, publish: @escaping @Sendable ([Event]) -> Void) throws(StartupError) {
        self.path = path
        self.publish = publish
        try DatabaseFormat.refuseForeign(path)
        do {
            try Self.inspect(path)
            pool = try DatabasePool(path: path, configuration: Self.configuration)
            // The pool itself sets NORMAL after opening, under which a commit that was answered may be lost with
            // the power. FULL is set after it, and read back.
            let synchronous = try pool.writeWithoutTransaction { db in
                try db.execute(sql: "PRAGMA synchronous = FULL")
                return try Int.fetchOne(db, sql: "PRAGMA synchronous")
            }
            guard synchronous == 2 else {
                throw StartupError(
                    .database,
                    "\(path): SQLite does not keep synchronous=FULL (it says \(synchronous ?? -1))",
                    hint: "use a SQLite library that was built without a fixed synchronous setting")
            }
            try Schema.migrator.migrate(pool)
            trim = MemoryTrim { [pool] in pool.releaseMemoryEventually() }
            trim.used()
            guard chmod(path, 0o600) == 0 else {
                throw StartupError(
                    .database, "\(path): cannot set its mode: \(String(cString: strerror(errno)))",
                    hint: "make the state directory the daemon's own")
            }
        } catch let error as StartupError {
            throw error
        } catch {
            throw StartupError(
                .database, "\(path) cannot be used: \(error)",
                hint: "nothing was changed; restore a backup or repair the file before starting again")
        }
    }

    private static var configuration: GRDB.Configuration {
        var configuration = GRDB.Configuration()
        configuration.busyMode = .timeout(5)
        // Not GRDB's raised priority: a service without the right to raise one would log that it may not.
        configuration.qos = .unspecified
        configuration.foreignKeysEnabled = true
        configuration.maximumReaderCount = 4
        // Their caches are emptied when it is quiet; what it takes to open one is kept.
        configuration.persistentReadOnlyConnections = true
        configuration.label = "unlearnd"
        configuration.prepareDatabase { db in
            try db.execute(sql: "PRAGMA secure_delete = ON")
            try db.execute(sql: "PRAGMA temp_store = MEMORY")
            try db.execute(sql: "PRAGMA journal_size_limit = 67108864")
            // KiB; five connections have one each, and the system caches the file's pages anyway.
            try db.execute(sql: "PRAGMA cache_size = -1024")
        }
        return configuration
    }

    /// Looks at an existing file before anything may write to it.
    private static func inspect(_ path: String) throws {
        guard access(path, F_OK) == 0 else { return }
        var configuration = GRDB.Configuration()
        configuration.busyMode = .timeout(5)
        configuration.qos = .unspecified
        let queue = try DatabaseQueue(path: path, configuration: configuration)
        try queue.writeWithoutTransaction { db in
            // Other programs' files with an identifier of their own are refused before; these have none.
            let application = try Int.fetchOne(db, sql: "PRAGMA application_id") ?? 0
            let tables = try Int.fetchOne(db, sql: "SELECT count(*) FROM sqlite_master") ?? 0
            guard application == Schema.applicationID || tables == 0 else {
                throw StartupError(
                    .database, "\(path) is another program's database (application_id \(application))",
                    hint: "name another state directory")
            }
            let faults = try String.fetchAll(db, sql: "PRAGMA quick_check(5)")
            guard faults == ["ok"] else {
                throw StartupError(
                    .database, "\(path) is damaged: \(faults.joined(separator: "; ").prefix(500))",
                    hint: "nothing was changed; restore a backup or repair the file before starting again")
            }
        }
        try queue.close()
    }

    /// What the writer's `PRAGMA synchronous` says; 2 is FULL.
    package func synchronousLevel() async throws -> Int? {
        try await pool.writeWithoutTransaction { db in try Int.fetchOne(db, sql: "PRAGMA synchronous") }
    }

    /// Reads a consistent state.
    package func read<T: Sendable>(_ body: @escaping @Sendable (Database) throws -> T) async throws -> T {
        trim.used()
        return try await pool.read(body)
    }

    /// Returns once the file has answered a question; not a use that keeps memory.
    package func answer() async throws {
        _ = try await pool.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM setting") }
    }

    /// Changes the state, all or nothing, and then publishes its events. Changes that come while another is being
    /// committed share the next transaction; each fails alone.
    ///
    /// Goes on when the caller's task is cancelled: a client that hangs up does not undo what it asked for.
    package func change<T: Sendable>(_ body: @escaping @Sendable (Change) throws -> T) async throws -> T {
        trim.used()
        return try await withCheckedThrowingContinuation { continuation in
            let change = PendingChange { db in
                let change = Change(db: db, now: .now)
                do {
                    var made: T?
                    try db.inSavepoint {
                        made = try body(change)
                        return .commit
                    }
                    guard let made else { throw DatabaseError(resultCode: .SQLITE_MISUSE) }
                    return .init(events: change.events) { failure in
                        if let failure {
                            continuation.resume(throwing: failure)
                        } else {
                            continuation.resume(returning: made)
                        }
                    }
                } catch {
                    return .init(events: [], failure: error) { _ in continuation.resume(throwing: error) }
                }
            } refuse: {
                continuation.resume(throwing: $0)
            }
            if pending.add(change) { callWriter() }
        }
    }

    private func callWriter() {
        pool.asyncWriteWithoutTransaction { [self] db in
            let rest = commit(pending.take(), db)
            // By a new call, so that whoever waits for the writer between two changes has a turn.
            if pending.done(rest) { callWriter() }
        }
    }

    /// Commits changes together, publishes their events and answers whoever waits for them.
    /// - Returns: Those that were not tried.
    private func commit(_ changes: [PendingChange], _ db: Database) -> ArraySlice<PendingChange> {
        var outcomes: [PendingChange.Outcome] = []
        var failure: (any Error)?
        do {
            try db.inTransaction(.immediate) {
                for change in changes {
                    let outcome = change.run(db)
                    outcomes.append(outcome)
                    // A full disk undoes the whole transaction, not only the change that met it.
                    if let cause = outcome.failure, !db.isInsideTransaction { throw cause }
                }
                return .commit
            }
        } catch { failure = error }
        if failure == nil { publish(outcomes.flatMap(\.events)) }
        for outcome in outcomes { outcome.answer(failure) }
        guard failure != nil, outcomes.isEmpty else { return changes.dropFirst(outcomes.count) }
        if let failure { for change in changes { change.refuse(failure) } }
        return []
    }

    /// ``change(_:)-(_)`` for the start, before anything runs.
    ///
    /// - Parameter now: The time of its rows, where that is not the clock's.
    package func changeNow<T>(at now: Timestamp = .now, _ body: (Change) throws -> T) throws -> T {
        try pool.writeWithoutTransaction { db in try Self.change(db, now, publish, body) }
    }

    /// Runs `body` between two changes, so that nothing is committed or published meanwhile.
    package func betweenChanges<T: Sendable>(_ body: @escaping @Sendable (Database) throws -> T) async throws
        -> T
    {
        try await pool.writeWithoutTransaction(body)
    }

    private static func change<T>(
        _ db: Database, _ now: Timestamp, _ publish: ([Event]) -> Void, _ body: (Change) throws -> T
    ) throws -> T {
        let change = Change(db: db, now: now)
        var result: Result<T, any Error>?
        try db.inTransaction(.immediate) {
            result = .success(try body(change))
            return .commit
        }
        guard let result else { throw DatabaseError(resultCode: .SQLITE_MISUSE) }
        publish(change.events)
        return try result.get()
    }

    /// Writes a consistent copy to a new file, without the pages that were freed. Not durable yet.
    func copy(to file: String) throws {
        // VACUUM runs outside of any transaction, and makes one of its own.
        try pool.unsafeRead { try $0.execute(sql: "VACUUM INTO ?", arguments: [file]) }
    }

    /// Closes every connection. The object is of no use afterwards.
    func close() throws { try pool.close() }

    /// ``read(_:)`` for the thread of a work that waits for it.
    func readNow<T>(_ body: (Database) throws -> T) throws -> T { try pool.read(body) }

    /// Moves the write-ahead log into the file.
    package func checkpoint() throws {
        _ = try pool.writeWithoutTransaction { db in try db.checkpoint(.truncate) }
    }

    /// Writes the file anew over its old pages and empties the log: nothing is left in them of what was deleted or
    /// replaced before. Nothing is changed meanwhile.
    ///
    /// `secure_delete` alone does not see to that. It overwrites a row where it lies, but as a tree is balanced its rows
    /// move to other pages, and SQLite leaves their old bytes in the unused middle of the page that they came from.
    package func rewrite() throws {
        try pool.writeWithoutTransaction { db in
            // In memory it would take as much as the file has.
            try db.execute(sql: "PRAGMA temp_store = FILE")
            defer { try? db.execute(sql: "PRAGMA temp_store = MEMORY") }
            try db.execute(sql: "VACUUM")
            _ = try db.checkpoint(.truncate)
        }
    }

    /// Where the databases of this process put what they cannot keep in memory, unlinked as soon as it is opened. To be
    /// called before the first is opened: SQLite reads it once.
    static func putTemporaryFiles(in directory: String) { setenv("SQLITE_TMPDIR", directory, 1) }
}
