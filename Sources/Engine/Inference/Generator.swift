// SPDX-License-Identifier: Apache-2.0

import CKernels

/// Continues texts token by token, keeping keys and values of what was read; several at a time, in one pass over the
/// weights.
package struct Generator {
    /// Why a continuation ended.
    package enum Ending: String, Sendable, Hashable {
        case endOfText
        case maximum
        /// The model's context is full.
        case context
        /// A logit was not a number: the model's weights are broken.
        case notANumber
    }

    /// One text to continue.
    package struct Request: Sendable, Hashable {
        package var prompt: [Int32]
        /// Which sample of the prompt it is: each has random numbers of its own.
        package var sample: Int

        /// A request for a prompt's sample.
        package init(prompt: [Int32], sample: Int = 0) {
            self.prompt = prompt
            self.sample = sample
        }
    }

    /// What was generated.
    package struct Continuation: Sendable, Hashable {
        /// The new tokens, without the prompt and without the one that ended it.
        package var tokens: [Int32]
        package var ending: Ending
        /// The token that ended it, if one did.
        package var end: Int32?
    }

    /// Keys and values of texts that are continued together take at most so many bytes, but for a single one.
    private static let cacheBudget = 256 << 20

    /// How many texts are continued together, and how many tokens each may come to.
    static func cacheSize(
        _ configuration: ModelConfiguration, _ texts: Int, prompt: Int, maximum: Int
    ) -> (rows: Int, capacity: Int) {
        let capacity = max(1, min(configuration.contextLength, prompt + maximum))
        let affordable = cacheBudget / KeyValueCache.bytes(configuration, capacity: capacity)
        return (max(1, min(texts, ComputeContext.independentRows, affordable)), capacity)
    }

    private let model: Transformer
    private let ends: Set<Int32>

    /// A generator that stops at `ends` (the model's own end-of-text ids unless given).
    package init(_ model: Transformer, ends: [Int32]? = nil) {
        self.model = model
        self.ends = Set(ends ?? model.configuration.endOfTextIDs)
    }

    /// Generates up to `maximum` tokens after each prompt.
    ///
    /// A continuation is a function of its prompt, its sample's number and the sampler alone, to the bit: what else is
    /// asked for beside it has no influence.
    ///
    /// - Parameter progress: Called after each step with the numbers of tokens made and of texts ended so far; throw from it
    ///   to stop.
    /// - Returns: The continuations in the order of the requests.
    /// - Throws: ``EngineError`` with `.invalidBatch` for an empty prompt, one that fills the context, or ids
    ///   outside the vocabulary; what `progress` throws.
    package func continuations(
        of requests: [Request], maximum: Int, sampler: Sampler = .greedy,
        progress: (_ tokens: Int, _ ended: Int) throws -> Void = { _, _ in }
    ) throws -> [Continuation] {
        let context = model.configuration.contextLength
        for request in requests where request.prompt.count >= context {
            throw EngineError(
                .invalidBatch,
                "the prompt has \(request.prompt.count) tokens, but the model's context is \(context)",
                hint: "Shorten the prompt.")
        }
        guard maximum > 0, let longest = requests.map(\.prompt.count).max() else {
            return requests.map { _ in Continuation(tokens: [], ending: .maximum) }
        }
        let size = Self.cacheSize(model.configuration, requests.count, prompt: longest, maximum: maximum)
        var batch = Batch(
            requests, maximum: maximum, sampler: sampler,
            cache: try KeyValueCache(model.configuration, rows: size.rows, capacity: size.capacity))
        while try step(&batch) { try progress(batch.made, batch.ended) }
        return batch.results
    }

    /// Generates up to `maximum` tokens after one prompt.
    package func continuation(
        of prompt: [Int32], maximum: Int, sampler: Sampler = .greedy
    ) throws -> Continuation {
        try continuations(of: [Request(prompt: prompt)], maximum: maximum, sampler: sampler)[0]
    }

    /// A text that is being continued.
    private struct Text {
        var request: Int
        var row: Int
        var last: Int32
        var random: RandomSource
    }

    /// All texts: those that wait, those that are continued, those that are done.
    private struct Batch {
        let requests: [Request]
        let maximum: Int
        let sampler: Sampler
        let cache: KeyValueCache
        var next = 0
        var texts: [Text] = []
        var freeRows: [Int]
        var made = 0
        var ended = 0
        var results: [Continuation]

        init(_ requests: [Request], maximum: Int, sampler: Sampler, cache: KeyValueCache) {
            self.requests = requests
            self.maximum = maximum
            self.sampler = sampler
            self.cache = cache
            freeRows = Array((0..<cache.rows).reversed())
            results = requests.map { _ in Continuation(tokens: [], ending: .maximum) }
        }
    }

    /// Reads prompts into free rows, and gives each text its next token.
    ///
    /// - Returns: Whether anything was done.
    private func step(_ batch: inout Batch) throws -> Bool {
        let vocabulary = model.configuration.vocabularySize
        if batch.next < batch.requests.count, let row = batch.freeRows.popLast() {
            let request = batch.next
            let prompt = batch.requests[request].prompt
            batch.cache.clear(row)
            let logits = try model.logits(
                continuing: [Transformer.Continued(row: row, tokens: prompt)], batch.cache)
            // Further samples of the prompt begin with what was read for the first.
            var rows = [row]
            while request + rows.count < batch.requests.count,
                batch.requests[request + rows.count].prompt == prompt, let other = batch.freeRows.popLast()
            {
                batch.cache.copy(row, to: other)
                rows.append(other)
            }
            batch.next += rows.count
            for (offset, row) in rows.enumerated() {
                let number = request + offset
                let random = batch.sampler.random(prompt: prompt, sample: batch.requests[number].sample)
                logits.withUnsafeBufferPointer {
                    accept($0, Text(request: number, row: row, last: 0, random: random), &batch)
                }
            }
            return true
        }
        guard !batch.texts.isEmpty else { return false }
        let texts = batch.texts
        batch.texts = []
        let logits = try model.logits(
            continuing: texts.map { Transformer.Continued(row: $0.row, tokens: [$0.last]) }, batch.cache)
        logits.withUnsafeBufferPointer { logits in
            for (index, text) in texts.enumerated() {
                let own = UnsafeBufferPointer(
                    rebasing: logits[index * vocabulary..<(index + 1) * vocabulary])
                accept(own, text, &batch)
            }
        }
        return true
    }

    /// Chooses a text's next token, and lets it go on or ends it.
    private func accept(_ logits: UnsafeBufferPointer<Float>, _ text: Text, _ batch: inout Batch) {
        var text = text
        func end(_ ending: Ending, _ token: Int32? = nil) {
            batch.results[text.request].ending = ending
            batch.results[text.request].end = token
            batch.freeRows.append(text.row)
            batch.ended += 1
        }
        guard let token = pick(logits, batch.sampler, &text.random) else { return end(.notANumber) }
        batch.made += 1
        if ends.contains(token) { return end(.endOfText, token) }
        batch.results[text.request].tokens.append(token)
        if batch.results[text.request].tokens.count >= batch.maximum { return end(.maximum) }
        if batch.cache.lengths[text.row] >= model.configuration.contextLength { return end(.context) }
        text.last = token
        batch.texts.append(text)
    }

    private func pick(
        _ logits: UnsafeBufferPointer<Float>, _ sampler: Sampler, _ random: inout RandomSource
    ) -> Int32? {
        guard let base = logits.baseAddress else { return nil }
        let best = model.context.kernels.pointee.argmax(base, logits.count)
        guard best >= 0, logits[best].isFinite else { return nil }
        return sampler.isRandom ? sampler.draw(logits, &random) : Int32(best)
    }
}
