// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

/// The table `tombstone`: the digests of what was purged, which must never be stored again.
enum Tombstone {
    /// When bytes of that digest were purged; `nil` if they never were.
    static func time(of digest: Digest, _ db: Database) throws -> Timestamp? {
        try Row.fetchOne(db, sql: "SELECT time FROM tombstone WHERE digest = ?", arguments: [digest.hex])?
            .time("time")
    }

    /// Refuses a dataset that was purged.
    /// - Throws: `gone`.
    static func refuse(dataset: Digest, _ db: Database) throws {
        guard let time = try time(of: dataset, db) else { return }
        throw RPCError(
            .gone, "dataset \(dataset.short) was purged on \(time) and must not come back",
            hint:
                "if the rows are wanted after all, write them as another text: the tombstone is of these bytes"
        )
    }

    /// Refuses a version that was purged.
    /// - Throws: ``JobFailure`` of kind `gone`.
    static func refuse(version: Digest, _ db: Database) throws {
        guard let time = try time(of: version, db) else { return }
        throw JobFailure(
            .gone,
            "a version with these bytes, digest \(version.short), was purged on \(time) and must not come back",
            hint: "the bytes written meanwhile are no version and will be collected")
    }

    static func insert(_ digest: Digest, purge: Int, in change: Change) throws {
        try change.db.execute(
            sql: "INSERT INTO tombstone(digest, purge, time) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            arguments: [digest.hex, purge, change.now.milliseconds])
    }
}
