// SPDX-License-Identifier: Apache-2.0

extension Transformer {
    /// How the loss of a batch would change with the tokens at some places: the gradient by their one-hot vectors.
    ///
    /// A token v enters the network as s · E[v] plus what its position adds, s being the embedding's scale, so that the
    /// slope by v's coordinate is s · ⟨E[v], ∂loss/∂x⟩ with x what enters at that place. What a tied head makes of the
    /// same weights has no part in it: only the input changes.
    ///
    /// - Parameters:
    ///   - examples: At least one; the loss is their mean −ln p per labelled token.
    ///   - starts: For each example where its places begin.
    ///   - length: How many places follow one another, the same number in each example.
    ///   - scratch: Memory as large as the parameters, which nobody reads.
    /// - Returns: The loss, and (length, V), summed over the examples.
    /// - Throws: ``EngineError`` with `.invalidBatch`, also where nothing is labelled.
    package func tokenSlopes(
        _ examples: [Example], starts: [Int], length: Int, batchSize: Int = 8, scratch: FloatStorage
    ) throws(EngineError) -> (loss: Double, slopes: [Float]) {
        precondition(starts.count == examples.count, "there is one start for each example")
        let (width, vocabulary) = (configuration.hiddenSize, configuration.vocabularySize)
        let tokens = examples.reduce(0) { $0 + $1.predictedCount }
        var entered = [Float](repeating: 0, count: length * width)
        var nll = 0.0
        for first in stride(from: 0, to: examples.count, by: batchSize) {
            let part = first..<min(first + batchSize, examples.count)
            let sum = try accumulateGradients(
                TokenBatch(padding: Array(examples[part])), scale: 1, tokens: tokens, into: scratch,
                observer: PassObserver(streamGradient: { blocks, rows in
                    guard blocks == 0 else { return }
                    for run in rows.sequences {
                        let start = starts[part.lowerBound + run.row]
                        // Behind the last label nothing counts, and nothing is kept.
                        for place in 0..<max(0, min(length, run.length - start)) {
                            let row = rows.values + (run.start + start + place) * width
                            for index in 0..<width { entered[place * width + index] += row[index] }
                        }
                    }
                }))
            nll += sum.nll
        }
        if let scale = configuration.embeddingScale {
            for index in entered.indices { entered[index] *= scale }
        }
        var slopes = [Float](repeating: 0, count: length * vocabulary)
        entered.withUnsafeBufferPointer { entered in
            slopes.withUnsafeMutableBufferPointer { slopes in
                guard let entered = entered.baseAddress, let slopes = slopes.baseAddress else { return }
                context.multiply(
                    length, vocabulary, width, Operand(entered, stride: width),
                    Operand(parameters.base + layout.tokenEmbedding, stride: width, transposed: true),
                    beta: 0,
                    slopes, stride: vocabulary)
            }
        }
        return (nll / Double(tokens), slopes)
    }
}
