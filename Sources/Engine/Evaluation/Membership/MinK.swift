// SPDX-License-Identifier: Apache-2.0

/// The attacks that look at a row's least likely tokens: Min-K % (Shi et al., arXiv 2310.16789) and Min-K %++ (Zhang
/// et al., arXiv 2404.02936). Lower means "member", as with a loss.
package enum MinK {
    /// The share of tokens that counts, as in OpenUnlearning and MUSE's 40 %.
    package static let share = 0.4

    /// Minus the mean of the lowest max(1, ⌊share · n⌋) values: log-probabilities, or standardised ones for `++`.
    /// - Returns: `nil` for no values.
    package static func score(_ values: [Double], share: Double = share) -> Double? {
        guard !values.isEmpty else { return nil }
        let count = max(1, Int(share * Double(values.count)))
        return Mean.of(values.sorted().prefix(count)).map { -$0 }
    }

    /// (ln p(y) − μ) / σ, with μ and σ² the mean and the variance of ln p over the vocabulary weighted by p; σ² is at
    /// least 1e-6, as in the reference implementation.
    package static func standardised(logLikelihood: Double, mean: Double, variance: Double) -> Double {
        (logLikelihood - mean) / max(variance, 1e-6).squareRoot()
    }
}
