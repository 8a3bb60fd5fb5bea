// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Dispatch
import GRDB
import Protocol

/// What a backup needs to know of a database.
struct DatabaseFacts: Sendable {
    var manifests: [Digest]
    var datasets: [Digest]
    var audit: BackupManifest.AuditHead
    /// The newest purge; 0 for none.
    var purge: Int

    init(_ db: Database) throws {
        manifests = try VersionRow.liveManifests(db)
        datasets = try StoredDataset.all(db).map(\.id)
        guard let row = try Row.fetchOne(db, sql: "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")
        else {
            throw JobFailure(.integrity, "the audit log has no row", hint: "run: unlearnctl audit verify")
        }
        audit = BackupManifest.AuditHead(
            row: row["seq"], hash: try row.named("audit", "hash", Digest.init(hex:)))
        purge = try Int.fetchOne(db, sql: "SELECT max(id) FROM purge") ?? 0
    }

    /// Whether a database is a later state (or the same) of the store that had this newest audit row.
    static func isLater(_ db: Database, than audit: BackupManifest.AuditHead) throws -> Bool {
        let hash = try String.fetchOne(
            db, sql: "SELECT hash FROM audit WHERE seq = ?", arguments: [audit.row])
        return hash == audit.hash.hex
    }

    /// Reads a database file that nobody else has open.
    static func reading<T>(_ path: String, isReadOnly: Bool = true, _ body: (Database) throws -> T) throws
        -> T
    {
        var configuration = GRDB.Configuration()
        configuration.qos = .unspecified
        configuration.readonly = isReadOnly
        configuration.busyMode = .timeout(5)
        let queue = try DatabaseQueue(path: path, configuration: configuration)
        let result = try queue.read { db in
            guard try Int.fetchOne(db, sql: "PRAGMA application_id") == Schema.applicationID else {
                throw JobFailure(
                    .integrity, "\(path) is not a database of unlearnd", hint: "name another backup")
            }
            return try body(db)
        }
        try queue.close()
        return result
    }
}
