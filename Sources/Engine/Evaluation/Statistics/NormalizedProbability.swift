// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// The right answer's share of the probability of all answers that were offered: TOFU's probability on the sets of
/// real authors and world facts.
package enum NormalizedProbability {
    /// p / (p + Σ p_j) with p = exp(−ℓ), ℓ an answer's mean −ln p per token.
    ///
    /// Taken in logarithms, so that it is defined however unlikely all answers are; OpenUnlearning adds 1e-10 to the
    /// divisor instead.
    package static func value(right: Double, wrong: [Double]) -> Double {
        1 / (1 + wrong.reduce(0) { $0 + exp(right - $1) })
    }
}
