// SPDX-License-Identifier: Apache-2.0

/// What the store holds.
package struct StoreStatus: Codable, Hashable, Sendable {
    /// Bytes of every live version, counted once per distinct chunk.
    package var rawBytes: Int64
    /// Bytes on disk of the objects that hold them.
    package var storedBytes: Int64
    /// Distinct objects that hold the files of live versions; manifests and datasets have others.
    package var objects: Int
    package var versions: Int
    package var models: Int
    package var datasets: Int
    /// Objects that no live version uses.
    package var garbageObjects: Int
    /// Their bytes on disk.
    package var garbageBytes: Int64
    /// Free bytes of the file system.
    package var freeBytes: Int64
    /// Bytes of the training checkpoints of jobs that run, wait or are paused; they hold traces of the jobs' data.
    package var trainingBytes: Int64
    /// Objects that are stored as differences from others.
    package var deltaObjects: Int
    /// How many bytes more their files would have if they were stored in full.
    package var deltaSavedBytes: Int64
    /// When its objects were read last, and what was found.
    package var verification: StoreVerification
    /// How the objects are encrypted; `null` if they are not.
    package var encryption: StoreEncryption?
    /// A status.
    package init(
        rawBytes: Int64, storedBytes: Int64, objects: Int, versions: Int, models: Int, datasets: Int,
        garbageObjects: Int, garbageBytes: Int64, freeBytes: Int64, trainingBytes: Int64,
        deltaObjects: Int, deltaSavedBytes: Int64, verification: StoreVerification = StoreVerification(),
        encryption: StoreEncryption? = nil
    ) {
        self.rawBytes = rawBytes
        self.storedBytes = storedBytes
        self.objects = objects
        self.versions = versions
        self.models = models
        self.datasets = datasets
        self.garbageObjects = garbageObjects
        self.garbageBytes = garbageBytes
        self.freeBytes = freeBytes
        self.trainingBytes = trainingBytes
        self.deltaObjects = deltaObjects
        self.deltaSavedBytes = deltaSavedBytes
        self.verification = verification
        self.encryption = encryption
    }

    enum CodingKeys: String, CodingKey {
        case rawBytes = "raw_bytes"
        case storedBytes = "stored_bytes"
        case objects, versions, models, datasets, verification
        case garbageObjects = "garbage_objects"
        case garbageBytes = "garbage_bytes"
        case freeBytes = "free_bytes"
        case trainingBytes = "training_bytes"
        case deltaObjects = "delta_objects"
        case deltaSavedBytes = "delta_saved_bytes"
        case encryption
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(rawBytes, forKey: .rawBytes)
        try container.encode(storedBytes, forKey: .storedBytes)
        try container.encode(objects, forKey: .objects)
        try container.encode(versions, forKey: .versions)
        try container.encode(models, forKey: .models)
        try container.encode(datasets, forKey: .datasets)
        try container.encode(verification, forKey: .verification)
        try container.encode(garbageObjects, forKey: .garbageObjects)
        try container.encode(garbageBytes, forKey: .garbageBytes)
        try container.encode(freeBytes, forKey: .freeBytes)
        try container.encode(trainingBytes, forKey: .trainingBytes)
        try container.encode(deltaObjects, forKey: .deltaObjects)
        try container.encode(deltaSavedBytes, forKey: .deltaSavedBytes)
        try container.encode(encryption, forKey: .encryption)
    }
}

/// How an encrypted store is encrypted.
package struct StoreEncryption: Codable, Hashable, Sendable {
    /// Always `AES-256-GCM`.
    package var cipher: String
    /// Tells the master key from others and nothing of it: 16 digits.
    package var masterKey: String
    /// How often the key ring has been written.
    package var ring: Int
    /// Keys of the ring of all that one job or upload wrote.
    package var versionKeys: Int
    /// Keys of the ring of single files, which a purge has left.
    package var fileKeys: Int

    /// A description.
    package init(masterKey: String, ring: Int, versionKeys: Int, fileKeys: Int) {
        cipher = "AES-256-GCM"
        self.masterKey = masterKey
        self.ring = ring
        self.versionKeys = versionKeys
        self.fileKeys = fileKeys
    }

    enum CodingKeys: String, CodingKey {
        case cipher, ring
        case masterKey = "master_key"
        case versionKeys = "version_keys"
        case fileKeys = "file_keys"
    }
}

/// `store.gc`.
package struct StoreGCParams: Codable, Hashable, Sendable {
    package var dryRun: Bool?
    /// A wish.
    package init(dryRun: Bool? = nil) { self.dryRun = dryRun }
    enum CodingKeys: String, CodingKey { case dryRun = "dry_run" }
}

/// What a collection freed, or would free.
package struct StoreGCResult: Codable, Hashable, Sendable {
    package var objects: Int
    package var bytes: Int64
    package var dryRun: Bool
    /// The candidates that were given up first because their time was over.
    package var expired: [VersionReference]
    /// The versions from before an accepted edit that were given up first because their time was over.
    package var expiredPreEdit: [VersionReference]
    /// A result.
    package init(
        objects: Int, bytes: Int64, dryRun: Bool, expired: [VersionReference] = [],
        expiredPreEdit: [VersionReference] = []
    ) {
        self.expired = expired
        self.expiredPreEdit = expiredPreEdit
        self.objects = objects
        self.bytes = bytes
        self.dryRun = dryRun
    }
    enum CodingKeys: String, CodingKey {
        case objects, bytes, expired
        case expiredPreEdit = "expired_pre_edit"
        case dryRun = "dry_run"
    }
}

/// `store.optimize`: queues a job of the kind `optimize`.
package struct StoreOptimizeParams: Codable, Hashable, Sendable {
    /// Whether the job only measures what it would save.
    package var dryRun: Bool?
    /// A wish.
    package init(dryRun: Bool? = nil) { self.dryRun = dryRun }
    enum CodingKeys: String, CodingKey { case dryRun = "dry_run" }
}

/// `audit.log`: the newest rows, oldest first.
package struct AuditLogParams: Codable, Hashable, Sendable {
    /// Only rows from this number on.
    package var since: Int64?
    /// Default 100.
    package var limit: Int?
    /// A query.
    package init(since: Int64? = nil, limit: Int? = nil) {
        self.since = since
        self.limit = limit
    }
}

/// One row of the audit log: who did what. `hash` = SHA-256(0x00 ‖ `previous` ‖ canonical JSON of the rest).
package struct AuditRow: Codable, Hashable, Sendable {
    package var seq: Int64
    package var time: Timestamp
    /// The user; −1 for the daemon itself.
    package var actor: Int
    package var action: String
    package var body: JSONValue
    package var previous: Digest
    package var hash: Digest
    /// A row.
    package init(
        seq: Int64, time: Timestamp, actor: Int, action: String, body: JSONValue, previous: Digest,
        hash: Digest
    ) {
        self.seq = seq
        self.time = time
        self.actor = actor
        self.action = action
        self.body = body
        self.previous = previous
        self.hash = hash
    }
}

/// Whether the chain holds.
package struct AuditVerifyResult: Codable, Hashable, Sendable {
    package var valid: Bool
    package var rows: Int64
    /// The newest row's hash.
    package var head: Digest?
    /// The first row that does not fit.
    package var brokenAt: Int64?
    /// A result.
    package init(valid: Bool, rows: Int64, head: Digest?, brokenAt: Int64?) {
        self.valid = valid
        self.rows = rows
        self.head = head
        self.brokenAt = brokenAt
    }
    enum CodingKeys: String, CodingKey {
        case valid, rows, head
        case brokenAt = "broken_at"
    }
}
