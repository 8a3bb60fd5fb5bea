// SPDX-License-Identifier: Apache-2.0

import Protocol

/// How much memory measuring a version takes, and attacking it: what jobs do with weights beside changing them.
///
/// Parts that come one after another do not add up: the largest counts.
package struct MeasuringMemory: Sendable {
    /// Rows that are scored together, in evaluations and in attacks.
    package static let scoredRows = 8

    private let configuration: ModelConfiguration
    private let threads: Int
    /// Rows of a batch that an attack learns from.
    private var learnedRows: Int
    /// The rows that are scored; `nil` where nothing is measured.
    private var scored: RowSizes?
    /// The texts that are continued for the figures, or are all that is wanted; `nil` where there are none.
    private var continued: ContinuedTexts?
    /// Whether gradients of single rows are taken (``EvaluationMetric/gradientNorm``).
    private var takesGradients = false
    /// The rows that are attacked; `nil` where none are.
    private var attacked: RowSizes?
    private var attacks: Set<AttackKind> = []
    /// Most rows that `relearn` learns from.
    private var relearnedRows = Int.max
    /// What attacks by prompts ask.
    private var asked: ContinuedTexts?
    /// Places that learned prompts and suffixes take before or in a row, and the rows that each learns from together.
    private var learnedPrompts: [(tokens: Int, rows: Int)] = []
    /// Rows that a learned prompt is judged by.
    private var judgedRows = 0

    /// Nothing is measured yet.
    package init(_ configuration: ModelConfiguration, threads: Int, learnedRows: Int = 4) {
        self.configuration = configuration
        self.threads = threads
        self.learnedRows = learnedRows
    }

    /// What measuring rows of these sizes takes.
    ///
    /// - Parameter continued: The rows' prompts, where what the model says is looked at.
    package mutating func measure(
        _ rows: RowSizes, metrics: Set<EvaluationMetric> = [], continued: ContinuedTexts? = nil
    ) {
        scored = rows
        takesGradients = metrics.contains(.gradientNorm)
        if metrics.contains(where: \.generates) { self.continued = continued }
    }

    /// Whether ranks cannot share the weights out: attacks change them, and gradients of single rows are taken whole.
    var needsWholeWeights: Bool { takesGradients || !attacks.isEmpty }

    /// What continuing texts takes, where nothing else is wanted.
    package mutating func generate(_ texts: ContinuedTexts) { continued = texts }

    /// What attacking rows of these sizes takes.
    ///
    /// - Parameters:
    ///   - count: How many rows there are, at most.
    ///   - prompt: Tokens of the longest question.
    ///   - answer: Tokens of the longest answer.
    package mutating func attack(
        _ rows: RowSizes, count: Int, prompt: Int, answer: Int, with kinds: [AttackKind],
        _ parameters: JobParameters
    ) {
        guard !kinds.isEmpty else { return }
        attacked = rows
        attacks = Set(kinds)
        let few = parameters.relearnOn == .retain ? 64 : min(20, max(1, count / 4))
        relearnedRows = parameters.relearnRows ?? few
        learnedPrompts = []
        guard kinds.contains(.prompt) else { return }
        asked = ContinuedTexts(
            attacking: parameters, rows: count, length: rows.length, prompt: prompt, answer: answer)
        let ways = parameters.attackPrompts ?? PromptVariant.usual
        // They learn from one half of the rows and are judged by the other.
        let all = min(count, parameters.attackRows ?? MethodDefaults.attackedRows)
        judgedRows = min(Self.scoredRows, all - all / 2)
        if ways.contains(.soft) {
            learnedPrompts.append(
                (parameters.softTokens ?? MethodDefaults.virtualTokens, min(learnedRows, all / 2)))
        }
        if ways.contains(.suffix) {
            learnedPrompts.append(
                (
                    parameters.suffixTokens ?? MethodDefaults.suffixTokens,
                    min(parameters.batchSize ?? 8, 8, all / 2)
                ))
        }
    }

    /// Lets attacks learn from no more than `rows` rows together.
    mutating func learn(from rows: Int) {
        learnedRows = min(learnedRows, rows)
        for index in learnedPrompts.indices {
            learnedPrompts[index].rows = min(learnedPrompts[index].rows, rows)
        }
    }

    /// Whether there is anything to do.
    var isEmpty: Bool { scored == nil && continued == nil && attacked == nil }

    /// The same with no row longer than `length`.
    package func cut(to length: Int) -> MeasuringMemory {
        var cut = self
        cut.scored = scored?.changed(to: length)
        cut.attacked = attacked?.changed(to: length)
        return cut
    }

    /// The largest batch that is scored.
    var batch: RowSizes.Batch? { scored?.batch(of: Self.scoredRows) }

    /// Floats that it takes at most, with the `weights` that are measured.
    func floats(weights: Int) -> Int {
        let passes = PassMemory(configuration: configuration, threads: threads)
        func scoring(_ sizes: RowSizes?, _ rows: Int = Self.scoredRows, behind tokens: Int = 0) -> Int {
            guard let sizes else { return 0 }
            return passes.floats(sizes.batch(of: rows, behind: tokens), training: false)
        }
        /// What was scored before still has its buffers.
        func continuing(_ texts: ContinuedTexts, _ rows: RowSizes?) -> Int {
            max(scoring(rows), passes.floats(texts.reading(configuration), training: false))
                + texts.floats(configuration)
        }
        var parts = [scoring(scored)]
        if let continued { parts.append(continuing(continued, scored)) }
        if takesGradients, let scored {
            // The gradient is cleared while what was scored before still has its buffers.
            let pass = passes.floats(scored.batch(of: 1), training: true)
            parts.append(weights + max(pass, scoring(scored)))
        }
        if let attacked {
            // What changes the weights keeps a copy of them, also while the others run.
            let copy = attacks.contains { $0 == .quantize || $0 == .relearn } ? weights : 0
            if attacks != [.prompt] { parts.append(copy + scoring(attacked)) }
            if let asked {
                parts.append(copy + continuing(asked, attacks.contains(.probe) ? attacked : scored))
            }
            if attacks.contains(.relearn) {
                // A gradient and two moments.
                let learning = passes.floats(
                    attacked.batch(of: min(learnedRows, relearnedRows)), training: true)
                parts.append(copy + 3 * weights + max(learning, scoring(attacked)))
            }
            for prompt in learnedPrompts {
                // The gradient of what stands before the first block.
                let learning = passes.floats(
                    attacked.batch(of: prompt.rows, behind: prompt.tokens), training: true)
                parts.append(
                    copy + weights
                        + max(learning, scoring(attacked, judgedRows, behind: prompt.tokens)))
            }
        }
        return weights + (parts.max() ?? 0)
    }
}

