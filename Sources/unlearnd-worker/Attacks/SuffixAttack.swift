// SPDX-License-Identifier: Apache-2.0

import Engine
import Protocol

/// Finds a suffix that makes the model answer some rows: what ``PromptAttack`` then asks the others with.
struct SuffixAttack {
    /// What a search came to.
    struct Found {
        var tokens: [Int32]
        /// Its text, where there is a tokenizer.
        var text: String?
        /// The mean loss of the rows' answers behind the first suffix and behind the last.
        var losses: (first: Double, last: Double)
    }

    /// Most rows that are searched on: each candidate of each step is a pass over all of them.
    static let mostRows = 8

    let context: JobContext
    let model: Transformer
    let tokenizer: Tokenizer?
    /// Tokens that end a text: a suffix with one would be another conversation.
    let ends: Set<Int32>

    private var parameters: JobParameters { context.parameters }

    /// - Returns: `nil` where no row fits the context, or where no token of the vocabulary survives being written as text
    ///   and read again.
    func search(_ rows: [PromptRow], _ phase: Phase) throws -> Found? {
        guard let start = start() else { return nil }
        let steps = parameters.suffixSteps ?? 50
        let search = try SuffixSearch(
            model, rows: rows.spread(to: Self.mostRows), start: start, banned: banned,
            seed: context.spec.seed ?? 0,
            settings: .init(
                candidates: parameters.suffixCandidates ?? 32, batchSize: parameters.batchSize ?? 8),
            ranks: context.ranks, isTypable: isTypable)
        guard search.hasRows else { return nil }
        var losses: (first: Double, last: Double)?
        for step in 1...steps {
            let (before, after) = try search.step { try context.checkCancelled() }
            losses = (losses?.first ?? before, after)
            try phase.update(step, of: steps)
        }
        return losses.map {
            Found(
                tokens: search.tokens, text: tokenizer?.decode(search.tokens, skipSpecialTokens: false),
                losses: $0)
        }
    }

    /// Tokens without a text, and what a tokenizer calls special: nobody types those.
    private var banned: Set<Int32> {
        guard let tokenizer else { return ends }
        return ends.union(
            (0..<Int32(model.configuration.vocabularySize)).filter {
                tokenizer.decode([$0], skipSpecialTokens: true).isEmpty
            })
    }

    /// Whether a text spells the tokens: it is read as they are.
    private func isTypable(_ tokens: [Int32]) -> Bool {
        guard let tokenizer else { return true }
        return tokenizer.encode(tokenizer.decode(tokens, skipSpecialTokens: false), addSpecialTokens: false)
            == tokens
    }

    /// One token again and again: an exclamation mark as in the paper, or else the first that can be typed so often.
    private func start() -> [Int32]? {
        let length = parameters.suffixTokens ?? MethodDefaults.suffixTokens
        func repeated(_ token: Int32) -> [Int32] { [Int32](repeating: token, count: length) }
        guard let tokenizer else { return repeated(ends.contains(0) ? 1 : 0) }
        for text in [" !", "!"] {
            let tokens = tokenizer.encode(text, addSpecialTokens: false)
            if let token = tokens.last, tokens.count == 1, isTypable(repeated(token)) {
                return repeated(token)
            }
        }
        let banned = banned
        return (0..<Int32(model.configuration.vocabularySize)).lazy.filter { !banned.contains($0) }
            .map(repeated).first(where: isTypable)
    }
}
