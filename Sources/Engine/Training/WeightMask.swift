// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Which weights a training may change: one bit for each, a thirty-second of what a copy would take.
package struct WeightMask: Sendable {
    /// How many weights may change.
    package let count: Int
    private let words: [UInt64]

    /// The weights with the largest scores, equals by their place.
    ///
    /// - Parameters:
    ///   - scores: Not negative, laid out by `table`; NaN counts as largest.
    ///   - ratio: Which share of the table's parameters, above 0 and at most 1; at least one.
    package init(_ scores: FloatStorage, _ table: ParameterTable, ratio: Double) {
        let kept = max(1, Int(ratio * Double(table.parameterCount)))
        // Scans that throw nothing: the cut cannot fail.
        let cut =
            (try? MagnitudeCut<UInt32>(keeping: kept) { body in
                for entry in table.entries {
                    scores.base.withMemoryRebound(to: UInt32.self, capacity: scores.count) {
                        body(UnsafeBufferPointer(start: $0 + entry.offset, count: entry.count))
                    }
                }
            }) ?? MagnitudeCut(all: true)
        var words = [UInt64](repeating: 0, count: (scores.count + 63) / 64)
        var number = 0
        var count = 0
        for entry in table.entries {
            for index in entry.range {
                if cut.keeps(scores.base[index].bitPattern, at: number) {
                    words[index >> 6] |= 1 << UInt64(index & 63)
                    count += 1
                }
                number += 1
            }
        }
        self.words = words
        self.count = count
    }

    /// Whether a weight may change.
    package func contains(_ index: Int) -> Bool { words[index >> 6] >> UInt64(index & 63) & 1 == 1 }

    /// Sets what may not change of `values` to zero.
    func clear(_ values: FloatStorage, _ range: Range<Int>) {
        for index in range where !contains(index) { values.base[index] = 0 }
    }

    /// Runs `change` on the values of `range` and puts back the bits of those that may not change.
    func protect(_ values: FloatStorage, _ range: Range<Int>, _ change: () -> Void) {
        withUnsafeTemporaryAllocation(of: Float.self, capacity: range.count) { old in
            guard let start = old.baseAddress else { return }
            start.update(from: values.base + range.lowerBound, count: range.count)
            change()
            for (offset, index) in range.enumerated() where !contains(index) {
                values.base[index] = old[offset]
            }
        }
    }

    // MARK: Scores

    /// The mask for unlearning `forget`:
    ///
    /// - `saliency`: |g_F|, with g_F the gradient of the mean loss over the forget set (SalUn, Fan et al.,
    ///   arXiv 2310.12508, whose loss is the same but for its sign).
    /// - `wagle`: |(θ − g_R / μ) · g_F| with μ = 1e-6 (WAGLE, Jia et al., arXiv 2410.17509, as OPTML-Group/WAGLE's
    ///   `snip_advanced` computes it).
    ///
    /// - Parameter progress: Called with batches done and in all; throwing cancels.
    /// - Throws: ``EngineError``; what `progress` throws.
    package static func choose(
        _ kind: MaskKind, _ model: Transformer, forget: [Example], retain: [Example]?, ratio: Double,
        batchSize: Int, progress: (_ done: Int, _ total: Int) throws -> Void
    ) throws -> WeightMask {
        let sets = [forget] + (kind == .wagle ? [retain ?? []] : [])
        let total = sets.reduce(0) { $0 + ($1.count + batchSize - 1) / batchSize }
        var done = 0
        func gradient(_ examples: [Example]) throws -> FloatStorage {
            let sum = try model.makeBuffer()
            let tokens = examples.reduce(0) { $0 + $1.predictedCount }
            for (_, batch) in Batcher.byLength(examples, batchSize: batchSize) {
                _ = try model.accumulateGradients(batch, scale: 1, tokens: tokens, into: sum)
                done += 1
                try progress(done, total)
            }
            return sum
        }
        let own = try gradient(forget)
        switch kind {
        case .saliency:
            for index in 0..<own.count { own.base[index] = abs(own.base[index]) }
        case .wagle:
            let kept = try gradient(retain ?? [])
            for index in 0..<own.count {
                let shifted = model.parameters.base[index] - kept.base[index] / 1e-6
                own.base[index] = abs(shifted * own.base[index])
            }
        }
        return WeightMask(own, model.table, ratio: ratio)
    }
}
