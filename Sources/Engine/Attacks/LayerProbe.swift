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

    /// One labelled token behind one layer.
    private struct Answer: BitwiseCopyable {
        var nll: Float
        var isCorrect: Bool
    }

    /// The layers in order: after 0 blocks (the embeddings alone) to after all of them (the model's answer).
    ///
    /// - Parameters:
    ///   - ranks: Who looks at the same examples together.
    ///   - progress: Called with rows done and in all; throwing cancels.
    /// - Throws: ``EngineError``; what `progress` throws.
    package static func layers(
        of model: Transformer, _ examples: [Example], batchSize: Int = 8, ranks: Ranks = .alone,
        progress: (_ done: Int, _ total: Int) throws -> Void = { _, _ in }
    ) throws -> [Layer] {
        let count = model.configuration.layers + 1
        let batches = Batcher.byLength(examples, batchSize: batchSize)
        var done = 0
        // Of each batch layer after layer, the tokens of all its rows.
        let answers = try ranks.shareOut(batches.count) { index in
            let scores = try model.scoreByLayer(batches[index].batch)
            done += batches[index].rows.count
            try progress(done, examples.count)
            return scores.flatMap { rows in
                rows.joined().map { Answer(nll: $0.nll, isCorrect: $0.correct) }
            }
        }
        if done < examples.count { try progress(examples.count, examples.count) }
        var correct = [Int](repeating: 0, count: count)
        var probability = [Double](repeating: 0, count: count)
        var tokens = 0
        for batch in answers {
            let width = batch.count / count
            for layer in 0..<count {
                for answer in batch[layer * width..<(layer + 1) * width] {
                    correct[layer] += answer.isCorrect ? 1 : 0
                    probability[layer] += exp(-Double(answer.nll))
                }
            }
            tokens += width
        }
        let total = Double(max(tokens, 1))
        return (0..<count).map {
            Layer(accuracy: Double(correct[$0]) / total, probability: probability[$0] / total)
        }
    }
}
