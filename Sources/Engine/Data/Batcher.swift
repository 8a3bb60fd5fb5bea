// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Which random numbers order a set, so that two sets of one job are ordered independently.
package enum DataStream: UInt64, Sendable {
    case forget = 0x464F_5247
    case retain = 0x5245_5441
    /// The only set of a job that trains on one.
    case training = 0x5452_4149
}

/// Cuts a set into batches, epoch after epoch.
///
/// The order of epoch *e* (counted from 0) is Fisher and Yates' shuffle of the file's order by ``RandomSource`` with
/// the job's seed and the stream `DataStream << 32 | e`: a function of seed, set and epoch alone. The last, short
/// batch is kept. A batch may be worked through in parts of ``partSize`` examples, one after another.
package struct Batcher: Sendable {
    package let examples: [Example]
    /// Examples that one training step sees.
    package let batchSize: Int
    /// Examples that are in memory together.
    package let partSize: Int

    private let seed: UInt64
    private let stream: DataStream
    private let shuffle: Bool

    /// - Parameters:
    ///   - examples: At least one.
    ///   - batchSize: Examples a part, at least one.
    ///   - accumulate: Parts a batch, at least one.
    ///   - shuffle: Whether each epoch has an order of its own; otherwise all have the file's.
    package init(
        examples: [Example], batchSize: Int, accumulate: Int = 1, seed: UInt64, stream: DataStream,
        shuffle: Bool = true
    ) {
        precondition(
            !examples.isEmpty && batchSize > 0 && accumulate > 0,
            "a batcher needs examples, a batch size and a number of parts")
        self.examples = examples
        self.batchSize = batchSize * accumulate
        partSize = batchSize
        self.seed = seed
        self.stream = stream
        self.shuffle = shuffle
    }

    /// Batches an epoch.
    package var batchCount: Int { (examples.count + batchSize - 1) / batchSize }

    /// The positions of the examples in the order of `epoch`, counted from 0.
    package func order(epoch: Int) -> [Int] {
        guard shuffle else { return Array(examples.indices) }
        var random = RandomSource(
            seed: seed, stream: stream.rawValue << 32 | UInt64(UInt32(truncatingIfNeeded: epoch)))
        return random.permutation(examples.count)
    }

    /// The positions of the examples of each batch of `epoch`.
    package func batchRows(epoch: Int) -> [[Int]] {
        let order = order(epoch: epoch)
        return stride(from: 0, to: order.count, by: batchSize).map { start in
            Array(order[start..<min(start + batchSize, order.count)])
        }
    }

    /// The batch of the given examples.
    package func batch(_ rows: [Int]) -> TokenBatch { TokenBatch(padding: rows.map { examples[$0] }) }

    /// The batch of the given examples in parts of ``partSize``; the last one may be shorter. Each part is shared out
    /// among the ranks by rows.
    package func parts(_ rows: [Int], _ ranks: Ranks = .alone) -> StepBatch {
        StepBatch(
            parts: stride(from: 0, to: rows.count, by: partSize).compactMap { start in
                let own = ranks.share(Array(rows[start..<min(start + partSize, rows.count)]))
                return own.isEmpty ? nil : StepBatch.Part(rows: own, batch: batch(own))
            }, places: rows, tokens: rows.reduce(0) { $0 + examples[$1].predictedCount })
    }

    /// Batches for evaluation, where order does not matter: examples of like length together, longest first, so that
    /// little is padded. With each batch the positions of its examples.
    package static func byLength(_ examples: [Example], batchSize: Int) -> [(rows: [Int], batch: TokenBatch)]
    {
        let order = examples.indices.sorted {
            (examples[$1].ids.count, $0) < (examples[$0].ids.count, $1)
        }
        return stride(from: 0, to: order.count, by: max(1, batchSize)).map { start in
            let rows = Array(order[start..<min(start + max(1, batchSize), order.count)])
            return (rows, TokenBatch(padding: rows.map { examples[$0] }))
        }
    }
}

extension TokenBatch {
    /// The token that fills rows up; it is never labelled and never attended.
    package static let paddingToken: Int32 = 0

    /// A batch of examples, padded on the right to the longest.
    package init(padding examples: [Example]) {
        let columns = examples.lazy.map(\.ids.count).max() ?? 0
        var tokens: [Int32] = []
        var labels: [Int32] = []
        tokens.reserveCapacity(examples.count * columns)
        labels.reserveCapacity(examples.count * columns)
        for example in examples {
            let missing = columns - example.ids.count
            tokens += example.ids
            tokens.append(contentsOf: repeatElement(Self.paddingToken, count: missing))
            labels += example.labels
            labels.append(contentsOf: repeatElement(DatasetParser.unlabelled, count: missing))
        }
        self.init(
            rows: examples.count, columns: columns, tokens: tokens, labels: labels,
            lengths: examples.map(\.ids.count))
    }
}
