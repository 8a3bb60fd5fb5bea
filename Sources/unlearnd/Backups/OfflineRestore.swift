// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import GRDB
import Glibc
import Protocol

/// Makes a state directory from a backup while no daemon runs.
///
/// Everything is held against its hash before the directory can be used: until the last step the file `restoring` lies
/// in it, with which no daemon starts. What was purged after the backup was made, as far as the newest generation or
/// another state directory of the same store knows, is gone in it, and its objects are not copied.
struct OfflineRestore {
    /// The backup directory.
    let source: String
    /// `nil`: the newest.
    let generation: Int?
    let stateDirectory: String
    /// State directories of the same store whose purges are applied too.
    let purgedFrom: [String]
    /// What an encrypted backup is opened with, and the new store sealed.
    let master: MasterKey?
    /// Whether the new store is encrypted where the backup is not.
    let encrypts: Bool
    let threads: Int
    /// Tells how far it is.
    let say: (String) -> Void

    /// Restores.
    /// - Throws: ``StartupError``, ``JobFailure``, `CheckpointError`, `DatabaseError`.
    func run() throws {
        let backup = try BackupDirectory(
            root: source, making: false, access: master.map { .reading($0) } ?? .plain)
        let isEncrypted = backup.store.isEncrypted || encrypts
        guard !isEncrypted || master != nil else {
            throw StartupError(
                .encryption,
                backup.store.isEncrypted
                    ? "the backup in \(source) is encrypted, and no master key is given"
                    : "an encrypted store needs a master key, and none is given",
                hint: "name it with --master-key-file")
        }
        guard let newest = try backup.generations().last else {
            throw JobFailure(.missing, "\(source) has no finished backup", hint: "name another directory")
        }
        let manifest = try backup.manifest(generation ?? newest)
        try refuseForeign()
        let directory = try StateDirectory(path: stateDirectory)
        try directory.waitForWorkers(seconds: 10)
        try mark(directory)
        StateDatabase.putTemporaryFiles(in: directory.path)
        let file = directory.path + "/restoring.sqlite"
        for path in [file, directory.database] {
            for suffix in ["", "-wal", "-shm", "-journal"] { unlink(path + suffix) }
        }
        say("generation \(manifest.sequence) of \(manifest.time): \(manifest.manifests.count) versions")
        try backup.copyDatabase(of: manifest, to: file)
        let database = try StateDatabase(path: file) { _ in }
        try check(database, manifest)
        let gone = try applyPurges(to: database, manifest, newest: newest, backup)
        for version in gone { say("\(version) was purged since: it stays gone") }
        let facts = try database.readNow { try DatabaseFacts($0) }
        let ring = try master.flatMap {
            isEncrypted ? try KeyRing.open(root: directory.path, master: $0, making: true) : nil
        }
        let store = try ObjectStore(root: directory.path, keys: ring)
        _ = try store.sweepStaging()
        let copier = ObjectCopier(from: backup.store, to: store, verifies: true, threads: threads)
        var told = 0
        let report = try copier.copy(manifests: facts.manifests, datasets: facts.datasets) { done, total in
            let tenth = total > 0 ? done * 10 / total : 0
            if tenth > told {
                told = tenth
                say("\(done) of \(total) objects")
            }
        }
        try finish(database, gone, manifest)
        // Emptied, but left by the connections.
        for suffix in ["-wal", "-shm"] { unlink(file + suffix) }
        guard rename(file, directory.database) == 0 else { throw Self.fault(directory.database) }
        try Self.synchronize(directory.path)
        guard unlink(directory.restoring) == 0 else { throw Self.fault(directory.restoring) }
        try Self.synchronize(directory.path)
        say("restored: \(report.objects.count) objects, every one held against its hash")
    }

