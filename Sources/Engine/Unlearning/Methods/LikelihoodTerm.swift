// SPDX-License-Identifier: Apache-2.0

/// Mean negative log-likelihood per labelled token, to be lowered or raised.
///
/// Lowered it is learning, and the plain way to hold the retain set. Raised it is gradient ascent (Jang et al., arXiv
/// 2210.01504), with a retain term gradient difference (Liu et al., arXiv 2203.12817; `ascent`, `graddiff`). The mean
/// is over all labelled tokens of the step, as transformers' models compute it, not over rows.
package final class LikelihoodTerm: LossTerm {
    private let sign: Double

    /// - Parameter rising: Whether the loss is to rise: the term is then its negative.
    package init(rising: Bool = false) { sign = rising ? -1 : 1 }

    package func accumulate(
        _ batch: StepBatch, at position: StepPosition, _ model: Transformer, scale: Double,
        into gradients: FloatStorage
    ) throws -> TermLoss {
        let mean = try batch.accumulateGradients(model, scale: sign * scale, into: gradients)
        return TermLoss(value: sign * mean, likelihood: mean)
    }
}
