// SPDX-License-Identifier: Apache-2.0

import CKernels

/// How much each labelled token's negative log-likelihood counts in a weighted sum.
///
/// Weights are constants of the gradient: a loss that is a function f of likelihoods has the weights ∂f/∂nll.
package enum TokenWeights {
    /// A function of the token's own negative log-likelihood. Called by several threads at once.
    case each((_ nll: Float) -> Float)
    /// Chosen once all negative log-likelihoods of the batch are known: rows of labelled tokens in, weights of the
    /// same form out.
    case all((_ rows: [[Float]]) -> [[Float]])
}

/// One labelled place with its logits, for a loss of its own.
package struct LogitRow {
    /// The logits (V). The loss leaves its gradient here, weights and means included.
    package let logits: UnsafeMutableBufferPointer<Float>
    /// The reference model's logits (V), to be overwritten at will; empty without a reference.
    package let reference: UnsafeMutableBufferPointer<Float>
    /// The label.
    package let target: Int
    /// The row of the batch.
    package let row: Int
    /// Which of the row's labelled tokens it is, counted from 0.
    package let place: Int
}

/// Gradients of losses over a batch. All add to a buffer laid out by ``Transformer/table``.
extension Transformer {
    /// Adds the gradient of `scale` · mean NLL over the labelled tokens of `batch` to `gradients`.
    ///
    /// - Parameter tokens: What the sum is divided by, where the batch is a part of a larger one; its own labelled
    ///   tokens unless given.
    /// - Parameter observer: Sees the pass; nobody does unless given.
    /// - Returns: The batch's loss, whatever the scale.
    /// - Throws: ``EngineError`` with `.invalidBatch`, also for a batch without any label.
    package func accumulateGradients(
        _ batch: TokenBatch, scale: Float, tokens: Int? = nil, into gradients: FloatStorage,
        observer: PassObserver? = nil
    ) throws(EngineError) -> LossSum {
        if let card, card.training != nil, observer == nil {
            let packed = try labelled(batch)
            let scores = try card.likelihoodGradients(
                packed, scale: scale / Float(tokens ?? packed.targets.count))
            return LossSum(nll: scores.reduce(0) { $0 + Double($1.nll) }, tokens: scores.count)
        }
        let pass = try forwardScored(batch, observer: observer)
        let losses = likelihoodGradients(
            pass.packed, pass.activations, scale: scale / Float(tokens ?? pass.packed.targets.count),
            target(gradients))
        try backward(pass, target(gradients))
        return LossSum(nll: losses.reduce(0) { $0 + Double($1.loss) }, tokens: losses.count)
    }

    /// Adds the gradient of the sum of weight · NLL over the labelled tokens of `batch` to `gradients`.
    ///
    /// - Parameter observer: Sees the pass; nobody does unless given.
    /// - Returns: How each labelled token of each row is predicted, whatever its weight.
    /// - Throws: ``EngineError`` with `.invalidBatch`, also for a batch without any label.
    package func accumulateWeightedGradients(
        _ batch: TokenBatch, into gradients: FloatStorage, observer: PassObserver? = nil,
        _ weights: TokenWeights
    ) throws(EngineError) -> [[PositionScore]] {
        if let card, card.training != nil, observer == nil {
            let packed = try labelled(batch)
            return packed.byRow(try card.weightedGradients(packed, weights))
        }
        let pass = try forwardScored(batch, observer: observer)
        let losses = weightedGradients(pass.packed, pass.activations, weights, target(gradients))
        try backward(pass, target(gradients))
        return pass.packed.byRow(losses.map { PositionScore(nll: $0.loss, correct: $0.correct != 0) })
    }

    /// Adds the gradient of a sum of losses on the logits of the labelled places of `batch` to `gradients`.
    ///
    /// - Parameters:
    ///   - reference: The weights of a model whose logits each loss sees as well, laid out by ``table``; see
    ///     ``makeReference()``.
    ///   - states: That model's normalised outputs at the labelled places (P, C), if they are known: then only its head
    ///     need be in `reference`.
    ///   - loss: Turns the logits of one place into their gradient and returns its loss. Called by several threads
    ///     at once.
    /// - Returns: What `loss` returned for each labelled token of each row.
    /// - Throws: ``EngineError`` with `.invalidBatch`, also for a batch without any label.
    package func accumulateLogitGradients(
        _ batch: TokenBatch, reference: FloatStorage? = nil, states: FloatStorage? = nil,
        into gradients: FloatStorage, _ loss: (LogitRow) -> Float
    ) throws(EngineError) -> [[Float]] {
        var base = states
        if let reference, states == nil {
            precondition(
                reference.count == table.count,
                "the reference has \(reference.count) values, not \(table.count)")
            base = try withReference(reference) { () throws(EngineError) -> FloatStorage in
                let pass = try forwardScored(batch, reference)
                let copy = try FloatStorage(count: pass.packed.targets.count * configuration.hiddenSize)
                copy.base.update(from: pass.activations.scoredNormed, count: copy.count)
                return copy
            }
        }
        let pass = try forwardScored(batch)
        let losses = logitGradients(
            pass.packed, pass.activations, base: base?.base, reference.map { UnsafePointer($0.base) },
            target(gradients), loss)
        try backward(pass, target(gradients))
        return pass.packed.byRow(losses.map(\.loss))
    }

    /// Adds the gradient of `scale` · mean KL(reference || model) over the labelled places to `gradients`.
    ///
    /// - Parameters:
    ///   - reference: The weights of the model to stay near to, laid out by ``table``.
    ///   - tokens: What the sum is divided by; the batch's own labelled tokens unless given.
    /// - Returns: The sum of the divergences.
    /// - Throws: ``EngineError`` with `.invalidBatch`.
    package func accumulateDivergenceGradients(
        _ batch: TokenBatch, reference: FloatStorage, scale: Float, tokens: Int? = nil,
        into gradients: FloatStorage
    ) throws(EngineError) -> LossSum {
        let scale = scale / Float(tokens ?? batch.predictedCount)
        let divergence = context.kernels.pointee.divergence
        let losses = try accumulateLogitGradients(batch, reference: reference, into: gradients) { row in
            guard let logits = row.logits.baseAddress, let reference = row.reference.baseAddress else {
                return .nan
            }
            return divergence(logits, reference, row.logits.count, scale).loss
        }.joined()
        return LossSum(nll: losses.reduce(0) { $0 + Double($1) }, tokens: losses.count)
    }

    /// Where gradients of what is trained go.
    func target(_ gradients: FloatStorage) -> GradientTarget {
        GradientTarget(base: gradients.base, trainable: trainable)
    }

    /// Runs the blocks over a batch that has labels, and normalises the scored places.
    func forwardScored(
        _ batch: TokenBatch, _ weights: FloatStorage? = nil, observer: PassObserver? = nil
    ) throws(EngineError) -> BlockPass {
        let pass = try pass(labelled(batch), weights?.base, training: true, observer: observer)
        try forward(pass)
        normScored(pass.packed, pass.weights, pass.activations)
        return pass
    }
}

extension PackedBatch {
    /// What there is for each label, by the rows of the batch.
    func byRow<Value>(_ values: [Value]) -> [[Value]] {
        var next = 0
        return targetsPerRow.map { count in
            defer { next += count }
            return Array(values[next..<next + count])
        }
    }

    /// For each label its row of the batch, and which of the row's labels it is.
    var places: [(row: Int, place: Int)] {
        targetsPerRow.enumerated().flatMap { row, count in (0..<count).map { (row, $0) } }
    }
}
