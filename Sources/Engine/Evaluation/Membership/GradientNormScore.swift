// SPDX-License-Identifier: Apache-2.0

/// Membership inference by gradient norm (after Nasr et al., arXiv 1812.00910), with OpenUnlearning's definition: the
/// mean over parameter tensors of the Euclidean norm of the gradient of the row's mean −ln p.
///
/// OpenUnlearning leaves the last label out and has dropout on; we take the row's own loss, and there is no dropout.
package struct GradientNormScore {
    private let model: Transformer
    private let gradients: FloatStorage

    /// - Throws: ``EngineError`` without memory for one gradient.
    package init(_ model: Transformer) throws(EngineError) {
        self.model = model
        gradients = try model.makeBuffer()
    }

    /// The norm of a row, whose windows weigh as many labels as they have.
    package func of(_ row: EvaluationRow) throws(EngineError) -> Double {
        gradients.base.update(repeating: 0, count: gradients.count)
        let labels = row.windows.reduce(0) { $0 + $1.predictedCount }
        for window in row.windows where window.predictedCount > 0 {
            _ = try model.accumulateGradients(
                TokenBatch(padding: [window]), scale: Float(window.predictedCount) / Float(labels),
                into: gradients)
        }
        let norms = model.table.entries.map { entry in
            entry.range.reduce(0.0) { sum, index in
                let value = Double(gradients.base[index])
                return sum + value * value
            }.squareRoot()
        }
        return Mean.of(norms) ?? 0
    }
}
