// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

/// A row of `dataset`: what is known of an uploaded text without reading it.
struct StoredDataset: Hashable, Sendable {
    var id: Digest
    var bytes: Int64
    var rows: Int
    /// Rows of running text, which are cut into windows: only a tokenizer can tell how many.
    var textRows: Int
    /// The most tokens that any row can have: bytes of its text, or its ids.
    var longest: Int
    var created: Timestamp

    /// The dataset `id` with these rows.
    init(id: Digest, bytes: Int64, rows: [DatasetRow], created: Timestamp) {
        self.id = id
        self.bytes = bytes
        self.rows = rows.count
        self.created = created
        textRows = 0
        longest = 0
        for row in rows {
            switch row.content {
            case .text(let text):
                textRows += 1
                longest = max(longest, text.utf8.count)
            case .promptCompletion, .questionAnswer:
                if let (prompt, completion) = row.promptAndCompletion {
                    longest = max(longest, prompt.utf8.count + completion.utf8.count)
                }
            case .inputIDs(let ids, _): longest = max(longest, ids.count)
            }
        }
        // Special tokens that a tokenizer may add.
        longest += 4
    }

    private init(_ row: Row) throws {
        id = try row.named("dataset", "id", Digest.init(hex:))
        bytes = row["bytes"]
        rows = row["rows"]
        textRows = row["text_rows"]
        longest = row["longest"]
        created = Timestamp(milliseconds: row["created"])
    }

    var summary: DatasetSummary { DatasetSummary(dataset: id, bytes: bytes, rows: rows, created: created) }

    static func find(_ id: Digest, _ db: Database) throws -> StoredDataset? {
        try Row.fetchOne(db, cached: "SELECT * FROM dataset WHERE id = ?", arguments: [id.hex]).map(
            StoredDataset.init)
    }

    /// All datasets, oldest first.
    static func all(_ db: Database) throws -> [StoredDataset] {
        try Row.fetchAll(db, cached: "SELECT * FROM dataset ORDER BY created, id").map(StoredDataset.init)
    }

    /// At most `limit` datasets, oldest first.
    /// - Parameter place: Only those after it.
    static func page(after place: DatasetPlace?, limit: Int, _ db: Database) throws -> [StoredDataset] {
        try Row.fetchAll(
            db, cached: "SELECT * FROM dataset WHERE (created, id) > (?, ?) ORDER BY created, id LIMIT ?",
            arguments: [place?.created.milliseconds ?? .min, place?.dataset.hex ?? "", limit]
        ).map(StoredDataset.init)
    }

    /// The datasets whose ids begin with `prefix`, at most two.
    static func find(prefix: String, _ db: Database) throws -> [StoredDataset] {
        try Row.fetchAll(
            db, cached: "SELECT * FROM dataset WHERE substr(id, 1, ?) = ? LIMIT 2",
            arguments: [prefix.utf8.count, prefix]
        ).map(StoredDataset.init)
    }

    /// Adds the row unless it is there.
    func insert(in change: Change) throws {
        try change.db.execute(
            cached: """
                INSERT INTO dataset(id, bytes, rows, text_rows, longest, created) VALUES (?, ?, ?, ?, ?, ?)
                ON CONFLICT DO NOTHING
                """,
            arguments: [id.hex, bytes, rows, textRows, longest, created.milliseconds])
    }
}
