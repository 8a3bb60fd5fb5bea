// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// f(x) = −(2/β) · ln σ(β·x): the loss that all preference methods share. It wants x large, and less so the larger x is.
///
/// The factor 2/β is Zhang et al.'s (arXiv 2404.05868): with x = S − S_base, f is gradient ascent where β → 0, and its
/// slope at the base is −1 for every β.
package struct PreferenceLoss: Sendable, Hashable {
    package let beta: Double

    /// - Parameter beta: Positive; how soon a row counts as forgotten.
    package init(beta: Double) { self.beta = beta }

    /// f(x).
    package func value(_ x: Double) -> Double {
        let z = -beta * x
        // ln(1 + e^z) without overflow.
        return 2 / beta * (max(z, 0) + log1p(exp(-abs(z))))
    }

    /// f′(x) = −2 · σ(−β·x).
    package func slope(_ x: Double) -> Double { -2 / (1 + exp(beta * x)) }
}
