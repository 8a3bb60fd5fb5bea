// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Glibc
import Protocol

/// Takes what was purged since out of the earlier generations of a backup.
struct BackupThinning {
    let directory: BackupDirectory
    let records: PurgeRecords
    /// The newest purge of the records.
    let purge: Int
    /// A place in the state directory for databases at work; it is made and removed.
    let work: String

    /// Rewrites every generation that a purge of the records has not been applied to.
    /// - Returns: What was done, a line each.
    func run() throws -> [String] {
        try directory.generations().compactMap { sequence in
            let manifest = try directory.manifest(sequence)
            return manifest.purge < purge ? try thin(manifest) : nil
        }
    }

    private func thin(_ manifest: BackupManifest) throws -> String {
        guard mkdir(work, 0o700) == 0 || errno == EEXIST else {
            throw JobFailure(.storage, "\(work) cannot be made: \(String(cString: strerror(errno)))")
        }
        let (file, result) = (work + "/database", "\(directory.database(of: manifest)).new")
        // Before the first use, and of an attempt that was cut off.
        func clear() {
            for suffix in ["", "-wal", "-shm", "-journal"] { unlink(file + suffix) }
        }
        clear()
        unlink(result)
        defer {
            clear()
            rmdir(work)
        }
        try directory.copyDatabase(of: manifest, to: file)
        let database = try StateDatabase(path: file) { _ in }
        let gone = try database.changeNow { try records.apply(in: $0) }
        let facts = try database.readNow { try DatabaseFacts($0) }
        try database.copy(to: result)
        try database.close()
        let objects = try directory.objects(
            of: manifest, manifests: facts.manifests, datasets: facts.datasets)
        try directory.rewrite(manifest, database: result) { new in
            FailPoint.insideThinning.reach()
            new.purge = purge
            (new.manifests, new.datasets, new.objects) = (facts.manifests, facts.datasets, objects)
            new.thinned = .now
        }
        let left = manifest.objects.count - objects.count
        let names = gone.isEmpty ? "" : ", \(gone.map(\.description).joined(separator: ", "))"
        return "generation \(manifest.sequence) is thinned: \(left) objects fewer\(names)"
    }
}
