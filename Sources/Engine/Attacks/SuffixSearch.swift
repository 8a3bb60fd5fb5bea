// SPDX-License-Identifier: Apache-2.0

import Protocol

/// A suffix of real tokens between question and answer, searched so that the model gives the answers: greedy coordinate
/// gradient (GCG; Zou et al., *Universal and Transferable Adversarial Attacks on Aligned Language Models*, arXiv
/// 2307.15043, algorithm 2).
///
/// A step takes the gradient of the rows' mean loss by the one-hot vectors of the suffix's tokens, holds for each place
/// the `top` tokens whose slope promises the largest fall, draws `candidates` suffixes that differ from the present one
/// in one of those, computes the loss of each, and takes the best. Where we differ on purpose: all rows count from the
/// first step on, a step in which no candidate is better changes nothing, and what `isTypable` refuses is never tried,
/// so that the suffix can be typed and not only be put in as ids.
package final class SuffixSearch {
    /// Which candidates a step looks at.
    package struct Settings: Sendable, Hashable {
        /// Suffixes whose loss is computed in a step.
        package var candidates: Int
        /// Tokens that are held for each place.
        package var top: Int
        /// Rows that are in memory together.
        package var batchSize: Int

        /// A search's settings.
        package init(candidates: Int = 32, top: Int = 64, batchSize: Int = 8) {
            self.candidates = candidates
            self.top = top
            self.batchSize = batchSize
        }
    }

    /// The best suffix so far.
    package private(set) var tokens: [Int32]
    private let model: Transformer
    private let rows: [PromptRow]
    private let settings: Settings
    private let isAllowed: [Bool]
    private let isTypable: ([Int32]) -> Bool
    private let ranks: Ranks
    private let scratch: FloatStorage
    private var random: RandomSource

    /// A search that begins at `start`.
    ///
    /// - Parameters:
    ///   - rows: What shall be answered; those that do not fit the context with the suffix are left out.
    ///   - start: At least one token.
    ///   - banned: Tokens that may not stand in the suffix, such as those that end a text.
    ///   - ranks: Who searches together: each tries some of a step's candidates.
    ///   - isTypable: Whether a text spells these tokens.
    /// - Throws: ``EngineError`` where there is no memory for the gradients.
    package init(
        _ model: Transformer, rows: [PromptRow], start: [Int32], banned: Set<Int32>, seed: UInt64,
        settings: Settings = Settings(), ranks: Ranks = .alone,
        isTypable: @escaping ([Int32]) -> Bool = { _ in true }
    ) throws(EngineError) {
        precondition(!start.isEmpty, "a suffix has at least one token")
        self.model = model
        let context = model.configuration.contextLength
        self.rows = rows.filter { $0.prompt.count + start.count + $0.answer.count <= context }
        self.settings = settings
        self.isTypable = isTypable
        self.ranks = ranks
        tokens = start
        isAllowed = (0..<model.configuration.vocabularySize).map { !banned.contains(Int32($0)) }
        scratch = try model.makeBuffer()
        random = RandomSource(seed: seed, stream: 0x5355_4646)
    }

    /// Whether any row fits the context with the suffix.
    package var hasRows: Bool { !rows.isEmpty }

    /// A step of the search.
    ///
    /// - Parameter progress: Called after each candidate; throwing cancels.
    /// - Returns: The loss before the step, and that of the suffix which it leaves.
    /// - Throws: ``EngineError``; what `progress` throws.
    package func step(progress: () throws -> Void = {}) throws -> (before: Double, after: Double) {
        let (before, slopes) = try model.tokenSlopes(
            rows.map { Self.example($0, tokens) }, starts: rows.map(\.prompt.count), length: tokens.count,
            batchSize: settings.batchSize, scratch: scratch)
        let vocabulary = model.configuration.vocabularySize
        let held = tokens.indices.map { place in
            promising(slopes[place * vocabulary..<(place + 1) * vocabulary], instead: tokens[place])
        }
        var best = (loss: before, tokens: tokens)
        let candidates = candidates(held)
        let losses = try ranks.shareOut(candidates.count) { index in
            let loss = try loss(of: candidates[index])
            try progress()
            return [loss]
        }
        for (candidate, loss) in zip(candidates, losses.joined()) where loss < best.loss {
            best = (loss, candidate)
        }
        tokens = best.tokens
        return (before, best.loss)
    }

    /// The mean loss of the rows' answers behind a suffix.
    ///
    /// - Throws: ``EngineError`` with `.invalidBatch`.
    package func loss(of suffix: [Int32]) throws -> Double {
        let scores = try model.rowScores(
            rows.map { Self.example($0, suffix) }, batchSize: settings.batchSize)
        return scores.reduce(0) { $0 + $1.nll } / Double(scores.reduce(0) { $0 + $1.tokens })
    }

    /// Question, suffix and answer, with labels on the answer.
    package static func example(_ row: PromptRow, _ suffix: [Int32]) -> Example {
        let given = row.prompt + suffix
        return Example(
            ids: given + row.answer,
            labels: [Int32](repeating: DatasetParser.unlabelled, count: given.count) + row.answer,
            line: row.line)
    }

    /// The tokens that promise the largest fall in one place, best first; equals by their number.
    private func promising(_ slopes: ArraySlice<Float>, instead present: Int32) -> [Int32] {
        let first = slopes.startIndex
        let order = slopes.indices.filter { isAllowed[$0 - first] && $0 - first != Int(present) }
            .sorted { (slopes[$0], $0) < (slopes[$1], $1) }
        return order.prefix(settings.top).map { Int32($0 - first) }
    }

    /// Different suffixes that differ from the present one in one place.
    private func candidates(_ held: [[Int32]]) -> [[Int32]] {
        var drawn: [[Int32]] = []
        var seen: Set<[Int32]> = []
        // Of what cannot be typed more is drawn, up to a limit.
        for _ in 0..<4 * settings.candidates where drawn.count < settings.candidates {
            let place = Int(random.below(UInt64(tokens.count)))
            guard !held[place].isEmpty else { continue }
            var suffix = tokens
            suffix[place] = held[place][Int(random.below(UInt64(held[place].count)))]
            if seen.insert(suffix).inserted, isTypable(suffix) { drawn.append(suffix) }
        }
        return drawn
    }
}
