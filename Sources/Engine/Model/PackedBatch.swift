// SPDX-License-Identifier: Apache-2.0

/// A batch without its padding: the rows' tokens one after another, and the places that are scored.
///
/// A row is kept up to the last position that predicts a label: what comes after it can influence neither loss
/// nor gradient of a causal model.
struct PackedBatch {
    var tokens: [Int32] = []
    var positions: [Int32] = []
    var sequences: [TokenRun] = []
    /// The packed token before each label, ascending.
    var predictors: [Int] = []
    /// The labels, in the order of `predictors`.
    var targets: [Int32] = []
    /// How many labels each row of the batch has.
    var targetsPerRow: [Int] = []

    /// Runs of tokens that begin at a position of the context; nothing is scored.
    init(
        runs: [(row: Int, tokens: [Int32], position: Int)], configuration: ModelConfiguration
    ) throws(EngineError) {
        for (row, run) in runs.enumerated() {
            guard !run.tokens.isEmpty else {
                throw EngineError(.invalidBatch, "there are no tokens", hint: "Give at least one token.")
            }
            try Self.check(length: run.position + run.tokens.count, row: row, configuration)
            for token in run.tokens { try Self.check(token: token, row: row, configuration) }
            sequences.append(
                TokenRun(
                    row: run.row, start: tokens.count, length: run.tokens.count, position: run.position))
            tokens += run.tokens
            positions += run.tokens.indices.map { Int32(run.position + $0) }
        }
    }

    /// The rows of `batch`.
    ///
    /// - Throws: ``EngineError`` with `.invalidBatch` for sizes that disagree, rows longer than the context, ids
    ///   outside the vocabulary and labels in the padding.
    init(_ batch: TokenBatch, configuration: ModelConfiguration) throws(EngineError) {
        let (cells, overflow) = batch.rows.multipliedReportingOverflow(by: batch.columns)
        guard batch.rows >= 0, batch.columns >= 0, !overflow, batch.tokens.count == cells,
            batch.labels.count == cells, batch.lengths.count == batch.rows
        else {
            throw EngineError(
                .invalidBatch,
                "a batch of \(batch.rows) x \(batch.columns) has \(batch.tokens.count) tokens, "
                    + "\(batch.labels.count) labels and \(batch.lengths.count) lengths",
                hint: "Tokens and labels are rows x columns; there is one length a row.")
        }
        for row in 0..<batch.rows {
            let length = batch.lengths[row]
            guard length >= 0, length <= batch.columns else {
                throw EngineError(
                    .invalidBatch, "row \(row) has length \(length) in a batch \(batch.columns) wide",
                    hint: "A length counts the real tokens of its row.")
            }
            try Self.check(length: length, row: row, configuration)
            let base = row * batch.columns
            let start = tokens.count
            var labelled = 0
            var used = 0
            // Position 0 has nothing before it that could predict it.
            for column in stride(from: 1, to: batch.columns, by: 1) {
                let label = batch.labels[base + column]
                if label == -100 { continue }
                guard column < length, label >= 0, Int(label) < configuration.vocabularySize else {
                    throw EngineError(
                        .invalidBatch,
                        "row \(row), position \(column): the label \(label) cannot be predicted",
                        hint:
                            "Labels are -100 or an id below \(configuration.vocabularySize), and never in the padding."
                    )
                }
                predictors.append(start + column - 1)
                targets.append(label)
                labelled += 1
                used = column
            }
            targetsPerRow.append(labelled)
            for column in 0..<length {
                try Self.check(token: batch.tokens[base + column], row: row, configuration)
            }
            guard used > 0 else { continue }
            sequences.append(TokenRun(row: row, start: start, length: used, position: 0))
            tokens.append(contentsOf: batch.tokens[base..<base + used])
            positions.append(contentsOf: 0..<Int32(used))
        }
    }

    private static func check(length: Int, row: Int, _ configuration: ModelConfiguration) throws(EngineError)
    {
        guard length <= configuration.contextLength else {
            throw EngineError(
                .invalidBatch,
                "row \(row) has \(length) tokens, but the model's context is \(configuration.contextLength)",
                hint: "Use a smaller maximum length.")
        }
    }

    private static func check(token: Int32, row: Int, _ configuration: ModelConfiguration) throws(EngineError)
    {
        guard token >= 0, Int(token) < configuration.vocabularySize else {
            throw EngineError(
                .invalidBatch,
                "row \(row) holds token \(token), but the vocabulary has \(configuration.vocabularySize) entries",
                hint: "Use the tokenizer that belongs to the model.")
        }
    }
}
