// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

/// A row of `version`: one immutable checkpoint of a model.
struct VersionRow: Hashable, Sendable {
    var model: ModelName
    var number: VersionNumber
    var parent: VersionNumber?
    /// The manifest object.
    var manifest: Digest
    var digest: Digest
    var bytes: Int64
    var storedBytes: Int64
    var architecture: String?
    var job: JobID?
    var candidate: Bool
    /// Whether its bytes are no longer there.
    var isGone: Bool
    /// When they were purged; `nil` if they were not.
    var purged: Timestamp?
    var created: Timestamp
    var note: String?

    /// A new version.
    init(
        model: ModelName, number: VersionNumber, parent: VersionNumber?, manifest: Digest, digest: Digest,
        bytes: Int64,
        storedBytes: Int64, architecture: String?, job: JobID?, candidate: Bool, created: Timestamp,
        note: String?
    ) {
        self.model = model
        self.number = number
        self.parent = parent
        self.manifest = manifest
        self.digest = digest
        self.bytes = bytes
        self.storedBytes = storedBytes
        self.architecture = architecture
        self.job = job
        self.candidate = candidate
        isGone = false
        self.created = created
        self.note = note
    }

    private init(_ row: Row) throws {
        model = try row.named("version", "model", ModelName.init(_:))
        guard let number = row.version("n") else { throw UnreadableColumn(table: "version", column: "n") }
        self.number = number
        parent = row.version("parent")
        manifest = try row.named("version", "manifest", Digest.init(hex:))
        digest = try row.named("version", "digest", Digest.init(hex:))
        bytes = row["bytes"]
        storedBytes = row["stored_bytes"]
        architecture = row["architecture"]
        job = row["job"]
        candidate = row["candidate"]
        isGone = row["state"] == "gone"
        purged = row.time("purged")
        created = Timestamp(milliseconds: row["created"])
        note = row["note"]
    }

    /// Its name.
    var reference: VersionReference { VersionReference(model: model, version: number) }

    /// What a worker is told of it.
    var binding: VersionBinding {
        VersionBinding(model: model, version: number, manifest: manifest, digest: digest)
    }

    static func find(_ model: ModelName, _ number: VersionNumber, _ db: Database) throws -> VersionRow? {
        try Row.fetchOne(
            db, cached: "SELECT * FROM version WHERE model = ? AND n = ?",
            arguments: [model.text, number.number]
        ).map(VersionRow.init)
    }

    /// A model's versions, oldest first.
    static func all(of model: ModelName, _ db: Database) throws -> [VersionRow] {
        try Row.fetchAll(
            db, cached: "SELECT * FROM version WHERE model = ? ORDER BY n", arguments: [model.text]
        )
        .map(VersionRow.init)
    }

    /// The versions of all models.
    static func everything(_ db: Database) throws -> [VersionRow] {
        try Row.fetchAll(db, cached: "SELECT * FROM version ORDER BY model, n").map(VersionRow.init)
    }

    /// The manifests of every version whose bytes are there.
    /// - Parameter leaving: Versions that are left out.
    static func liveManifests(_ db: Database, leaving: [VersionRow] = []) throws -> [Digest] {
        let rows = try Row.fetchAll(db, cached: "SELECT model, n, manifest FROM version WHERE state = 'live'")
        let out = Set(leaving.map { VersionReference(model: $0.model, version: $0.number) })
        let manifests = try rows.compactMap { row -> Digest? in
            let model = try row.named("version", "model", ModelName.init(_:))
            guard !out.contains(VersionReference(model: model, version: row.version("n"))) else { return nil }
            return try row.named("version", "manifest", Digest.init(hex:))
        }
        return Set(manifests).sorted()
    }

    /// The version that a reference means now.
    /// - Throws: `not_found`, `gone`.
    static func resolve(_ reference: VersionReference, _ db: Database) throws -> VersionRow {
        let model = try ModelRow.require(reference.model, db)
        guard let number = reference.version ?? model.head else {
            throw RPCError(
                .notFound, "model \(reference.model) has no head",
                hint: "name a version, such as \(reference.model)@v1")
        }
        guard let version = try find(reference.model, number, db) else {
            throw RPCError(
                .notFound, "model \(reference.model) has no version \(number)",
                hint: "unlearnctl model history \(reference.model) lists its versions")
        }
        if let purged = version.purged {
            throw RPCError(
                .gone, "\(reference.model)@\(number) was purged on \(purged)",
                hint: "it cannot come back; unlearnctl model history \(reference.model) lists what is there")
        }
        guard !version.isGone else {
            throw RPCError(
                .gone,
                "the bytes of \(reference.model)@\(number) are gone: "
                    + (version.candidate
                        ? "it was a candidate whose time was over"
                        : "an accepted job had replaced it, and its time was over"),
                hint: "name a version whose bytes are there; the job that made it can be submitted again"
            )
        }
        return version
    }

    func insert(in change: Change) throws {
        try change.db.execute(
            cached: """
                INSERT INTO version(model, n, parent, manifest, digest, bytes, stored_bytes, architecture, job, candidate,
                  state, created, note) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'live', ?, ?)
                """,
            arguments: [
                model.text, number.number, parent?.number, manifest.hex, digest.hex, bytes, storedBytes,
                architecture, job,
                candidate, created.milliseconds, note,
            ])
    }
}
