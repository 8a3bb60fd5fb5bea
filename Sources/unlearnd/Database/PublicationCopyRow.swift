// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

/// A row of `publication_copy`: a copy in a target's directory, written down before its first file is made and until
/// its last one is gone.
struct PublicationCopyRow: Hashable, Sendable {
    /// How far it has come.
    enum State: String, Sendable {
        /// It is being written; it may have its name already.
        case writing
        /// Every file is there and durable.
        case whole
        /// It is being removed.
        case leaving
    }

    var target: String
    /// The name of its directory.
    var name: String
    var model: ModelName
    var version: VersionNumber
    var digest: Digest
    var files: [TargetDirectory.File]
    var state: State

    /// A new copy.
    init(target: String, version: VersionBinding, files: [TargetDirectory.File]) {
        self.target = target
        name = TargetDirectory.name(version.version, version.digest)
        model = version.model
        self.version = version.version
        digest = version.digest
        self.files = files
        state = .writing
    }

    private init(_ row: Row) throws {
        target = row["target"]
        name = row["name"]
        model = try row.named("publication_copy", "model", ModelName.init(_:))
        guard let version = row.version("n") else {
            throw UnreadableColumn(table: "publication_copy", column: "n")
        }
        self.version = version
        digest = try row.named("publication_copy", "digest", Digest.init(hex:))
        files = try JSONColumn.decode(row["files"])
        state = try row.named("publication_copy", "state", State.init(rawValue:))
    }

    var reference: VersionReference { VersionReference(model: model, version: version) }

    static func all(_ db: Database) throws -> [PublicationCopyRow] {
        try Row.fetchAll(db, cached: "SELECT * FROM publication_copy ORDER BY target, n, name").map(
            PublicationCopyRow.init)
    }

    static func all(at target: String, _ db: Database) throws -> [PublicationCopyRow] {
        try all(db).filter { $0.target == target }
    }

    /// Writes it down, or that it is what it is now.
    func save(in change: Change) throws {
        try change.db.execute(
            cached: """
                INSERT INTO publication_copy(target, name, model, n, digest, files, state) VALUES (?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT(target, name) DO UPDATE SET state = excluded.state, files = excluded.files
                """,
            arguments: [
                target, name, model.text, version.number, digest.hex, try JSONColumn.text(files),
                state.rawValue,
            ])
    }

    func delete(in change: Change) throws {
        try change.db.execute(
            cached: "DELETE FROM publication_copy WHERE target = ? AND name = ?", arguments: [target, name])
    }
}
