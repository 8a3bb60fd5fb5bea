// SPDX-License-Identifier: Apache-2.0

/// Runs that a generated text and its reference share word for word, with no gap: what copyright asks about.
package enum CommonRuns {
    /// The shortest run, in tokens, that counts towards ``share(of:in:atLeast:)``: about six English words, more than
    /// chance and set phrases give.
    package static let shortest = 8

    /// For each place of the reference the length of the longest common run that ends there.
    private static func endings<T: Equatable>(_ reference: [T], _ generated: [T]) -> [Int] {
        var lengths = [Int](repeating: 0, count: generated.count + 1)
        return reference.map { element in
            var (diagonal, best) = (0, 0)
            for (column, other) in generated.enumerated() {
                let above = lengths[column + 1]
                lengths[column + 1] = element == other ? diagonal + 1 : 0
                best = max(best, lengths[column + 1])
                diagonal = above
            }
            return best
        }
    }

    /// The length of the longest run that both have: the longest common substring.
    /// - Complexity: O(*n*·*m*).
    package static func longest<T: Equatable>(_ reference: [T], _ generated: [T]) -> Int {
        endings(reference, generated).max() ?? 0
    }

    /// The share of the reference's tokens that lie in a run of `least` tokens or more that the generated text also
    /// has; of a shorter reference, the whole of it is asked for. 0 for an empty one.
    ///
    /// Each token counts once, however many runs cover it, so the share is between 0 and 1. A text that is repeated with small changes scores
    /// high although its longest run is short.
    package static func share<T: Equatable>(
        of reference: [T], in generated: [T], atLeast least: Int = shortest
    )
        -> Double
    {
        guard !reference.isEmpty else { return 0 }
        let least = min(least, reference.count)
        // Runs that end at a place cover the places before it.
        var (covered, reach) = (0, Int.max)
        for (place, length) in endings(reference, generated).enumerated().reversed() {
            if length >= least { reach = min(reach, place - length + 1) }
            if place >= reach { covered += 1 }
        }
        return Double(covered) / Double(reference.count)
    }
}
