// SPDX-License-Identifier: Apache-2.0

/// A figure of one set of rows.
package enum SetFigure: String, Sendable, CaseIterable, Hashable {
    /// Mean −ln p per labelled token, nats, pooled over the set.
    case loss
    /// exp of the loss.
    case perplexity
    /// Right predictions / labelled tokens.
    case tokenAccuracy = "token_accuracy"
    /// Rows of which every token is predicted / rows.
    case rowAccuracy = "row_accuracy"
    /// Mean over rows of exp(−ℓ), ℓ the row's mean −ln p per token.
    case probability
    /// Mean over rows of the right answer's share of the probability of all answers offered.
    case normalizedProbability = "normalized_probability"
    /// Mean over rows of the share of labels that are predicted, without the end token.
    case exactMemorization = "exact_memorization"
    /// Mean over rows of the share of labels from the end that are all predicted, without the end token.
    case extractionStrength = "extraction_strength"
    /// Forget sets: mean min(R, 1/R); others: mean max(0, 1 − R).
    case truthRatio = "truth_ratio"
    /// Mean p_right / (p_right + p_wrong).
    case truthShare = "truth_share"
    /// Share of rows whose replacement is more probable than the old answer, under every wording given.
    case replaced
    /// The same under the paraphrased questions alone.
    case replacedParaphrase = "replaced_paraphrase"
    /// ROUGE-1 recall, stemmed.
    case rouge1 = "rouge_1"
    /// ROUGE-L recall, stemmed.
    case rougeL = "rouge_l"
    /// ROUGE-L F-measure, not stemmed.
    case rougeLF = "rouge_l_f"
    /// The longest run of tokens that a continuation shares with its answer, over all rows.
    case verbatimRun = "verbatim_run"
    /// The mean over rows of that run.
    case verbatimRunMean = "verbatim_run_mean"
    /// The longest shared run of characters, over all rows.
    case verbatimCharacters = "verbatim_characters"
    /// Mean share of the answers' tokens that lie in shared runs of 8 tokens or more.
    case nearVerbatim = "near_verbatim"
}

/// The figures of one set of rows; those that were not measured are absent.
package struct SetFigures: Hashable, Sendable {
    /// Rows with a predicted label.
    package var rows: Int
    /// Predicted labels.
    package var tokens: Int
    /// The figures; infinite and undefined ones are left out.
    package private(set) var values: [SetFigure: Double] = [:]

    /// No figures yet.
    package init(rows: Int, tokens: Int) {
        self.rows = rows
        self.tokens = tokens
    }

    /// A figure; setting one that is not a finite number removes it.
    package subscript(_ figure: SetFigure) -> Double? {
        get { values[figure] }
        set { values[figure] = newValue.finite }
    }
}

extension SetFigures: Codable {
    private struct Key: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        rows = try container.decode(Int.self, forKey: Key(stringValue: "rows"))
        tokens = try container.decode(Int.self, forKey: Key(stringValue: "tokens"))
        for figure in SetFigure.allCases {
            values[figure] = try container.decodeIfPresent(
                Double.self, forKey: Key(stringValue: figure.rawValue))
        }
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try container.encode(rows, forKey: Key(stringValue: "rows"))
        try container.encode(tokens, forKey: Key(stringValue: "tokens"))
        for figure in SetFigure.allCases {
            try container.encodeIfPresent(values[figure], forKey: Key(stringValue: figure.rawValue))
        }
    }
}
