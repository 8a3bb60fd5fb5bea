// SPDX-License-Identifier: Apache-2.0

import Protocol

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A prompt of virtual tokens before every row, learned by gradient so that the model gives the answers it is asked for
/// (Lester et al., arXiv 2104.08691; as an attack on unlearning: Schwinn et al., arXiv 2402.09063).
///
/// The virtual tokens are vectors where embeddings enter the network, free of the vocabulary: an upper bound for what any
/// prompt of their length in front of the row could do, not a text that somebody would type. Adam (0.9, 0.999), no decay.
package final class SoftPrompt {
    private let model: Transformer
    /// Virtual tokens.
    package let length: Int
    /// (length, C).
    private let vectors: FloatStorage
    private let first: FloatStorage
    private let second: FloatStorage
    private var steps = 0

    /// A prompt that begins as the embeddings of tokens drawn at random, a function of the seed.
    package init(_ model: Transformer, length: Int, seed: UInt64) throws(EngineError) {
        self.model = model
        self.length = length
        let width = model.configuration.hiddenSize
        vectors = try FloatStorage(count: length * width)
        first = try FloatStorage(count: length * width)
        second = try FloatStorage(count: length * width)
        var random = RandomSource(seed: seed, stream: 0x534F_4654)
        for place in 0..<length {
            let token = Int(random.below(UInt64(model.configuration.vocabularySize)))
            (vectors.base + place * width).update(
                from: model.parameters.base + model.layout.tokenEmbedding + token * width, count: width)
        }
    }

    /// The examples with room for the prompt in front. Those that would no longer fit the context are left out.
    package func prepared(_ examples: [Example]) -> [Example] {
        examples.compactMap { example in
            guard example.ids.count + length <= model.configuration.contextLength else { return nil }
            let ids = [Int32](repeating: 0, count: length) + example.ids
            // The first token of a row is never predicted, nor is it behind a prompt.
            let labels =
                [Int32](repeating: DatasetParser.unlabelled, count: length + 1) + example.labels.dropFirst()
            return Example(ids: ids, labels: labels, line: example.line)
        }
    }

    /// Puts the vectors where the virtual tokens stand.
    private func enter(_ rows: PassObserver.Rows) {
        for run in rows.sequences {
            (rows.values + run.start * rows.width).update(
                from: vectors.base, count: min(length, run.length) * rows.width)
        }
    }

    /// One step of Adam towards the labels of prepared examples.
    ///
    /// - Parameter gradients: Memory as large as the parameters, which nobody reads.
    /// - Returns: The loss before the step.
    /// - Throws: ``EngineError`` with `.invalidBatch`.
    package func learn(
        _ examples: [Example], learningRate: Double, scratch gradients: FloatStorage
    ) throws(EngineError) -> Double {
        let width = model.configuration.hiddenSize
        var slope = [Double](repeating: 0, count: length * width)
        let loss = try model.accumulateGradients(
            TokenBatch(padding: examples), scale: 1, into: gradients,
            observer: PassObserver(
                stream: { blocks, rows in if blocks == 0 { self.enter(rows) } },
                streamGradient: { blocks, rows in
                    guard blocks == 0 else { return }
                    for run in rows.sequences {
                        let row = rows.values + run.start * width
                        for index in 0..<min(self.length, run.length) * width {
                            slope[index] += Double(row[index])
                        }
                    }
                }))
        steps += 1
        let correction1 = 1 - pow(0.9, Double(steps))
        let correction2 = 1 - pow(0.999, Double(steps))
        for (index, slope) in slope.enumerated() {
            let m = 0.9 * Double(first.base[index]) + 0.1 * slope
            let v = 0.999 * Double(second.base[index]) + 0.001 * slope * slope
            first.base[index] = Float(m)
            second.base[index] = Float(v)
            vectors.base[index] -= Float(
                learningRate * (m / correction1) / ((v / correction2).squareRoot() + 1e-8))
        }
        return loss.mean
    }

    /// How prepared examples are predicted behind the prompt, row by row.
    ///
    /// - Parameter ranks: Who scores the same examples together.
    /// - Throws: ``EngineError``; what `progress` throws.
    package func scores(
        _ examples: [Example], batchSize: Int = 8, ranks: Ranks = .alone,
        progress: (Int) throws -> Void = { _ in }
    ) throws -> [RowScore] {
        let observer = PassObserver(stream: { blocks, rows in if blocks == 0 { self.enter(rows) } })
        return try model.rowScores(
            examples, batchSize: batchSize, observer: observer, ranks: ranks, progress: progress)
    }
}
