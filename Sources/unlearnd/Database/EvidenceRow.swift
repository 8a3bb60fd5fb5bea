// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

/// The table `evidence`: what jobs left behind, data and texts in columns of their own so that a purge can take the
/// one and leave the other.
package enum EvidenceRow {
    /// Puts pieces in the place of whatever the job had.
    static func replace(_ pieces: [EvidencePiece], of job: JobID, in change: Change) throws {
        try change.db.execute(cached: "DELETE FROM evidence WHERE job = ?", arguments: [job])
        for piece in pieces {
            try change.db.execute(
                cached: "INSERT INTO evidence(job, name, data, texts) VALUES (?, ?, ?, ?)",
                arguments: [
                    job, piece.name.rawValue, piece.data.serializedString(), piece.texts?.serializedString(),
                ])
        }
    }

    /// All pieces of a job by name, without their content.
    static func list(of job: JobID, _ db: Database) throws -> [StoredEvidence] {
        try Row.fetchAll(
            db,
            cached: """
                SELECT name, length(CAST(data AS BLOB)) AS bytes, coalesce(length(CAST(texts AS BLOB)), 0) AS text_bytes, purged
                FROM evidence WHERE job = ? ORDER BY name
                """, arguments: [job]
        ).map(stored)
    }

    /// One piece with its content.
    static func find(_ name: EvidenceName, of job: JobID, _ db: Database) throws -> StoredEvidence? {
        try Row.fetchOne(
            db,
            cached: """
                SELECT name, length(CAST(data AS BLOB)) AS bytes, coalesce(length(CAST(texts AS BLOB)), 0) AS text_bytes, purged,
                  data, texts FROM evidence WHERE job = ? AND name = ?
                """, arguments: [job, name.rawValue]
        ).map { row in
            var piece = stored(row)
            piece.data = try StrictJSON.parse(row["data"] as String)
            piece.texts = try (row["texts"] as String?).map { try StrictJSON.parse($0) }
            return piece
        }
    }

    private static func stored(_ row: Row) -> StoredEvidence {
        StoredEvidence(
            name: EvidenceName(rawValue: row["name"]), bytes: row["bytes"], textBytes: row["text_bytes"],
            purged: row.time("purged"))
    }
}
