// SPDX-License-Identifier: Apache-2.0

/// The base model's sums of negative log-likelihoods of examples: what NPO and DPO compare with.
///
/// Taken once, before the first step, so that no second model is in memory. Eight bytes an example.
struct BaseSums {
    private let sums: [Double]

    /// - Parameter progress: Called with the number of examples scored since the last call.
    init(_ model: Transformer, _ examples: [Example], progress: (Int) throws -> Void) throws {
        var sums = [Double](repeating: 0, count: examples.count)
        for (rows, batch) in Batcher.byLength(examples, batchSize: TrainingMemory.preparedRows) {
            for (row, positions) in zip(rows, try model.score(batch)) { sums[row] = positions.sum }
            try progress(rows.count)
        }
        self.sums = sums
    }

    /// The sum of the example at that place of the set.
    subscript(_ row: Int) -> Double { sums[row] }
}

extension [PositionScore] {
    /// The sum of the negative log-likelihoods, nats.
    var sum: Double { reduce(0) { $0 + Double($1.nll) } }
}

extension [Float] {
    /// The sum in double.
    var preciseSum: Double { reduce(0) { $0 + Double($1) } }
}
