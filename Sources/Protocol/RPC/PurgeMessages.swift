// SPDX-License-Identifier: Apache-2.0

/// `model.purge`: destroys one version.
package struct PurgeVersionParams: Codable, Hashable, Sendable {
    package var version: VersionReference
    package var reason: String?
    /// A wish.
    package init(version: VersionReference, reason: String? = nil) {
        self.version = version
        self.reason = reason
    }
}

/// `dataset.purge`: destroys one dataset, named by at least 8 digits.
package struct PurgeDatasetParams: Codable, Hashable, Sendable {
    package var dataset: String
    package var reason: String?
    /// A wish.
    package init(dataset: String, reason: String? = nil) {
        self.dataset = dataset
        self.reason = reason
    }
}

/// `job.purge`: destroys everything that still knows what an unlearning job was to forget.
package struct PurgeJobParams: Codable, Hashable, Sendable {
    package var job: JobID
    /// Only tell what would go.
    package var dryRun: Bool?
    package var reason: String?
    /// A wish.
    package init(job: JobID, dryRun: Bool? = nil, reason: String? = nil) {
        self.job = job
        self.dryRun = dryRun
        self.reason = reason
    }
    enum CodingKeys: String, CodingKey {
        case job, reason
        case dryRun = "dry_run"
    }
}

/// A version that a purge destroys.
package struct PurgedVersion: Codable, Hashable, Sendable {
    /// Why it knows.
    package enum Cause: String, Codable, Sendable, CaseIterable {
        /// It was named.
        case named
        /// It was trained on the rows, or, where nothing tells which version was, it is the line's beginning.
        case learned
        /// It was made from one that knows.
        case derived
        /// A gate refused it, or it never became head.
        case candidate
        /// Its bytes are those of one that knows.
        case identical
    }
    package var version: VersionReference
    package var digest: Digest
    package var cause: Cause
    /// A version.
    package init(version: VersionReference, digest: Digest, cause: Cause) {
        self.version = version
        self.digest = digest
        self.cause = cause
    }
}

/// A dataset that a purge destroys.
package struct PurgedDataset: Codable, Hashable, Sendable {
    package var dataset: Digest
    /// How many of the forget set's rows it has.
    package var rows: Int
    /// A dataset.
    package init(dataset: Digest, rows: Int) {
        self.dataset = dataset
        self.rows = rows
    }
}

/// A copy that was handed out and that no purge reaches.
package struct ExportedVersion: Codable, Hashable, Sendable {
    package var job: JobID
    package var version: VersionReference
    package var time: Timestamp?
    /// A copy.
    package init(job: JobID, version: VersionReference, time: Timestamp?) {
        self.job = job
        self.version = version
        self.time = time
    }
}

/// Why a purge is refused.
package struct PurgeObstacle: Codable, Hashable, Sendable {
    package var message: String
    /// What to do about it.
    package var hint: String
    /// A reason.
    package init(_ message: String, hint: String) {
        self.message = message
        self.hint = hint
    }
}

/// What a purge did to the key ring of an encrypted store.
package struct PurgedKeys: Codable, Hashable, Sendable {
    /// Keys that are in no key ring any more since the purge began: of all that a job or an upload wrote, and of single
    /// files.
    package var destroyed: Int
    /// How many had been destroyed in this store before it began.
    package var earlier: Int
    /// Keys of single files that were written with a destroyed one and that something else needs.
    package var kept: Int
    /// The number of the key ring without them.
    package var ring: Int
    /// The id of the master key that it is sealed with.
    package var masterKey: String
    /// Keys.
    package init(destroyed: Int, earlier: Int, kept: Int, ring: Int, masterKey: String) {
        self.destroyed = destroyed
        self.earlier = earlier
        self.kept = kept
        self.ring = ring
        self.masterKey = masterKey
    }
    enum CodingKeys: String, CodingKey {
        case destroyed, earlier, kept, ring
        case masterKey = "master_key"
    }
}

