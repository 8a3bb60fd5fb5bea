// SPDX-License-Identifier: Apache-2.0

/// Selective synaptic dampening: weights that matter much more to the forget set than to all data are made smaller, once
/// and without training (Foster et al., arXiv 2308.07707; as if-loops/selective-synaptic-dampening computes it).
///
/// The importance of a weight is the mean over batches of the square of the batch's gradient, which itself is a mean over
/// the batch's labelled tokens: not the Fisher information of single rows, and so a function of the batch size. All data
/// **include** the forget set. A weight with I_forget > ratio · I_all is multiplied by min(1, strength · I_all / I_forget).
///
/// Label-free (LFSSD, Foster et al., arXiv 2402.19308): the gradient is that of the mean over the labelled places of the
/// logits' squared norm, and its absolute value stands for the square.
package struct SynapticDampening {
    /// I_forget must be more than so many times I_all; alpha in the paper.
    package let ratio: Double
    /// lambda in the paper.
    package let strength: Double
    package let labelFree: Bool

    /// Dampening with the paper's defaults.
    package init(ratio: Double = 10, strength: Double = 1, labelFree: Bool = false) {
        self.ratio = ratio
        self.strength = strength
        self.labelFree = labelFree
    }

    /// The importance of every weight for the rows of `batches`.
    ///
    /// - Parameter progress: Called with batches done; throwing cancels.
    /// - Throws: ``EngineError``; what `progress` throws.
    package func importances(
        _ model: Transformer, _ batches: [TokenBatch], progress: (_ done: Int) throws -> Void = { _ in }
    ) throws -> FloatStorage {
        let sums = try model.makeBuffer()
        let gradients = try model.makeBuffer()
        for (done, batch) in batches.enumerated() {
            gradients.clear()
            if labelFree {
                let scale = 2 / Float(max(batch.predictedCount, 1))
                _ = try model.accumulateLogitGradients(batch, into: gradients) { row in
                    var square: Float = 0
                    for index in row.logits.indices {
                        square += row.logits[index] * row.logits[index]
                        row.logits[index] *= scale
                    }
                    return square
                }
            } else {
                _ = try model.accumulateGradients(batch, scale: 1, into: gradients)
            }
            let share = 1 / Float(batches.count)
            model.context.forBlocks(of: 1 << 16, in: sums.count) { block, _ in
                for index in block {
                    let gradient = gradients.base[index]
                    sums.base[index] += share * (labelFree ? abs(gradient) : gradient * gradient)
                }
            }
            try progress(done + 1)
        }
        return sums
    }

    /// Makes weights smaller by their importances, and returns how many.
    package func dampen(_ model: Transformer, forget: FloatStorage, all: FloatStorage) -> Int {
        let weights = model.parameters
        precondition(
            forget.count == weights.count && all.count == weights.count, "there is one importance a weight")
        var count = 0
        // In order and on one thread: it is one pass, and the count is exact.
        for index in 0..<weights.count {
            let (own, whole) = (Double(forget.base[index]), Double(all.base[index]))
            guard own > ratio * whole else { continue }
            let factor = min(1, strength * whole / own)
            guard factor < 1 else { continue }
            weights.base[index] = Float(Double(weights.base[index]) * factor)
            count += 1
        }
        return count
    }
}
