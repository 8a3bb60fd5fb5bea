// SPDX-License-Identifier: Apache-2.0

/// What one row scored under one version; `nil` what was not asked for or has no meaning for it.
package struct RowMeasures: Hashable, Sendable {
    /// The line in its file, counted from 1.
    package let line: Int
    package let score: RowScore
    package var exactMemorization: Double?
    package var extractionStrength: Double?
    package var minK: Double?
    package var minKPlus: Double?
    /// Bytes of the labelled text after zlib.
    package var compressedLength: Int?
    package var gradientNorm: Double?
    package var truthRatio: TruthRatio?
    /// Where the row has wrong answers and its own is the right one.
    package var normalizedProbability: Double?
    /// ℓ_old − ℓ_new: above 0 the replacement is more probable.
    package var replacementMargin: Double?
    /// The same under the paraphrased question.
    package var rewordedMargin: Double?
    /// Recall.
    package var rouge1: Double?
    /// Recall.
    package var rougeL: Double?
    /// F-measure without stems.
    package var rougeLF: Double?
    package var verbatimTokens: Int?
    package var verbatimCharacters: Int?
    package var nearVerbatim: Double?

    /// Measures of a row that has its score alone.
    package init(line: Int, score: RowScore) {
        self.line = line
        self.score = score
    }

    /// The columns of ``EvidenceName/rows``, in a fixed order.
    static let columns: [(name: String, value: @Sendable (RowMeasures) -> Double?)] = [
        ("loss", { $0.score.tokens > 0 ? $0.score.meanLoss : nil }),
        ("tokens", { Double($0.score.tokens) }), ("correct", { Double($0.score.correct) }),
        ("exact_memorization", \.exactMemorization), ("extraction_strength", \.extractionStrength),
        ("min_k", \.minK), ("min_k_plus", \.minKPlus),
        ("zlib_bytes", { $0.compressedLength.map(Double.init) }), ("gradient_norm", \.gradientNorm),
        ("truth_ratio_log", { $0.truthRatio?.logarithm }),
        ("normalized_probability", \.normalizedProbability),
        ("replacement_margin", \.replacementMargin), ("reworded_margin", \.rewordedMargin),
        ("rouge_1", \.rouge1), ("rouge_l", \.rougeL), ("rouge_l_f", \.rougeLF),
        ("verbatim_run", { $0.verbatimTokens.map(Double.init) }),
        ("verbatim_characters", { $0.verbatimCharacters.map(Double.init) }),
        ("near_verbatim", \.nearVerbatim),
    ]
}