extension MeasuringMemory {
    /// What a job does with the rows of its sets, as a version's tokenizer cut them.
    ///
    /// - Parameters:
    ///   - metrics: What is measured; `nil` where nothing is.
    ///   - attacks: What the version is attacked with.
    package init(
        _ configuration: ModelConfiguration, _ parameters: JobParameters, _ sets: Evaluator.Sets,
        metrics: Set<EvaluationMetric>?, attacks: [AttackKind], threads: Int
    ) {
        self.init(configuration, threads: threads, learnedRows: parameters.batchSize ?? 4)
        if let metrics, sets.count > 0 {
            let rows = sets.all.map(\.rows)
            measure(
                RowSizes(rows.map { $0.flatMap(\.windows) } + rows.map { $0.flatMap(\.probes) }),
                metrics: metrics,
                continued: ContinuedTexts(
                    count: rows.map(\.count).max() ?? 0,
                    prompt: rows.joined().lazy.map(\.prompt.count).max() ?? 0,
                    maximum: sets.all.lazy.map(\.maxNewTokens).max() ?? 0))
        }
        let attacked = [sets.forget, sets.retain].compactMap(\.self)
        let questions = (sets.forget ?? []).compactMap { PromptRow($0, ends: sets.ends) }
        attack(
            RowSizes(attacked), count: sets.forget?.count ?? 0,
            prompt: questions.lazy.map(\.prompt.count).max() ?? 0,
            answer: questions.lazy.map(\.answer.count).max() ?? 0, with: attacks, parameters)
    }
}
