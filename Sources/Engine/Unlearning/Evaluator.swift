// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Measures a model on sets of rows.
package struct Evaluator {
    /// The sets that were given, in the order in which they are measured.
    package struct Sets: Sendable {
        package var all: [EvaluationSet]
        /// Makes text of continuations; without it only tokens are compared.
        package var tokenizer: Tokenizer?
        /// Tokens that end a text beside the model's own.
        package var ends: Set<Int32> = []

        /// Sets of rows.
        package init(_ all: [EvaluationSet] = []) { self.all = all }

        /// Sets of examples alone.
        package init(forget: [Example]?, retain: [Example]? = nil, holdout: [Example]? = nil) {
            all = [("forget", forget), ("retain", retain), ("holdout", holdout)].compactMap {
                name, examples in examples.map { EvaluationSet(name: name, examples: $0) }
            }
        }

        /// A set by its name.
        package subscript(_ name: String) -> EvaluationSet? { all.first { $0.name == name } }
        package var forget: [Example]? { self["forget"]?.examples }
        package var retain: [Example]? { self["retain"]?.examples }
        package var holdout: [Example]? { self["holdout"]?.examples }

        /// How many rows there are.
        package var count: Int { all.reduce(0) { $0 + $1.rows.count } }
    }

    private let model: Transformer
    private let batchSize: Int
    private let metrics: Set<EvaluationMetric>
    private let ranks: Ranks

    /// An evaluator that takes `batchSize` examples of like length at a time.
    ///
    /// - Parameters:
    ///   - metrics: What is measured beside what the rows' own pass gives.
    ///   - ranks: Who measures the same sets together: each takes some of the batches, prompts and rows, and all get all
    ///     scores, of the same bits as one process finds.
    package init(
        _ model: Transformer, batchSize: Int = 8, metrics: Set<EvaluationMetric> = [], ranks: Ranks = .alone
    ) {
        self.model = model
        self.batchSize = batchSize
        self.metrics = metrics
        self.ranks = ranks
    }

    /// Every set's rows with what they score.
    ///
    /// - Parameter progress: Called with sequences done and in all; throwing cancels.
    /// - Throws: ``EngineError``; what `progress` throws.
    package func measure(
        _ sets: Sets, progress: (_ done: Int, _ total: Int) throws -> Void = { _, _ in }
    ) throws -> [MeasuredSet] {
        var done = 0
        let total = sets.all.reduce(0) { $0 + work($1) }
        try progress(0, total)
        return try model.onCard {
            try sets.all.map { set in
                try measure(set, sets) { count in
                    done += count
                    try progress(done, total)
                }
            }
        }
    }

    /// The figures of the model, with nothing beside it.
    ///
    /// - Parameter progress: Called with sequences done and in all; throwing cancels.
    /// - Throws: ``EngineError``; what `progress` throws.
    package func figures(
        _ sets: Sets, accuracy: AccuracyUnit,
        progress: (_ done: Int, _ total: Int) throws -> Void = { _, _ in }
    ) throws -> EvaluationFigures {
        EvaluationFigures(try measure(sets, progress: progress), accuracy: accuracy, metrics: metrics)
    }

    /// Sequences that a set takes: those scored, those continued, those that gradients are taken of.
    private func work(_ set: EvaluationSet) -> Int {
        set.rows.reduce(0) { sum, row in
            sum + row.windows.count + row.probes.count + (row.prompt.isEmpty ? 0 : 1)
                + (takesGradients(set) ? 1 : 0)
        }
    }

    /// Gradients tell members from others: only these two sets have any use for them.
    private func takesGradients(_ set: EvaluationSet) -> Bool {
        metrics.contains(.gradientNorm) && ["forget", "holdout"].contains(set.name)
    }

    private func measure(_ set: EvaluationSet, _ sets: Sets, _ progress: (Int) throws -> Void) throws
        -> MeasuredSet
    {
        let windows = set.rows.flatMap(\.windows)
        var places = try positions(windows, moments: metrics.contains(.minKPlus), progress)[...]
        var measures = set.rows.map { row in
            let own = places.prefix(row.windows.count).flatMap(\.self)
            places = places.dropFirst(row.windows.count)
            return ownMeasures(row, own)
        }
        try scoreProbes(set.rows, &measures, progress)
        try compareContinuations(set, sets, &measures, progress)
        if takesGradients(set) {
            let norm = try GradientNormScore(model)
            var done = 0
            let norms = try ranks.shareOut(set.rows.count) { index in
                let value = try norm.of(set.rows[index])
                done += 1
                try progress(1)
                return [value]
            }
            if done < set.rows.count { try progress(set.rows.count - done) }
            for (index, value) in norms.joined().enumerated() { measures[index].gradientNorm = value }
        }
        return MeasuredSet(name: set.name, role: set.role, rows: measures)
    }

    /// The scores of the labels of each example, in order.
    private func positions(_ examples: [Example], moments: Bool = false, _ progress: (Int) throws -> Void)
        throws -> [[PositionScore]]
    {
        try ranks.byLength(examples, batchSize: batchSize, progress: progress) {
            try model.score($0, moments: moments)
        }
    }

    /// What the row's own labels give.
    private func ownMeasures(_ row: EvaluationRow, _ positions: [PositionScore]) -> RowMeasures {
        var measures = RowMeasures(line: row.line, score: RowScore(positions))
        let body = row.endsWithEnd ? positions.dropLast() : positions[...]
        let hits = body.map(\.correct)
        measures.exactMemorization = Memorization.exact(hits)
        measures.extractionStrength = Memorization.extractionStrength(hits)
        if metrics.contains(.minK) { measures.minK = MinK.score(body.map { -Double($0.nll) }) }
        if metrics.contains(.minKPlus) {
            measures.minKPlus = MinK.score(
                body.compactMap { position in
                    position.moments.map {
                        MinK.standardised(
                            logLikelihood: -Double(position.nll), mean: Double($0.mean),
                            variance: Double($0.variance))
                    }
                })
        }
        measures.compressedLength = row.compressedLength
        return measures
    }

    /// What other answers to the rows' questions give.
    private func scoreProbes(
        _ rows: [EvaluationRow], _ measures: inout [RowMeasures], _ progress: (Int) throws -> Void
    ) throws {
        let probes = rows.flatMap(\.probes)
        guard !probes.isEmpty else { return }
        var losses = try positions(probes, progress).map { RowScore($0).meanLoss }[...]
        for (index, row) in rows.enumerated() {
            // In the order of `probes`.
            func next(_ probe: Example?) -> Double? { probe == nil ? nil : losses.popFirst() }
            let paraphrase = next(row.paraphrase)
            let replacement = next(row.replacement)
            let reworded = (old: next(row.reworded?.old), new: next(row.reworded?.new))
            let wrong = row.wrong.compactMap(next)
            let own = measures[index].score.meanLoss
            if !wrong.isEmpty {
                measures[index].truthRatio = TruthRatio(right: paraphrase ?? own, wrong: wrong)
                if paraphrase == nil {
                    measures[index].normalizedProbability = NormalizedProbability.value(
                        right: own, wrong: wrong)
                }
            }
            measures[index].replacementMargin = replacement.map { own - $0 }
            if let old = reworded.old, let new = reworded.new { measures[index].rewordedMargin = old - new }
        }
    }

    /// What the model's own continuations give.
    private func compareContinuations(
        _ set: EvaluationSet, _ sets: Sets, _ measures: inout [RowMeasures],
        _ progress: (Int) throws -> Void
    ) throws {
        guard metrics.contains(where: \.generates) else { return }
        let tokenizer = sets.tokenizer
        let ends = sets.ends.union(model.configuration.endOfTextIDs)
        let continuations = try Continuations(model, ends: ends, ranks: ranks).greedy(
            set.rows.map(\.prompt), maximum: set.maxNewTokens, progress: progress)
        for (index, (row, tokens)) in zip(set.rows, continuations).enumerated() where !row.prompt.isEmpty {
            let text = tokenizer.map {
                Self.text($0.decode(tokens, skipSpecialTokens: true), until: set.stops)
            }
            if metrics.contains(.rouge), let text, let answer = row.answerText {
                let (words, reference) = (RougeTokens.words(of: text), RougeTokens.words(of: answer))
                measures[index].rouge1 = Rouge.unigrams(words, reference: reference).recall
                measures[index].rougeL = Rouge.longest(words, reference: reference).recall
                measures[index].rougeLF =
                    Rouge.longest(
                        RougeTokens.words(of: text, stemmed: false),
                        reference: RougeTokens.words(of: answer, stemmed: false)
                    ).fMeasure
            }
            if metrics.contains(.verbatim) {
                measures[index].verbatimTokens = CommonRuns.longest(row.answer, tokens)
                measures[index].nearVerbatim = CommonRuns.share(of: row.answer, in: tokens)
                if let text, let answer = row.answerText {
                    measures[index].verbatimCharacters = CommonRuns.longest(
                        Array(answer.unicodeScalars), Array(text.unicodeScalars))
                }
            }
        }
    }

    /// The text before the first of the stops.
    private static func text(_ text: String, until stops: [String]) -> String {
        let ends = stops.compactMap { text.firstRange(of: $0)?.lowerBound }
        return ends.min().map { String(text[..<$0]) } ?? text
    }
}

extension RowScore {
    /// The sum over a row's labels.
    fileprivate init(_ positions: [PositionScore]) {
        self.init(
            nll: positions.reduce(0) { $0 + Double($1.nll) }, tokens: positions.count,
            correct: positions.reduce(0) { $0 + ($1.correct ? 1 : 0) })
    }
}
