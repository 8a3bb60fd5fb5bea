// SPDX-License-Identifier: Apache-2.0

/// The two-sample test of Kolmogorov and Smirnov, two-sided and exact: forget quality of TOFU (Maini et al.,
/// arXiv 2401.06121, section 2.2.2) is its p-value between the truth ratios of two models.
///
/// Agrees with `scipy.stats.ks_2samp(method="exact")`, which TOFU calls. We differ in two points, both on purpose:
/// the statistic is a fraction of whole numbers, never a rounded difference of two quotients, and samples of any
/// size are exact (scipy changes to the asymptotic distribution above 10 000).
package struct KolmogorovSmirnov: Hashable, Sendable {
    /// D, the largest distance between the two empirical distribution functions, 0 to 1.
    package let statistic: Double
    /// The chance of a distance of D or more when both samples come from one distribution; below 1e-308 it is 0.
    package let pValue: Double

    /// - Returns: `nil` when a sample is empty or holds a NaN.
    /// - Complexity: O(*n*·*m*) in the sizes of the samples.
    package init?(_ first: [Double], _ second: [Double]) {
        guard !first.isEmpty, !second.isEmpty, !first.contains(where: \.isNaN),
            !second.contains(where: \.isNaN)
        else { return nil }
        let (n, m) = (first.count, second.count)
        let divisor = Self.greatestCommonDivisor(n, m)
        let (stepDown, stepUp) = (n / divisor, m / divisor)
        // i/n − j/m = (i·stepUp − j·stepDown) / (n·m/divisor): the numerators are whole.
        let height = Self.largestDistance(first.sorted(), second.sorted(), stepUp, stepDown)
        statistic = Double(height) / Double(n / divisor * m)
        pValue = height == 0 ? 1 : Self.shareOutside(n, m, stepUp, stepDown, height)
    }

    private static func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int {
        var (a, b) = (a, b)
        while b != 0 { (a, b) = (b, a % b) }
        return a
    }

    /// The largest |i·up − j·down| after all values up to some value are counted: i of the first, j of the second.
    private static func largestDistance(_ first: [Double], _ second: [Double], _ up: Int, _ down: Int) -> Int
    {
        var (i, j, largest) = (0, 0, 0)
        while i < first.count, j < second.count {
            let value = min(first[i], second[j])
            while i < first.count, first[i] <= value { i += 1 }
            while j < second.count, second[j] <= value { j += 1 }
            largest = max(largest, abs(i * up - j * down))
        }
        return largest
    }

    /// The share of the lattice paths from (0, 0) to (n, m) that reach |i·up − j·down| ≥ height (Hodges, *The
    /// significance probability of the Smirnov two-sample test*, 1958).
    ///
    /// Of the paths to (i, j), i/(i + j) come from (i − 1, j) and the others from (i, j − 1). Only shares of paths
    /// are kept, and only added: nothing overflows and nothing cancels, down to the smallest number.
    private static func shareOutside(_ n: Int, _ m: Int, _ up: Int, _ down: Int, _ height: Int) -> Double {
        // Shares at (i − 1, j), then at (i, j), for every j.
        var shares = [Double](repeating: 0, count: m + 1)
        for i in 0...n {
            for j in 0...m {
                if abs(i * up - j * down) >= height {
                    shares[j] = 1
                } else if i + j == 0 {
                    shares[j] = 0
                } else {
                    let fromLeft = i == 0 ? 0 : Double(i) * shares[j]
                    let fromBelow = j == 0 ? 0 : Double(j) * shares[j - 1]
                    shares[j] = (fromLeft + fromBelow) / Double(i + j)
                }
            }
        }
        return min(1, shares[m])
    }
}
