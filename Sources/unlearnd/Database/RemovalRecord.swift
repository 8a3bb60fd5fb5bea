// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

/// When and why models were removed: the keys `removed:MODEL` of the table `setting`, each with all removals of that name,
/// oldest first.
enum RemovalRecord {
    private static let prefix = "removed:"

    /// Whether the row `m` of `model` is in use: it was never removed, or has newer versions than those that went with it.
    static let isInUse = """
        NOT EXISTS (SELECT 1 FROM setting s WHERE s.key = '\(prefix)' || m.name
          AND CAST(substr(json_extract(s.value, '$[#-1].last'), 2) AS INTEGER)
            >= (SELECT max(n) FROM version v WHERE v.model = m.name))
        """

    /// A model's removals, oldest first.
    static func all(of model: ModelName, _ db: Database) throws -> [ModelRemoval] {
        let text = try String.fetchOne(
            db, cached: "SELECT value FROM setting WHERE key = ?", arguments: [prefix + model.text])
        return try text.map { try JSONColumn.decode($0) } ?? []
    }

    /// The removal that a version went with; `nil` for one that was purged or is still there.
    static func of(_ version: VersionRow, in removals: [ModelRemoval]) -> ModelRemoval? {
        guard version.isGone, version.purged == nil else { return nil }
        return removals.first { $0.last >= version.number }
    }

    static func add(_ removal: ModelRemoval, of model: ModelName, in change: Change) throws {
        try put(try all(of: model, change.db) + [removal], of: model, in: change)
    }

    /// Takes what people wrote about the removal of these versions: they are purged now.
    static func eraseReasons(about versions: [VersionRow], in change: Change) throws {
        for (model, rows) in Dictionary(grouping: versions, by: \.model) {
            let removals = try all(of: model, change.db)
            var clean = removals
            for row in rows {
                if let index = clean.firstIndex(where: { $0.last >= row.number }) {
                    clean[index].reason = PurgedText.mark
                }
            }
            if clean != removals { try put(clean, of: model, in: change) }
        }
    }

    private static func put(_ removals: [ModelRemoval], of model: ModelName, in change: Change) throws {
        guard let text = try JSONColumn.text(removals) else { return }
        try Setting.put(prefix + model.text, text, in: change)
    }
}
