// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Ascent whose tokens count by how well they are known: −mean over tokens of w(p) · ℓ, with p = exp(−ℓ) and the
/// weight held constant in the gradient.
///
/// - `wga`: w = p^β (Wang et al., *Rethinking LLM Unlearning Objectives*, arXiv 2502.19301).
/// - `satimp`: w = p^β₁ · (1 − p)^β₂ (Yang et al., *Exploring Criteria of Loss Reweighting to Enhance LLM Unlearning*,
///   arXiv 2505.11953).
///
/// As in OpenUnlearning's trainers of these names. A forgotten token has no weight, so the ascent ends by itself.
package final class WeightedLikelihoodTerm: LossTerm {
    private let known: Double
    private let unknown: Double

    /// - Parameters:
    ///   - known: The exponent of p.
    ///   - unknown: The exponent of 1 − p; 0 leaves it out.
    package init(known: Double, unknown: Double = 0) {
        self.known = known
        self.unknown = unknown
    }

    /// The weight of a token with that negative log-likelihood.
    package func weight(_ nll: Double) -> Double {
        let weight = exp(-known * nll)
        // 1 − p without loss of digits where p is near 1; 0⁰ is 1.
        return unknown == 0 ? weight : weight * pow(-expm1(-nll), unknown)
    }

    package func accumulate(
        _ batch: StepBatch, at position: StepPosition, _ model: Transformer, scale: Double,
        into gradients: FloatStorage
    ) throws -> TermLoss {
        let tokens = Double(batch.tokens)
        var sums = (value: 0.0, likelihood: 0.0)
        for part in batch.parts {
            let scores = try model.accumulateWeightedGradients(
                part.batch, into: gradients, .each { Float(-scale * self.weight(Double($0)) / tokens) })
            for score in scores.joined() {
                let nll = Double(score.nll)
                sums.value -= weight(nll) * nll
                sums.likelihood += nll
            }
        }
        return TermLoss(value: sums.value / tokens, likelihood: sums.likelihood / tokens)
    }
}
