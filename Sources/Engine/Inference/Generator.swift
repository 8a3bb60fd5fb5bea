// SPDX-License-Identifier: Apache-2.0

import CKernels

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// Continues a text token by token, keeping keys and values of what was read.
package struct Generator {
    /// How the next token is chosen.
    package enum Choice: Sendable, Hashable {
        /// The most likely one, the first of equals.
        case greedy
        /// Drawn from softmax(logits / temperature); a function of the seed.
        case sample(temperature: Double, seed: UInt64)
    }

    /// Why a continuation ended.
    package enum Ending: String, Sendable, Hashable {
        case endOfText
        case maximum
        /// The model's context is full.
        case context
        /// A logit was not a number: the model's weights are broken.
        case notANumber
    }

    private let model: Transformer
    private let ends: Set<Int32>

    /// A generator that stops at `ends` (the model's own end-of-text ids unless given).
    package init(_ model: Transformer, ends: [Int32]? = nil) {
        self.model = model
        self.ends = Set(ends ?? model.configuration.endOfTextIDs)
    }

    /// Generates up to `maximum` tokens after `prompt`.
    ///
    /// - Parameter progress: Called with each new token; throw from it to stop.
    /// - Returns: The new tokens, without the prompt and without the end-of-text token.
    /// - Throws: ``EngineError`` with `.invalidBatch` for an empty prompt, one that fills the context, or ids
    ///   outside the vocabulary; what `progress` throws.
    package func continuation(
        of prompt: [Int32], maximum: Int, choice: Choice = .greedy,
        progress: (Int32) throws -> Void = { _ in }
    ) throws -> (tokens: [Int32], ending: Ending) {
        let context = model.configuration.contextLength
        guard prompt.count < context else {
            throw EngineError(
                .invalidBatch, "the prompt has \(prompt.count) tokens, but the model's context is \(context)",
                hint: "Shorten the prompt.")
        }
        let cache = try KeyValueCache(
            model.configuration, capacity: min(context, prompt.count + max(0, maximum)))
        var random = RandomSource(seed: 0)
        if case .sample(_, let seed) = choice { random = RandomSource(seed: seed) }
        var input = prompt
        var tokens: [Int32] = []
        while tokens.count < maximum {
            guard cache.length + input.count <= context else { return (tokens, .context) }
            let logits = try model.logits(input, lastOnly: true, cache: cache)
            guard let token = pick(logits, choice, &random) else { return (tokens, .notANumber) }
            if ends.contains(token) { return (tokens, .endOfText) }
            tokens.append(token)
            try progress(token)
            input = [token]
        }
        return (tokens, .maximum)
    }

    private func pick(_ logits: [Float], _ choice: Choice, _ random: inout RandomSource) -> Int32? {
        let best = logits.withUnsafeBufferPointer { buffer in
            buffer.baseAddress.map { model.context.kernels.pointee.argmax($0, buffer.count) } ?? -1
        }
        guard best >= 0 else { return nil }
        guard case .sample(let temperature, _) = choice, temperature > 0 else { return Int32(best) }
        let largest = Double(logits[best])
        let weights = logits.map { exp((Double($0) - largest) / temperature) }
        var rest = random.uniform() * weights.reduce(0, +)
        for (index, weight) in weights.enumerated() {
            rest -= weight
            if rest < 0 { return Int32(index) }
        }
        return Int32(best)
    }
}
