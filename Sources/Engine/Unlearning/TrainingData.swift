// SPDX-License-Identifier: Apache-2.0

import Protocol

/// What a training run goes through: the batches of each step of each epoch.
package enum TrainingData: Sendable {
    /// Forget and retain batches side by side (gradient methods).
    case pairs(PairedBatches)
    /// Forget batches alone (gradient methods that hold nothing).
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

    /// The rows of one step: those of at least one set.
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

    /// The batches of a step, of which `ranks` has its rows.
    func batches(_ step: Step, at position: StepPosition, _ ranks: Ranks) -> StepBatches {
        let forget: Batcher?
        let retain: Batcher?
        switch self {
        case .pairs(let pairs): (forget, retain) = (pairs.forget, pairs.retain)
        case .forgetting(let batcher): (forget, retain) = (batcher, nil)
        case .learning(let batcher): (forget, retain) = (nil, batcher)
        }
        return StepBatches(
            position: position, forget: step.forget.flatMap { forget?.parts($0, ranks) },
            retain: step.retain.flatMap { retain?.parts($0, ranks) }, ranks: ranks)
    }
}
