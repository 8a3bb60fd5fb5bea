// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A distance of what leaves one block from where it shall be (`rmu`): mean over rows of (1/T) · Σ over the row's labels of
/// mean over the width of (h − target)², with h the residual stream at the place that predicts the label.
///
/// Representation misdirection (Li et al., arXiv 2403.03218): on the forget set the target is c · u for a fixed vector u, on
/// the retain set what the base had there. The authors' code takes all places of a text; OpenUnlearning takes the
/// places of the labels themselves and, by a slip of shapes, a mean that is right for rows of one length alone.
/// Blocks behind the steered one do not run.
package final class ActivationTerm: LossTerm {
    /// Where the activations shall go.
    package enum Target: Sendable {
        /// To one vector, as wide as the model.
        case vector([Float])
        /// To what they were at the beginning.
        case base
    }

    private let target: Target
    private let layer: Int
    private let examples: [Example]
    private let width: Int
    /// The base's activations of all labels (P, C), and where those of each example begin, in labels.
    private var kept: (states: FloatStorage, starts: [Int])?

    /// - Parameters:
    ///   - layer: The block, counted from 0.
    ///   - examples: The whole set, in the order that batches count by.
    package init(
        _ target: Target, layer: Int, examples: [Example], _ configuration: ModelConfiguration
    ) throws(EngineError) {
        guard (0..<configuration.layers).contains(layer) else {
            throw EngineError(
                .invalidConfiguration,
                "layer \(layer) is to be steered, but the model has \(configuration.layers) layers, from 0",
                hint: "Give --layer one that there is.")
        }
        self.target = target
        self.layer = layer
        self.examples = examples
        width = configuration.hiddenSize
    }

    /// u: uniform numbers from 0 to 1, divided by their length; a function of the seed.
    package static func direction(width: Int, seed: UInt64) -> [Float] {
        var random = RandomSource(seed: seed, stream: 0x524D_5500)
        let values = (0..<width).map { _ in random.uniform() }
        let length = values.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return values.map { Float($0 / length) }
    }

    package let runsOnCard = false
    package var cachedBytes: Int {
        guard case .base = target else { return 0 }
        return 4 * width * examples.reduce(0) { $0 + $1.predictedCount }
    }

    package func begin(_ model: Transformer, progress: (_ done: Int, _ total: Int) throws -> Void) throws {
        guard case .base = target else { return }
        var starts = [0]
        for example in examples { starts.append(starts[starts.count - 1] + example.predictedCount) }
        let states = try FloatStorage(count: starts[examples.count] * width)
        var done = 0
        for (rows, batch) in Batcher.byLength(examples, batchSize: TrainingMemory.preparedRows) {
            try model.readStream(batch, after: layer + 1) { values in
                for (row, places) in values.predictors(of: batch) {
                    for (index, place) in places.enumerated() {
                        (states.base + (starts[rows[row]] + index) * width).update(
                            from: values.values + place * width, count: width)
                    }
                }
            }
            done += rows.count
            try progress(done, examples.count)
        }
        kept = (states, starts)
    }

    package func accumulate(
        _ batch: StepBatch, at position: StepPosition, _ model: Transformer, scale: Double,
        into gradients: FloatStorage
    ) throws -> TermLoss {
        let rows = Double(batch.rows)
        var sum = 0.0
        for part in batch.parts {
            sum += try model.accumulateStreamGradients(part.batch, after: layer + 1, into: gradients) {
                values, gradient in
                var sum = 0.0
                for (row, places) in values.predictors(of: part.batch) {
                    let share = 1 / (Double(places.count) * Double(width) * rows)
                    for (index, place) in places.enumerated() {
                        sum +=
                            share
                            * distance(
                                values.values + place * width, part.rows[row], index, 2 * scale * share,
                                into: gradient.values + place * width)
                    }
                }
                return sum
            }
        }
        return TermLoss(value: sum, likelihood: nil)
    }

    /// The squared distance of one activation from its target, and `slope` · the difference.
    private func distance(
        _ values: UnsafePointer<Float>, _ example: Int, _ label: Int, _ slope: Double,
        into gradient: UnsafeMutablePointer<Float>
    ) -> Double {
        func sum(_ target: UnsafePointer<Float>) -> Double {
            var sum = 0.0
            for column in 0..<width {
                let difference = values[column] - target[column]
                sum += Double(difference) * Double(difference)
                gradient[column] = Float(slope) * difference
            }
            return sum
        }
        switch target {
        case .vector(let vector):
            return vector.withUnsafeBufferPointer { $0.baseAddress.map(sum) ?? .nan }
        case .base:
            guard let kept else { preconditionFailure("the base was not kept") }
            return sum(kept.states.base + (kept.starts[example] + label) * width)
        }
    }
}

extension PassObserver.Rows {
    /// For each row of `batch` that has labels, the matrix rows of the places that predict them, in order.
    fileprivate func predictors(of batch: TokenBatch) -> [(row: Int, places: [Int])] {
        sequences.map { run in
            let labels = batch.labels[run.row * batch.columns..<(run.row + 1) * batch.columns]
            let places = labels.dropFirst().enumerated().filter { $0.element != -100 }.map {
                run.start + $0.offset
            }
            return (run.row, places)
        }
    }
}
