// SPDX-License-Identifier: Apache-2.0

import Protocol

/// What a training run goes through: the batches of each step of each epoch.
package enum TrainingData: Sendable {
    /// Forget and retain batches side by side (`ascent`).
    case pairs(PairedBatches)
    /// Forget batches alone (`ascent` with alpha 1 and no retain set).
    case forgetting(Batcher)
    /// Batches to learn (`finetune`).
    case learning(Batcher)

    /// Steps of each epoch.
    package var stepsPerEpoch: Int {
        switch self {
        case .pairs(let pairs): pairs.stepsPerEpoch
        case .forgetting(let batcher), .learning(let batcher): batcher.batchCount
        }
    }

    /// Sets that a step takes a batch from.
    package var batchers: [Batcher] {
        switch self {
        case .pairs(let pairs): [pairs.forget, pairs.retain]
        case .forgetting(let batcher), .learning(let batcher): [batcher]
        }
    }

    /// One step's batches: at least one of the two.
    struct Step {
        var forget: [Int]?
        var retain: [Int]?
    }

    /// The rows of each step of `epoch`, counted from 0.
    func steps(epoch: Int) -> [Step] {
        switch self {
        case .pairs(let pairs): pairs.steps(epoch: epoch).map { Step(forget: $0.forget, retain: $0.retain) }
        case .forgetting(let batcher): batcher.batchRows(epoch: epoch).map { Step(forget: $0) }
        case .learning(let batcher): batcher.batchRows(epoch: epoch).map { Step(retain: $0) }
        }
    }

    /// The forget batch of a step.
    func forgetBatch(_ step: Step) -> TokenBatch? {
        switch self {
        case .pairs(let pairs): step.forget.map(pairs.forget.batch)
        case .forgetting(let batcher): step.forget.map(batcher.batch)
        case .learning: nil
        }
    }

    /// The batch of a step whose likelihood is kept or raised.
    func retainBatch(_ step: Step) -> TokenBatch? {
        switch self {
        case .pairs(let pairs): step.retain.map(pairs.retain.batch)
        case .learning(let batcher): step.retain.map(batcher.batch)
        case .forgetting: nil
        }
    }
}
