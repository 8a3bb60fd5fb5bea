// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Protocol

/// How a result's tensors differ from its base's, as the evidence `diff`.
enum DiffSummary {
    /// Compares the base with what was written, piece by piece.
    static func add(_ base: CheckpointReader, _ written: CheckpointReader, _ context: JobContext) throws {
        let phase = context.phase("compare", unit: "bytes")
        let all = try TensorDiff.compare(a: base, b: written, threads: context.threads) {
            try phase.update($0, of: $1)
        }
        func elements(_ tensor: TensorDifference) -> Int { tensor.shape.reduce(1, *) }
        let order = all.enumerated().sorted {
            let (left, right) = ($0.element.relativeL2 ?? 0, $1.element.relativeL2 ?? 0)
            return left != right ? left > right : $0.offset < $1.offset
        }
        let listed = order.prefix(EvidencePiece.mostTensors).map { _, tensor -> JSONValue in
            guard case .object(var object) = DiffJob.json(tensor) else { return .null }
            object["elements"] = .integer(Int64(elements(tensor)))
            return .object(object)
        }
        let changed = all.filter(\.changed)
        let moved = changed.reduce(0.0) { $0 + ($1.changedFraction ?? 1) * Double(elements($1)) }
        context.evidence.add(
            .diff,
            [
                "tensors": .array(listed), "changed": .integer(Int64(changed.count)),
                "total": .integer(Int64(all.count)), "left_out": .integer(Int64(all.count - listed.count)),
                "elements": .integer(Int64(all.reduce(0) { $0 + elements($1) })),
                "changed_elements": .integer(Int64(moved.rounded())),
            ])
    }
}
