// SPDX-License-Identifier: Apache-2.0

import Protocol

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// A set's rows with what they scored under one version.
package struct MeasuredSet: Sendable {
    package let name: String
    package let role: UtilitySet.Role
    /// Rows with at least one predicted label.
    package let rows: [RowMeasures]

    /// A measured set.
    package init(name: String, role: UtilitySet.Role, rows: [RowMeasures]) {
        self.name = name
        self.role = role
        self.rows = rows.filter { $0.score.tokens > 0 }
    }

    /// The scores of an attack, row by row; `nil` where a row has none.
    package func scores(_ attack: MembershipAttack) -> [Double]? {
        let values: [Double?] =
            switch attack {
            case .loss: rows.map(\.score.meanLoss)
            case .zlib:
                rows.map { row in row.compressedLength.map { row.score.meanLoss / Double($0) } }
            case .minK: rows.map(\.minK)
            case .minKPlus: rows.map(\.minKPlus)
            case .gradientNorm: rows.map(\.gradientNorm)
            case .reference: []
            }
        let known = values.compactMap(\.self)
        return known.count == rows.count && !known.isEmpty ? known : nil
    }

    /// The loss of each row less that of the same row under the reference; `nil` when the rows differ.
    package func scores(against reference: MeasuredSet) -> [Double]? {
        guard rows.map(\.line) == reference.rows.map(\.line), !rows.isEmpty else { return nil }
        return zip(rows, reference.rows).map { $0.score.meanLoss - $1.score.meanLoss }
    }

    /// The logarithms of the rows' truth ratios; `nil` unless every row has one.
    package var truthRatios: [Double]? {
        let values = rows.compactMap { $0.truthRatio?.logarithm }
        return values.count == rows.count && !values.isEmpty ? values : nil
    }

    /// The figures of the set.
    package var figures: SetFigures {
        let set = SetScore(rows.map(\.score))
        var figures = SetFigures(rows: rows.count, tokens: set.tokens)
        guard !rows.isEmpty else { return figures }
        figures[.loss] = set.loss
        figures[.perplexity] = exp(set.loss)
        figures[.tokenAccuracy] = set.accuracy(.token)
        figures[.rowAccuracy] = set.accuracy(.row)
        figures[.probability] = mean { exp(-$0.score.meanLoss) }
        figures[.normalizedProbability] = mean(\.normalizedProbability)
        figures[.exactMemorization] = mean(\.exactMemorization)
        figures[.extractionStrength] = mean(\.extractionStrength)
        figures[.truthRatio] = mean { role == .forget ? $0.truthRatio?.closeness : $0.truthRatio?.margin }
        figures[.truthShare] = mean { $0.truthRatio?.rightShare }
        figures[.replaced] = mean { row in
            row.replacementMargin.map { $0 > 0 && (row.rewordedMargin ?? 1) > 0 ? 1 : 0 }
        }
        figures[.replacedParaphrase] = mean { $0.rewordedMargin.map { $0 > 0 ? 1 : 0 } }
        figures[.rouge1] = mean(\.rouge1)
        figures[.rougeL] = mean(\.rougeL)
        figures[.rougeLF] = mean(\.rougeLF)
        figures[.verbatimRun] = rows.compactMap(\.verbatimTokens).max().map(Double.init)
        figures[.verbatimRunMean] = mean { $0.verbatimTokens.map(Double.init) }
        figures[.verbatimCharacters] = rows.compactMap(\.verbatimCharacters).max().map(Double.init)
        figures[.nearVerbatim] = mean(\.nearVerbatim)
        return figures
    }

    /// The rows' scores as numbers, without any text: an element of ``EvidenceName/rows``. Of a large set the first
    /// rows are kept, and `left_out` counts the others.
    package func evidence(role: String) -> JSONValue {
        // Evidence has a bound; curves are drawn from forget and holdout rows.
        let kept = rows.prefix(["forget", "holdout"].contains(name) ? 2000 : 500)
        var columns = JSONObject()
        for (name, value) in RowMeasures.columns {
            let column = kept.map { value($0).finite }
            guard column.contains(where: { $0 != nil }) else { continue }
            columns[name] = .array(column.map { $0.map { .number($0) } ?? .null })
        }
        return [
            "role": .string(role), "set": .string(name),
            "lines": .array(kept.map { .integer(Int64($0.line)) }), "columns": .object(columns),
            "left_out": .integer(Int64(rows.count - kept.count)),
        ]
    }

    /// The mean over the rows that have the value.
    private func mean(_ value: (RowMeasures) -> Double?) -> Double? { Mean.of(rows.compactMap(value)) }
}
