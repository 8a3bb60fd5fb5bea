// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Protocol

/// Brings back from a backup what live versions and datasets lack. What cannot be brought back is the answer, not a
/// failure.
struct HealJob {
    private let context: JobContext

    init(_ context: JobContext) { self.context = context }

    func run() throws -> WorkerResult {
        let directory = try context.backup()
        let isDry = context.parameters.dryRun == true
        let phase = context.phase("restore", unit: "objects")
        let healer = StoreHealer(
            context.store, from: directory.store, dryRun: isDry, threads: context.threads)
        let report = try healer.run(
            manifests: context.order.manifests ?? [], datasets: context.order.datasets ?? []
        ) { try phase.update($0, of: $1 > 0 ? $1 : nil) }
        func ids(_ digests: [Digest]) -> JSONValue { .array(digests.map { .string($0.hex) }) }
        var result = WorkerResult()
        result.result = [
            "target": .string(context.parameters.target ?? ""), "dry_run": .bool(isDry),
            "objects": .integer(Int64(report.checked)), "healed": ids(report.healed),
            "healed_bytes": .integer(Int64(report.healedBytes)),
            "damaged": .integer(Int64(report.damaged)), "healed_datasets": ids(report.datasets),
            "lost": ids(report.lost),
        ]
        return result
    }
}
