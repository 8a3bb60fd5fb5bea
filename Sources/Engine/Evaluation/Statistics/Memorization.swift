// SPDX-License-Identifier: Apache-2.0

/// What teacher-forced greedy predictions say of how far a row is known by heart.
///
/// The hits are those of the row's labels without its end token, as in OpenUnlearning: the end of an answer is no
/// part of what is remembered.
package enum Memorization {
    /// Exact memorisation (Tirumala et al., arXiv 2205.10770): the share of labels that are predicted.
    /// - Returns: `nil` for no labels.
    package static func exact(_ hits: [Bool]) -> Double? {
        hits.isEmpty ? nil : Double(hits.lazy.filter(\.self).count) / Double(hits.count)
    }

    /// Extraction strength (Carlini et al., arXiv 2012.07805): 1 − j/n, where every label from the j-th on is
    /// predicted: the share of the row that need not be given to get the rest.
    ///
    /// A row whose last label is missed has 0, as in the definition. OpenUnlearning's loop ends one earlier and gives
    /// 1/n for such rows; we do not repeat that.
    /// - Returns: `nil` for no labels.
    package static func extractionStrength(_ hits: [Bool]) -> Double? {
        guard !hits.isEmpty else { return nil }
        let known = hits.reversed().prefix { $0 }.count
        return Double(known) / Double(hits.count)
    }
}
