// SPDX-License-Identifier: Apache-2.0

import GRDB
import Protocol

/// What may be stored: room on the disk, and the bytes of a model's and of a user's versions. Looked at when a job is
/// submitted and again when it starts, for days may lie between.
struct StorageLimits: Hashable, Sendable {
    /// The state directory.
    var directory: String
    /// What stays free; `nil`: nothing in particular.
    var floor: FreeSpaceFloor?
    /// Most bytes of one model's versions that are there.
    var modelQuota: Int64?
    /// Most bytes of the versions that are there and that one user's jobs made.
    var userQuota: Int64?

    /// What a job may write, bytes.
    struct Need: Hashable, Sendable {
        /// Of versions.
        var versions: Int64
        /// Of all.
        var disk: Int64
    }

    /// Refuses what would not leave the disk what is to stay free on it.
    ///
    /// - Parameters:
    ///   - needed: Bytes.
    ///   - writes: Whether it makes a version, so that the floor counts. What frees space, and what only reads, goes on
    ///     below the floor.
    /// - Throws: `storage_full`.
    func checkRoom(_ needed: Int64, writes: Bool) throws(RPCError) {
        guard let space else { return }
        let floor = writes ? floor?.bytes(of: space.total) ?? 0 : 0
        guard needed > space.free - floor else { return }
        let kept = floor > 0 ? ", of which \(floor >> 20) MiB stay free (free_space_floor)" : ""
        throw RPCError(
            .storageFull,
            "the job may write \(needed >> 20) MiB and \(space.free >> 20) MiB are free in \(directory)\(kept)",
            hint: "unlearnctl store gc frees what no version needs, unlearnctl purge what nobody may keep")
    }

    /// Refuses versions that would pass a quota. What runs now counts with the size of the version that it edits.
    ///
    /// - Parameters:
    ///   - bytes: Of the versions to be made.
    ///   - job: The job that would make them, where it has a row.
    /// - Throws: `storage_full`, with the figures.
    func checkQuotas(
        _ bytes: Int64, of model: ModelName?, for user: Int, job: JobID? = nil, _ db: Database
    ) throws {
        guard bytes > 0 else { return }
        func sum(_ sql: String, _ arguments: StatementArguments) throws -> Int64 {
            try Int64.fetchOne(db, cached: sql, arguments: arguments) ?? 0
        }
        if let model, let modelQuota {
            let used = try sum(
                "SELECT sum(bytes) FROM version WHERE model = ? AND state = 'live'", [model.text])
            try Self.refuse(
                bytes, besides: used, over: modelQuota, "the versions of \(model) have", "model_quota")
        }
        if let userQuota {
            let made = try sum(
                """
                SELECT sum(v.bytes) FROM version v JOIN job j ON j.id = v.job
                WHERE j.submitter = ? AND v.state = 'live'
                """, [user])
            let running = try sum(
                """
                SELECT sum(v.bytes) FROM job j JOIN version v ON v.model = j.model AND v.n = j.base
                WHERE j.submitter = ? AND j.writes = 1 AND j.id IS NOT ?
                  AND j.state IN ('running', 'paused', 'cancelling', 'committing')
                """, [user, job])
            try Self.refuse(
                bytes, besides: made + running, over: userQuota, "the versions that user \(user) made have",
                "user_quota")
        }
    }

    private static func refuse(
        _ bytes: Int64, besides used: Int64, over quota: Int64, _ subject: String, _ key: String
    ) throws(RPCError) {
        guard bytes > quota - used else { return }
        throw RPCError(
            .storageFull,
            "the job may add \(amount(bytes)); \(subject) \(amount(used)) and \(key) allows \(amount(quota))",
            hint: "give up versions with unlearnctl model purge, or have \(key) raised")
    }

    private static func amount(_ bytes: Int64) -> String {
        bytes < 10 << 20 ? "\(bytes) bytes" : "\(bytes >> 20) MiB"
    }

    /// Free bytes of the state directory's file system, and all of them.
    var space: FileSystemSpace? { FileSystemSpace(of: directory) }
}
