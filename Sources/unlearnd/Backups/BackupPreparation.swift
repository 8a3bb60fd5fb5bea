// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import GRDB
import Glibc
import Protocol

/// The daemon's part of jobs that copy the store: the directory, and the copy of the database, which no worker opens.
struct BackupPreparation: Sendable {
    var targets: BackupTargets
    let stateDirectory: String
    let database: StateDatabase
    /// The master key of an encrypted store, with which its backups are sealed, too.
    let master: MasterKey?

    /// A backup that a job writes or reads.
    struct Prepared: Sendable {
        /// For the job's log.
        var lines: [String] = []
        fileprivate var directory: BackupDirectory
        fileprivate var handed: KeyRing.Handed?

        /// Destroys the keys in the backup of what is no longer in it.
        /// - Returns: Lines for the job's log.
        func finish(_ kind: JobKind) async throws -> [String] {
            guard kind == .backup, let ring = directory.ring else { return [] }
            release()
            let thinned = try await offloading { try ring.thin(to: directory.store) }
            return ["key ring \(thinned.generation) of the backup: \(thinned.destroyed) keys destroyed"]
        }

        /// The job is over.
        func release() { if let handed { directory.ring?.take(back: handed) } }
    }

    /// Completes a worker's order.
    /// - Throws: ``JobFailure``.
    func prepare(_ order: inout WorkerOrder) async throws -> Prepared {
        let spec = order.spec
        let name = spec.parameters?.target ?? ""
        do {
            let root = try targets.directory(name)
            order.backup = root
            try BackupTarget.check(root, stateDirectory: stateDirectory)
            let (prepared, keys) = try await prepare(spec, name, root)
            order.backupKeys = keys
            return prepared
        } catch {
            throw Self.failure(error, name)
        }
    }

    private func prepare(_ spec: JobSpec, _ name: String, _ root: String) async throws -> (
        Prepared, WorkerKeys?
    ) {
        guard spec.kind == .backup else {
            return try await offloading { [master] in
                try Self.handing(
                    BackupDirectory(
                        root: root, making: false, access: master.map { .reading($0) } ?? .plain),
                    lines: [], writes: false)
            }
        }
        let isFull = spec.parameters?.full == true
        let isExpected = try await database.read { try BackupTrail.hasSucceeded(name, $0) }
        return try await offloading {
            if try isExpected && !isFull && !BackupDirectory.isBackup(root) {
                throw JobFailure(
                    .missing, "\(root) has no backup, and there were backups to \(name) before",
                    hint: "mount its disk; to begin anew in the empty directory, use --full")
            }
            let directory = try BackupDirectory(
                root: root, making: true, access: master.map { .master($0) } ?? .plain)
            guard directory.store.isEncrypted || master == nil else {
                throw JobFailure(
                    .unsupported,
                    "the backup in \(root) is not encrypted, and the store is: its objects would lie there in plain",
                    hint: "name an empty directory, and destroy this one")
            }
            return try Self.handing(directory, lines: draft(directory), writes: true)
        }
    }

    private static func handing(
        _ directory: BackupDirectory, lines: [String], writes: Bool
    ) throws -> (Prepared, WorkerKeys?) {
        guard directory.store.isEncrypted else { return (Prepared(lines: lines, directory: directory), nil) }
        guard let ring = directory.ring else { throw refusal(directory.root) }
        let handed = try ring.hand(writes: writes)
        return (
            Prepared(lines: lines, directory: directory, handed: handed),
            WorkerKeys(keys: handed.keys, writing: handed.writing)
        )
    }

    private static func refusal(_ root: String) -> JobFailure {
        JobFailure(
            .unsupported, "the backup in \(root) is encrypted, and the store is not",
            hint: "name another directory: it is the backup of another store")
    }

    private func draft(_ directory: BackupDirectory) throws -> [String] {
        if directory.store.isEncrypted, directory.ring == nil { throw Self.refusal(directory.root) }
        try directory.begin()
        let file = directory.newPath + "/database"
        let time = Timestamp.now
        try database.copy(to: file)
        let (facts, records) = try DatabaseFacts.reading(file) {
            (try DatabaseFacts($0), try PurgeRecords($0))
        }
        let newest = try directory.generations().last
        if let newest {
            let earlier = try directory.manifest(newest).audit
            guard try DatabaseFacts.reading(file, { try DatabaseFacts.isLater($0, than: earlier) }) else {
                throw JobFailure(
                    .integrity,
                    "\(directory.root) has the backup of another store, or of a later state of this one: the audit log "
                        + "has not the last row of its generation \(newest)",
                    hint: "back up to an empty directory")
            }
        }
        let lines = try BackupThinning(
            directory: directory, records: records, purge: facts.purge,
            work: stateDirectory + "/staging/backup"
        ).run()
        try directory.writeDraft(
            BackupManifest(
                sequence: (newest ?? 0) + 1, time: time, database: directory.adoptDatabase(file),
                audit: facts.audit, purge: facts.purge, manifests: facts.manifests,
                datasets: facts.datasets))
        return lines
    }

    private static func failure(_ error: any Error, _ target: String) -> JobFailure {
        switch error {
        case let failure as JobFailure: return failure
        case let error as CheckpointError:
            let kind: JobFailure.Kind =
                switch error.code {
                case .storageFull, .ioFailure: .storage
                case .corrupt, .locked: .integrity
                case .missing: .missing
                default: .unsupported
                }
            return JobFailure(kind, error.message, hint: error.hint.isEmpty ? nil : error.hint)
        case let error as DatabaseError where error.resultCode == .SQLITE_FULL:
            return JobFailure(
                .storage, "no space is left for the copy of the database in the backup target \(target)",
                hint: "free space there; earlier generations are whole")
        case let error as DatabaseError:
            return JobFailure(
                .storage,
                "the database cannot be copied to the backup target \(target): \(error.message ?? "\(error.resultCode)")",
                hint: "check the directory's owner, mode and disk")
        case let error as StartupError: return JobFailure(.integrity, error.message, hint: error.hint)
        case let error as RPCError: return JobFailure(.missing, error.message, hint: error.hint)
        default: return JobFailure(.internal, "\(error)")
        }
    }
}
