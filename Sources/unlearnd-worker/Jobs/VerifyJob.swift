// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Protocol

/// Looks for damage in the store. Damage is the answer, not a failure.
struct VerifyJob {
    private let context: JobContext

    init(_ context: JobContext) { self.context = context }

    func run() throws -> WorkerResult {
        let level: StoreVerifier.Level = context.parameters.quick == true ? .quick : .full
        let phase = context.phase("verify", unit: "objects")
        let report = try StoreVerifier.run(
            store: context.store, manifestIDs: context.order.manifests ?? [], level: level,
            threads: context.threads
        ) { try phase.update($0, of: $1) }
        func ids(_ digests: [Digest]) -> JSONValue { .array(digests.map { .string($0.hex) }) }
        var result = WorkerResult()
        result.result = [
            "level": .string(level.rawValue), "objects": .integer(Int64(report.objects)),
            "bytes": .integer(Int64(report.bytes)),
            "corrupt": .array(
                report.corrupt.map {
                    ["id": .string($0.id.hex), "reason": .string($0.reason), "manifests": ids($0.manifests)]
                }),
            "missing": .array(
                report.missing.map { ["id": .string($0.id.hex), "manifests": ids($0.manifests)] }),
            "corrupt_datasets": .array(
                report.corruptDatasets.sorted { $0.key < $1.key }.map {
                    ["id": .string($0.key.hex), "reason": .string($0.value)]
                }),
            "valid": .bool(report.isSound),
        ]
        return result
    }
}
