// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// How much more likely wrong answers are than the right one (Maini et al., arXiv 2401.06121, section 2.2.1).
///
/// R = exp(ℓ_right − mean ℓ_wrong), where ℓ is an answer's mean −ln p per token: the geometric mean of the wrong
/// answers' length-normalised probabilities over that of the right one, in other words where the row has some. This
/// is what TOFU's and OpenUnlearning's code computes; the paper prints an arithmetic mean. Theirs adds 1e-10 to the
/// divisor, which for a wrecked model (p below 1e-10) decides the value; ours stays in logarithms and adds nothing.
package struct TruthRatio: Hashable, Sendable {
    /// ln R.
    package let logarithm: Double

    /// - Parameters:
    ///   - right: Mean −ln p per token of the paraphrased answer, or of the answer itself.
    ///   - wrong: The same of each wrong answer, at least one.
    package init(right: Double, wrong: [Double]) {
        precondition(!wrong.isEmpty, "a truth ratio needs wrong answers")
        logarithm = right - (Mean.of(wrong) ?? 0)
    }

    /// R: below 1 the right answer is preferred.
    package var value: Double { exp(logarithm) }
    /// min(R, 1/R): TOFU's aggregate on the forget set; 1 when right and wrong are alike, low when the row is known
    /// or anti-known.
    package var closeness: Double { exp(-abs(logarithm)) }
    /// max(0, 1 − R): TOFU's aggregate on sets that are to be kept.
    package var margin: Double { max(0, -expm1(logarithm)) }
    /// p_right / (p_right + p_wrong): OpenUnlearning's later aggregate (arXiv 2506.12618), there called prob_mean.
    package var rightShare: Double { 1 / (1 + exp(logarithm)) }
}
