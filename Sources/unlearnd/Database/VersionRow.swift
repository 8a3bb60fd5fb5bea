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

    /// What ``init(_:)`` reads, in its order: by position, because a name is searched for in every row anew.
    private static let columns = """
        model, n, parent, manifest, digest, bytes, stored_bytes, architecture, job, candidate, state, purged, created,
        note
        """

    private init(_ row: Row) throws {
        func named<T>(_ index: Int, _ column: String, _ make: (String) -> T?) throws -> T {
            guard let value = (row[index] as String?).flatMap(make) else {
                throw UnreadableColumn(table: "version", column: column)
            }
            return value
        }
        model = try named(0, "model", ModelName.init(_:))
        guard let number = (row[1] as Int?).flatMap({ VersionNumber($0) }) else {
            throw UnreadableColumn(table: "version", column: "n")
        }
        self.number = number
        parent = (row[2] as Int?).flatMap { VersionNumber($0) }
        manifest = try named(3, "manifest", Digest.init(hex:))
        digest = try named(4, "digest", Digest.init(hex:))
        bytes = row[5]
        storedBytes = row[6]
        architecture = row[7]
        job = row[8]
        candidate = row[9]
        isGone = row[10] == "gone"
        purged = (row[11] as Int64?).map { Timestamp(milliseconds: $0) }
        created = Timestamp(milliseconds: row[12])
        note = row[13]
    }

    /// Its name.
    var reference: VersionReference { VersionReference(model: model, version: number) }

    /// What a worker is told of it.
    var binding: VersionBinding {
        VersionBinding(model: model, version: number, manifest: manifest, digest: digest)
    }

    static func find(_ model: ModelName, _ number: VersionNumber, _ db: Database) throws -> VersionRow? {
        try Row.fetchOne(
            db, cached: "SELECT \(columns) FROM version WHERE model = ? AND n = ?",
            arguments: [model.text, number.number]
        ).map(VersionRow.init)
    }

    /// A model's versions, oldest first.
    static func all(of model: ModelName, _ db: Database) throws -> [VersionRow] {
        try Row.fetchAll(
            db, cached: "SELECT \(columns) FROM version WHERE model = ? ORDER BY n", arguments: [model.text]
        )
        .map(VersionRow.init)
    }

    /// The newest versions of a model, newest first.
    /// - Parameter before: Only such with smaller numbers.
    static func page(
        of model: ModelName, before: VersionNumber?, limit: Int, _ db: Database
    ) throws -> [VersionRow] {
        try Row.fetchAll(
            db, cached: "SELECT \(columns) FROM version WHERE model = ? AND n < ? ORDER BY n DESC LIMIT ?",
            arguments: [model.text, before?.number ?? .max, limit]
        ).map(VersionRow.init)
    }

    /// What kinds of jobs made the versions of a model with these numbers.
    static func kinds(
        of model: ModelName, _ numbers: ClosedRange<VersionNumber>, _ db: Database
    ) throws -> [VersionNumber: JobKind] {
        try Row.fetchAll(
            db,
            cached: """
                SELECT v.n, j.kind FROM version v JOIN job j ON j.id = v.job WHERE v.model = ? AND v.n BETWEEN ? AND ?
                """, arguments: [model.text, numbers.lowerBound.number, numbers.upperBound.number]
        ).reduce(into: [:]) { kinds, row in
            if let number = row.version("n") { kinds[number] = JobKind(rawValue: row["kind"]) }
        }
    }

    /// The versions of all models.
    static func everything(_ db: Database) throws -> [VersionRow] {
        try Row.fetchAll(db, cached: "SELECT \(columns) FROM version ORDER BY model, n").map(VersionRow.init)
    }

    /// The manifests of every version whose bytes are there.
    /// - Parameter leaving: Versions that are left out.
    static func liveManifests(_ db: Database, leaving: [VersionRow] = []) throws -> [Digest] {
        guard !leaving.isEmpty else {
            return try Row.fetchAll(db, cached: "SELECT DISTINCT manifest FROM version WHERE state = 'live'")
                .map { try $0.named("version", "manifest", Digest.init(hex:)) }.sorted()
        }
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
            if let removal = try RemovalRecord.all(of: model.name, db).last,
                try !ModelRow.isInUse(model.name, db)
            {
                throw RPCError(
                    .gone, "model \(model.name) was removed on \(removal.time)",
                    hint: "unlearnctl model show \(model.name) says why")
            }
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
        if version.isGone,
            let removal = RemovalRecord.of(version, in: try RemovalRecord.all(of: version.model, db))
        {
            throw RPCError(
                .gone, "\(reference.model)@\(number) was removed with its model on \(removal.time)",
                hint: "unlearnctl model show \(reference.model) says why")
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
