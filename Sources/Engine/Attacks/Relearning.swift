// SPDX-License-Identifier: Apache-2.0

import Protocol

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Trains a model on a few rows and watches whether it comes to know others again (Hu et al., arXiv 2406.13356;
/// Łucki et al., arXiv 2409.18025): knowledge that was only covered up comes back faster than it was ever learned.
///
/// The model is changed; to undo it, load the weights again. A model that never knew the rows, trained in the same way,
/// says how much of the rise is plain learning.
package struct Relearning {
    /// The numbers of a run.
    package struct Settings: Sendable, Hashable {
        /// Steps of AdamW at a constant rate.
        package var steps: Int
        package var learningRate: Double
        /// Rows of a step.
        package var batchSize: Int
        /// Of the data's order.
        package var seed: UInt64
        /// How often the curve is measured after its beginning.
        package var points: Int

        package init(steps: Int, learningRate: Double, batchSize: Int, seed: UInt64, points: Int = 5) {
            self.steps = steps
            self.learningRate = learningRate
            self.batchSize = batchSize
            self.seed = seed
            self.points = points
        }

        /// The steps after which the curve is measured, from 0 to the last.
        package var measured: [Int] {
            let count = max(1, min(points, steps))
            return (0...count).map { $0 * steps / count }
        }
    }

    /// One point of the curve.
    package struct Point: Sendable, Hashable {
        package var step: Int
        /// Right predictions by labelled tokens of the watched rows.
        package var accuracy: Double
        /// Mean over the watched rows of exp(−mean NLL).
        package var probability: Double
    }

    /// Ends a run that has taken its steps.
    private struct Enough: Error {}

    /// The curve.
    ///
    /// - Parameters:
    ///   - training: What is trained on.
    ///   - watched: What is measured.
    ///   - ranks: Who measures together. Each trains by itself: shared sums would be rounded otherwise.
    ///   - progress: Called with steps done; throwing cancels.
    /// - Throws: ``DivergenceError``; ``EngineError``; what `progress` throws.
    package static func curve(
        _ model: Transformer, training: [Example], watched: [Example], settings: Settings,
        ranks: Ranks = .alone, progress: (_ step: Int) throws -> Void = { _ in }
    ) throws -> [Point] {
        // Whoever attacks trains everything, whatever the job before was allowed to.
        let trainable = model.trainable
        model.trainable = Trainable(all: model.table)
        defer { model.trainable = trainable }
        let batcher = Batcher(
            examples: training, batchSize: settings.batchSize, seed: settings.seed, stream: .training)
        let epochs = (settings.steps + batcher.batchCount - 1) / batcher.batchCount
        let trainer = try Trainer(
            model, data: .learning(batcher), objective: FinetuneObjective(),
            settings: Trainer.Settings(epochs: epochs, learningRate: settings.learningRate))
        var points: [Point] = []
        func measure(_ step: Int) throws {
            let scores = try model.rowScores(watched, ranks: ranks) { _ in try progress(step) }
            let set = SetScore(scores)
            let probability = set.rows.reduce(0) { $0 + exp(-$1.meanLoss) } / Double(max(set.rows.count, 1))
            points.append(Point(step: step, accuracy: set.accuracy(.token), probability: probability))
        }
        let places = Set(settings.measured)
        try measure(0)
        do {
            _ = try trainer.run { step in
                try progress(step.number)
                if places.contains(step.number) { try measure(step.number) }
                if step.number >= settings.steps { throw Enough() }
            } epoch: { _ in
            }
        } catch is Enough {}
        return points
    }
}
