// SPDX-License-Identifier: Apache-2.0

/// What the base model says at the labelled places of a set, kept through a training run: exact, and where that is
/// cheaper without the base's weights.
///
/// Kept are the normalised outputs of the last block at these places (P × C) and the head (V × C), from which the
/// logits follow as in the base itself; a table of the P × V probabilities would be V/C times as large. Where all that
/// is larger than the weights, a copy of the weights is kept instead and the base runs in every step.
final class BaseOutputs {
    private enum Holding {
        /// States of all examples, and where those of each begin, in places.
        case states(FloatStorage, starts: [Int])
        /// Recomputed from a copy of all weights.
        case weights
    }

    /// Floats for that many places beside the head.
    private static func floats(_ configuration: ModelConfiguration, places: Int) -> Int {
        (places + configuration.vocabularySize) * configuration.hiddenSize
    }

    /// What it will hold of a set: copies of the parameters, or else bytes.
    static func size(_ model: ModelConfiguration, _ examples: [Example]) throws(EngineError) -> (
        copies: Int, bytes: Int
    ) {
        let floats = floats(model, places: examples.reduce(0) { $0 + $1.predictedCount })
        return try floats < ModelLayout(model).table.count ? (0, 4 * floats) : (1, 0)
    }

    private let holding: Holding
    /// The base's head at its place in the parameters, or all of its weights.
    private let weights: FloatStorage

    /// - Parameters:
    ///   - model: The base.
    ///   - examples: The whole set, in the order that batches count by.
    ///   - progress: Called with examples done and in all.
    init(_ model: Transformer, _ examples: [Example], progress: (_ done: Int, _ total: Int) throws -> Void)
        throws
    {
        guard try Self.size(model.configuration, examples).copies == 0 else {
            weights = try model.makeReference()
            holding = .weights
            return
        }
        // Pages that are never touched take no memory: only the head's are.
        weights = try model.makeBuffer()
        for range in model.headRanges {
            (weights.base + range.lowerBound).update(
                from: model.parameters.base + range.lowerBound, count: range.count)
        }
        var starts = [0]
        for example in examples { starts.append(starts[starts.count - 1] + example.predictedCount) }
        let width = model.configuration.hiddenSize
        let states = try FloatStorage(count: starts[examples.count] * width)
        var done = 0
        for (rows, batch) in Batcher.byLength(examples, batchSize: TrainingMemory.preparedRows) {
            let outputs = try model.finalStates(batch)
            var next = 0
            for row in rows {
                let count = (starts[row + 1] - starts[row]) * width
                (states.base + starts[row] * width).update(from: outputs.base + next, count: count)
                next += count
            }
            done += rows.count
            try progress(done, examples.count)
        }
        holding = .states(states, starts: starts)
    }

    /// Adds the gradient of a sum of losses on the model's and the base's logits to `gradients`.
    ///
    /// - Returns: What `loss` returned for each labelled token of each row.
    func accumulateGradients(
        _ part: StepBatch.Part, _ model: Transformer, into gradients: FloatStorage,
        _ loss: (LogitRow) -> Float
    ) throws(EngineError) -> [[Float]] {
        var gathered: FloatStorage?
        if case .states(let states, let starts) = holding {
            let width = model.configuration.hiddenSize
            let places = part.rows.reduce(0) { $0 + starts[$1 + 1] - starts[$1] }
            let outputs = try FloatStorage(count: places * width)
            var next = 0
            for row in part.rows {
                let count = (starts[row + 1] - starts[row]) * width
                (outputs.base + next).update(from: states.base + starts[row] * width, count: count)
                next += count
            }
            gathered = outputs
        }
        return try model.accumulateLogitGradients(
            part.batch, reference: weights, states: gathered, into: gradients, loss)
    }
}
