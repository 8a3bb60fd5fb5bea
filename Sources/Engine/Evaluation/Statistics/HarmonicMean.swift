// SPDX-License-Identifier: Apache-2.0

/// The harmonic mean, by which TOFU's model utility joins its parts: one part at zero makes the whole zero.
package enum HarmonicMean {
    /// n / Σ 1/x; 0 if one of the values is 0.
    /// - Returns: `nil` for no values, a negative one, or one that is not a number.
    package static func of(_ values: [Double]) -> Double? {
        guard !values.isEmpty, values.allSatisfy({ $0 >= 0 }) else { return nil }
        guard !values.contains(0) else { return 0 }
        return Double(values.count) / values.reduce(0) { $0 + 1 / $1 }
    }
}
