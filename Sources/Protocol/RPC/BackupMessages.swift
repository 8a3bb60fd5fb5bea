// SPDX-License-Identifier: Apache-2.0

/// `store.backup`: brings a backup target up to date.
package struct StoreBackupParams: Codable, Hashable, Sendable {
    /// The target's name in the configuration.
    package var target: String
    /// Whether objects that the target has already are read again and, where they are damaged, written anew.
    package var full: Bool?
    /// A wish.
    package init(target: String, full: Bool? = nil) {
        self.target = target
        self.full = full
    }
}

/// `store.backups`: what lies in the backup targets.
package struct StoreBackupsParams: Codable, Hashable, Sendable {
    /// One target; `nil`: all that the configuration names.
    package var target: String?
    /// A query.
    package init(target: String? = nil) { self.target = target }
}

/// `store.restore`: brings objects back that the running store lacks or that are damaged.
package struct StoreRestoreParams: Codable, Hashable, Sendable {
    /// The target's name in the configuration.
    package var target: String
    /// Only tell what would be brought back.
    package var dryRun: Bool?
    /// A wish.
    package init(target: String, dryRun: Bool? = nil) {
        self.target = target
        self.dryRun = dryRun
    }
    enum CodingKeys: String, CodingKey {
        case target
        case dryRun = "dry_run"
    }
}

/// One backup target as it is now.
package struct BackupTargetStatus: Codable, Hashable, Sendable {
    package var target: String
    package var directory: String
    /// Why it cannot be used; `null` if it can.
    package var fault: String?
    /// Free bytes of its file system; `null` if it cannot be told.
    package var freeBytes: Int64?
    /// Whether its objects are encrypted; `null` where there is no backup yet.
    package var encrypted: Bool?
    /// Oldest first.
    package var generations: [BackupGeneration]
    /// A target.
    package init(
        target: String, directory: String, fault: String? = nil, freeBytes: Int64? = nil,
        encrypted: Bool? = nil, generations: [BackupGeneration] = []
    ) {
        self.target = target
        self.directory = directory
        self.fault = fault
        self.freeBytes = freeBytes
        self.encrypted = encrypted
        self.generations = generations
    }
    enum CodingKeys: String, CodingKey {
        case target, directory, fault, generations, encrypted
        case freeBytes = "free_bytes"
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(target, forKey: .target)
        try container.encode(directory, forKey: .directory)
        try container.encode(fault, forKey: .fault)
        try container.encode(freeBytes, forKey: .freeBytes)
        try container.encode(encrypted, forKey: .encrypted)
        try container.encode(generations, forKey: .generations)
    }
}

/// One backup: the state of the store at one moment.
package struct BackupGeneration: Codable, Hashable, Sendable {
    /// Counts from 1 in its target.
    package var generation: Int
    /// When the database was copied.
    package var time: Timestamp
    package var software: String
    /// Versions whose bytes it has.
    package var versions: Int
    package var datasets: Int
    package var objects: Int
    /// Bytes of their files, shared with other generations.
    package var bytes: Int64
    /// When something that was purged later was last taken out of it.
    package var thinned: Timestamp?
    /// A generation.
    package init(
        generation: Int, time: Timestamp, software: String, versions: Int, datasets: Int, objects: Int,
        bytes: Int64, thinned: Timestamp?
    ) {
        self.generation = generation
        self.time = time
        self.software = software
        self.versions = versions
        self.datasets = datasets
        self.objects = objects
        self.bytes = bytes
        self.thinned = thinned
    }

    enum CodingKeys: String, CodingKey {
        case generation, time, software, versions, datasets, objects, bytes, thinned
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(generation, forKey: .generation)
        try container.encode(time, forKey: .time)
        try container.encode(software, forKey: .software)
        try container.encode(versions, forKey: .versions)
        try container.encode(datasets, forKey: .datasets)
        try container.encode(objects, forKey: .objects)
        try container.encode(bytes, forKey: .bytes)
        try container.encode(thinned, forKey: .thinned)
    }
}
