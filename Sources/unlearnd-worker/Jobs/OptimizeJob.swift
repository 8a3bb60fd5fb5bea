// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Protocol

/// Stores older versions as differences from newer ones. Damage that it meets is told, and the rest is done.
struct OptimizeJob {
    private let context: JobContext

    init(_ context: JobContext) { self.context = context }

    func run() throws -> WorkerResult {
        let isDryRun = context.parameters.dryRun == true
        let phase = context.phase("optimize", unit: "objects")
        let report = try StoreOptimizer.run(
            store: context.store, pairs: context.order.pairs ?? [], inFull: context.order.manifests ?? [],
            isDryRun: isDryRun
        ) { try phase.update($0, of: $1) }
        for damage in report.damaged.prefix(8) {
            try context.send(.warning("left as it is: \(damage.reason)"))
        }
        var result = WorkerResult()
        func number(_ value: Int) -> JSONValue { .integer(Int64(value)) }
        result.result = [
            "dry_run": .bool(isDryRun), "objects": number(report.objects), "deltas": number(report.deltas),
            "bytes_before": number(report.bytesBefore), "bytes_after": number(report.bytesAfter),
            "already": number(report.already), "unsuitable": number(report.unsuitable),
            "restored": number(report.restored), "restored_bytes": number(report.restoredBytes),
            "damaged": .array(
                report.damaged.map {
                    [
                        "id": .string($0.id.hex), "reason": .string($0.reason),
                        "manifests": .array($0.manifests.map { .string($0.hex) }),
                    ]
                }),
        ]
        return result
    }
}
