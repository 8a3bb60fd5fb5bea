// SPDX-License-Identifier: Apache-2.0

/// ROUGE-1 and ROUGE-L of a text against a reference (Lin, *ROUGE: A Package for Automatic Evaluation of Summaries*,
/// 2004), with the numbers of the rouge-score package, which TOFU and MUSE use.
package struct Rouge: Hashable, Sendable {
    /// Matches by the length of the generated text.
    package let precision: Double
    /// Matches by the length of the reference.
    package let recall: Double

    /// The harmonic mean of both; 0 when both are.
    package var fMeasure: Double {
        precision + recall > 0 ? 2 * precision * recall / (precision + recall) : 0
    }

    private init(matches: Int, generated: Int, reference: Int) {
        precision = generated == 0 ? 0 : Double(matches) / Double(generated)
        recall = reference == 0 ? 0 : Double(matches) / Double(reference)
    }

    /// ROUGE-1: words in common, each as often as it stands in both.
    package static func unigrams(_ generated: [[UInt8]], reference: [[UInt8]]) -> Rouge {
        var counts: [[UInt8]: Int] = [:]
        for word in reference { counts[word, default: 0] += 1 }
        var matches = 0
        for word in generated {
            guard let count = counts[word], count > 0 else { continue }
            counts[word] = count - 1
            matches += 1
        }
        return Rouge(matches: matches, generated: generated.count, reference: reference.count)
    }

    /// ROUGE-L: the longest sequence of words that both have in this order, with gaps or without.
    package static func longest(_ generated: [[UInt8]], reference: [[UInt8]]) -> Rouge {
        var lengths = [Int](repeating: 0, count: generated.count + 1)
        for word in reference {
            var diagonal = 0
            for (column, other) in generated.enumerated() {
                let above = lengths[column + 1]
                lengths[column + 1] = word == other ? diagonal + 1 : max(above, lengths[column])
                diagonal = above
            }
        }
        return Rouge(
            matches: lengths[generated.count], generated: generated.count, reference: reference.count)
    }
}
