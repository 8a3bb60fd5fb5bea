// SPDX-License-Identifier: Apache-2.0

import Protocol

/// What one generation of a backup has: `manifest.json` beside its copy of the database.
package struct BackupManifest: Codable, Hashable, Sendable {
    /// One object that the generation needs.
    package struct Object: Codable, Hashable, Sendable {
        package var id: Digest
        /// Bytes of its file.
        package var stored: Int

        package init(id: Digest, stored: Int) {
            self.id = id
            self.stored = stored
        }

        enum CodingKeys: String, CodingKey {
            case id = "o"
            case stored = "n"
        }
    }

    /// The copy of the database.
    package struct DatabaseCopy: Codable, Hashable, Sendable {
        /// SHA-256 of the file, which is its name too.
        package var sha256: Digest
        package var bytes: Int

        package init(sha256: Digest, bytes: Int) {
            self.sha256 = sha256
            self.bytes = bytes
        }
    }

    /// The newest row of the audit log in the copy, by which later states of the same store are known.
    package struct AuditHead: Codable, Hashable, Sendable {
        package var row: Int64
        package var hash: Digest

        package init(row: Int64, hash: Digest) {
            self.row = row
            self.hash = hash
        }
    }

    /// Always 1.
    package var schema = 1
    /// Counts from 1 in its directory.
    package var sequence: Int
    /// When the database was copied.
    package var time: Timestamp
    package var software: String
    package var database: DatabaseCopy
    package var audit: AuditHead
    /// The newest purge that has been applied to it; 0 for none.
    package var purge: Int
    /// The manifests of the versions whose bytes it has.
    package var manifests: [Digest]
    package var datasets: [Digest]
    /// Everything that those need, in the order of the ids; empty in a draft.
    package var objects: [Object]
    /// When a later purge was last applied to it.
    package var thinned: Timestamp?

    /// A draft, to which the objects are added when they are there.
    package init(
        sequence: Int, time: Timestamp, database: DatabaseCopy, audit: AuditHead, purge: Int,
        manifests: [Digest], datasets: [Digest]
    ) {
        self.sequence = sequence
        self.time = time
        software = Software.version
        self.database = database
        self.audit = audit
        self.purge = purge
        self.manifests = manifests
        self.datasets = datasets
        objects = []
    }

    /// Bytes of all objects' files.
    package var bytes: Int { objects.reduce(0) { $0 + $1.stored } }

    /// Canonical JSON.
    func serialized() throws -> [UInt8] {
        try JSONValue(encoding: self).serialized(sortedKeys: true) + [0x0A]
    }

    /// Reads a manifest file's bytes.
    init(serialized bytes: [UInt8], path: String) throws(CheckpointError) {
        func broken(_ reason: String) -> CheckpointError {
            CheckpointError(
                .corrupt, "\(path) is damaged: \(reason)",
                hint: "use another generation; to give this one up, remove its directory")
        }
        let value: JSONValue
        do { value = try StrictJSON.parse(bytes, limits: StrictJSON.Limits(depth: 4)) } catch {
            throw broken("\(error)")
        }
        guard value["schema"]?.integerValue == 1 else {
            throw CheckpointError(
                .newerFormat, "\(path) has a schema that this version does not know",
                hint: "use the version that wrote it")
        }
        do { self = try value.decode(BackupManifest.self) } catch { throw broken("\(error)") }
    }
}
