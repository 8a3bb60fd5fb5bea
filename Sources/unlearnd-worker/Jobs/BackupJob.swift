// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Protocol

/// Copies what a drafted generation needs into its backup directory, publishes it, and removes there what no generation
/// needs any more.
struct BackupJob {
    private let context: JobContext

    init(_ context: JobContext) { self.context = context }

    func run() throws -> WorkerResult {
        let directory = try context.backup()
        var manifest = try directory.draft()
        let phase = context.phase("copy", unit: "objects")
        let copier = ObjectCopier(
            from: context.store, to: directory.store, verifies: context.parameters.full == true,
            threads: context.threads)
        let report = try copier.copy(manifests: manifest.manifests, datasets: manifest.datasets) {
            try phase.update($0, of: $1 > 0 ? $1 : nil)
        }
        manifest.objects = report.objects
        try directory.publish(manifest)
        let removed = try directory.removeUnneeded()
        var result = WorkerResult()
        result.result = [
            "target": .string(context.parameters.target ?? ""),
            "generation": .integer(Int64(manifest.sequence)),
            "time": .string(manifest.time.description),
            "versions": .integer(Int64(manifest.manifests.count)),
            "datasets": .integer(Int64(manifest.datasets.count)),
            "objects": .integer(Int64(report.objects.count)), "bytes": .integer(Int64(manifest.bytes)),
            "copied": .integer(Int64(report.copied)), "copied_bytes": .integer(Int64(report.copiedBytes)),
            "repaired": .integer(Int64(report.repaired)), "removed": .integer(Int64(removed.objects)),
            "removed_bytes": .integer(Int64(removed.bytes)), "purge": .integer(Int64(manifest.purge)),
        ]
        return result
    }
}