/// What a purge destroyed, or would destroy.
package struct PurgeResult: Codable, Hashable, Sendable {
    /// What was promised of the bytes. Without encryption files are unlinked and the database is written anew over its
    /// old pages; what the file system and the disk keep is beyond that.
    package static let logicalDeletion = "logical deletion"
    /// What was promised of the bytes of an encrypted store: without the keys, which are destroyed, no copy of the files
    /// that is left anywhere can be read.
    package static let cryptographicErasure = "cryptographic erasure"

    /// The purge's number; `null` for a dry run.
    package var purge: Int?
    package var dryRun: Bool
    package var job: JobID?
    /// The job's forget set, one of ``datasets`` while it is kept; `null` where no job was named. Absent in what was
    /// written down by earlier versions.
    package var forget: Digest?
    package var versions: [PurgedVersion]
    package var datasets: [PurgedDataset]
    /// The jobs whose texts went: notes, labels, prompts, logs, messages, samples.
    package var jobs: [JobID]
    /// The jobs whose training checkpoints went.
    package var checkpoints: [JobID]
    /// What is outside our control.
    package var exports: [ExportedVersion]
    /// The backup targets that may still hold the bytes: until a later backup to each has removed them there. Absent
    /// in what was written down before there were backups.
    package var backups: [String]?
    /// Copies in publish targets, which go; absent in purges of before there were any.
    package var publications: [PublishedCopy]?
    /// What is in the way; a purge with obstacles is refused as a whole.
    package var obstacles: [PurgeObstacle]
    package var erasure: String
    /// The keys that were destroyed; `null` for a dry run, and where nothing is encrypted.
    package var keys: PurgedKeys?
    /// What was destroyed, in words; empty for a dry run, and in what was written down before there was encryption.
    package var destroyed: [String]?
    /// What was not destroyed, in words.
    package var remaining: [String]?
    /// Objects that were removed, other garbage among them; `null` for a dry run.
    package var objects: Int?
    /// Bytes of their files.
    package var bytes: Int64?
    /// Objects that running jobs began to use meanwhile: they go when those jobs have ended.
    package var pending: Int?
    /// When the bytes were gone; `null` while they are not.
    package var finished: Timestamp?

    /// A result without its end.
    package init(
        purge: Int? = nil, dryRun: Bool, job: JobID? = nil, versions: [PurgedVersion] = [],
        datasets: [PurgedDataset] = [], jobs: [JobID] = [], checkpoints: [JobID] = [],
        exports: [ExportedVersion] = [], publications: [PublishedCopy]? = nil,
        obstacles: [PurgeObstacle] = []
    ) {
        self.purge = purge
        self.dryRun = dryRun
        self.job = job
        self.versions = versions
        self.datasets = datasets
        self.jobs = jobs
        self.checkpoints = checkpoints
        self.exports = exports
        self.publications = publications
        self.obstacles = obstacles
        erasure = Self.logicalDeletion
    }

    enum CodingKeys: String, CodingKey {
        case purge, job, forget, versions, datasets, jobs, checkpoints, exports, backups, publications,
            obstacles, erasure, keys, destroyed, remaining, objects, bytes, pending, finished
        case dryRun = "dry_run"
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(purge, forKey: .purge)
        try container.encode(dryRun, forKey: .dryRun)
        try container.encode(job, forKey: .job)
        try container.encode(forget, forKey: .forget)
        try container.encode(versions, forKey: .versions)
        try container.encode(datasets, forKey: .datasets)
        try container.encode(jobs, forKey: .jobs)
        try container.encode(checkpoints, forKey: .checkpoints)
        try container.encode(exports, forKey: .exports)
        try container.encode(backups ?? [], forKey: .backups)
        try container.encode(publications ?? [], forKey: .publications)
        try container.encode(obstacles, forKey: .obstacles)
        try container.encode(erasure, forKey: .erasure)
        try container.encode(keys, forKey: .keys)
        try container.encode(destroyed ?? [], forKey: .destroyed)
        try container.encode(remaining ?? [], forKey: .remaining)
        try container.encode(objects, forKey: .objects)
        try container.encode(bytes, forKey: .bytes)
        try container.encode(pending, forKey: .pending)
        try container.encode(finished, forKey: .finished)
    }
}
