// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Protocol

/// Looks for damage in the store, and moves what is damaged out of the way. Damage is the answer, not a failure.
struct VerifyJob {
    private let context: JobContext

    init(_ context: JobContext) { self.context = context }

    func run() throws -> WorkerResult {
        let parameters = context.parameters
        let level: StoreVerifier.Level = parameters.quick == true ? .quick : .full
        let phase = context.phase("verify", unit: "objects")
        let report = try StoreVerifier.run(
            store: context.store, manifestIDs: context.order.manifests ?? [], level: level,
            extent: StoreVerifier.Extent(
                share: parameters.sample ?? 1, after: context.order.after, seconds: parameters.seconds),
            threads: context.threads, quarantine: true
        ) { try phase.update($0, of: $1) }
        func ids(_ digests: [Digest]) -> JSONValue { .array(digests.map { .string($0.hex) }) }
        var result = WorkerResult()
        result.result = [
            "level": .string(level.rawValue), "objects": .integer(Int64(report.objects)),
            "total": .integer(Int64(report.total)), "position": .integer(Int64(report.position)),
            "stopped_at": report.stoppedAt.map { .string($0.hex) } ?? .null,
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