    /// Only a directory that is empty, or in which a restore was cut off, is written to.
    private func refuseForeign() throws {
        guard let stream = opendir(stateDirectory) else {
            guard errno == ENOENT else { throw Self.fault(stateDirectory) }
            return
        }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            names.append(
                withUnsafeBytes(of: &entry.pointee.d_name) {
                    String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
                })
        }
        guard !names.contains("restoring") else { return }
        // Locks are made before the mark.
        if let name = names.sorted().first(where: { ![".", "..", "lock", "workers.lock"].contains($0) }) {
            throw StartupError(
                .stateDirectory, "\(stateDirectory) is not empty: it has \(name.debugDescription)",
                hint: "name a directory that is empty or not there")
        }
    }

    private func mark(_ directory: StateDirectory) throws {
        let descriptor = open(directory.restoring, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw Self.fault(directory.restoring) }
        let isDurable = fsync(descriptor) == 0
        close(descriptor)
        guard isDurable else { throw Self.fault(directory.restoring) }
        try Self.synchronize(directory.path)
    }

    private func check(_ database: StateDatabase, _ manifest: BackupManifest) throws {
        let (audit, isLater) = try database.readNow { db in
            (try AuditTrail.verify(db), try DatabaseFacts.isLater(db, than: manifest.audit))
        }
        guard audit.valid, isLater else {
            throw JobFailure(
                .integrity,
                "the audit log of generation \(manifest.sequence) is "
                    + (audit.valid
                        ? "not the one that its manifest names" : "broken at row \(audit.brokenAt ?? 0)"),
                hint: "use another generation")
        }
    }

    private func applyPurges(
        to database: StateDatabase, _ manifest: BackupManifest, newest: Int, _ backup: BackupDirectory
    ) throws -> [VersionReference] {
        var records: [PurgeRecords] = []
        func add(_ path: String, isReadOnly: Bool, _ words: String) throws {
            records.append(
                try DatabaseFacts.reading(path, isReadOnly: isReadOnly) { db in
                    guard try DatabaseFacts.isLater(db, than: manifest.audit) else {
                        throw JobFailure(
                            .integrity,
                            "\(words) is no later state of generation \(manifest.sequence): its audit log has not that row",
                            hint: "name the state directory that the backup was made of")
                    }
                    return try PurgeRecords(db)
                })
        }
        if newest != manifest.sequence {
            let file = stateDirectory + "/restoring.newest"
            unlink(file)
            defer { unlink(file) }
            try backup.copyDatabase(of: try backup.manifest(newest), to: file)
            try add(file, isReadOnly: true, "generation \(newest)")
        }
        for path in purgedFrom {
            guard access(path + "/unlearnd.sqlite", F_OK) == 0 else {
                throw JobFailure(.missing, "\(path) has no unlearnd.sqlite", hint: "check --purged-from")
            }
            // Its log may have to be read first, which SQLite counts as writing.
            try add(path + "/unlearnd.sqlite", isReadOnly: false, path)
        }
        return try database.changeNow { change in
            var gone: Set<VersionReference> = []
            for record in records { gone.formUnion(try record.apply(in: change)) }
            return gone.sorted { "\($0)" < "\($1)" }
        }
    }

    /// The last change of the database: the backup that it was copied in has no worker, and that it was restored is
    /// written down.
    private func finish(
        _ database: StateDatabase, _ gone: [VersionReference], _ manifest: BackupManifest
    ) throws {
        try database.changeNow { change in
            for row in try JobRow.all(in: [.running, .cancelling, .committing], change.db)
            where row.job.kind.copiesStore {
                let how: JobTransition = row.state == .cancelling ? .endCancelled : .abandon
                _ = try JobRow.apply(how, to: row.id, reason: "restored", in: change)
            }
            try change.audit(
                "store.restored", actor: Int(geteuid()),
                [
                    "generation": .integer(Int64(manifest.sequence)),
                    "time": .string(manifest.time.description),
                    "database": .string(manifest.database.sha256.hex),
                    "purged": .array(gone.map { .string($0.description) }),
                ])
            // That of the store which was backed up.
            try KeyRingMark.clear(in: change)
            if let purge = try RewrittenPages.due(change.db) { try RewrittenPages.set(purge, in: change) }
        }
        try database.rewrite()
        try database.close()
    }

    private static func synchronize(_ path: String) throws {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw fault(path) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw fault(path) }
    }

    private static func fault(_ path: String) -> JobFailure {
        JobFailure(
            .storage, "\(path) cannot be used: \(String(cString: strerror(errno)))",
            hint: "check its owner, mode and space; then run the restore again")
    }
}
