// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Reads from every layer what the model would answer if it stopped there: is it gone, or only unsaid?
package enum LayerProbe {
    /// What one layer says to a set of rows, teacher-forced.
    package struct Layer: Sendable, Hashable {
        /// Right predictions by labelled tokens.
        package var accuracy: Double
        /// Mean over the labelled tokens of the label's probability.
        package var probability: Double
    }

    /// The layers in order: after 0 blocks (the embeddings alone) to after all of them (the model's answer).
    ///
    /// - Parameter progress: Called with rows done and in all; throwing cancels.
    /// - Throws: ``EngineError``; what `progress` throws.
    package static func layers(
        of model: Transformer, _ examples: [Example], batchSize: Int = 8,
        progress: (_ done: Int, _ total: Int) throws -> Void = { _, _ in }
    ) throws -> [Layer] {
        let count = model.configuration.layers + 1
        var correct = [Int](repeating: 0, count: count)
        var probability = [Double](repeating: 0, count: count)
        var tokens = 0
        var done = 0
        for (rows, batch) in Batcher.byLength(examples, batchSize: batchSize) {
            let scores = try model.scoreByLayer(batch)
            for (layer, rows) in scores.enumerated() {
                for score in rows.joined() {
                    correct[layer] += score.correct ? 1 : 0
                    probability[layer] += exp(-Double(score.nll))
                }
            }
            tokens += scores.last?.reduce(0) { $0 + $1.count } ?? 0
            done += rows.count
            try progress(done, examples.count)
        }
        let total = Double(max(tokens, 1))
        return (0..<count).map {
            Layer(accuracy: Double(correct[$0]) / total, probability: probability[$0] / total)
        }
    }
}
