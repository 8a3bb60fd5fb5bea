// SPDX-License-Identifier: Apache-2.0

import Checkpoints
import Protocol

/// Compares two versions tensor by tensor.
struct DiffJob {
    private let context: JobContext

    init(_ context: JobContext) { self.context = context }

    func run() throws -> WorkerResult {
        let a = try context.reader(context.order.base, "first")
        let b = try context.reader(context.order.other, "second")
        let phase = context.phase("diff", unit: "bytes")
        let found = try TensorDiff.compare(a: a, b: b, threads: context.threads) {
            try phase.update($0, of: $1)
        }
        var result = WorkerResult()
        result.result = .array(found.map(Self.json))
        return result
    }

    static func json(_ difference: TensorDifference) -> JSONValue {
        func number(_ value: Double?) -> JSONValue { value.finite.map { .number($0) } ?? .null }
        return [
            "tensor": .string(difference.tensor), "changed": .bool(difference.changed),
            "l2": number(difference.l2),
            "relative_l2": number(difference.relativeL2), "max_abs": number(difference.maxAbs),
            "changed_fraction": number(difference.changedFraction),
            "dtype": .string(difference.dtype.rawValue),
            "shape": .array(difference.shape.map { .integer(Int64($0)) }),
            "note": difference.note.map { .string($0) } ?? .null,
        ]
    }
}
