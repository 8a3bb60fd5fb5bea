// SPDX-License-Identifier: Apache-2.0

#if canImport(Glibc)
    import Glibc
#else
    import Darwin
#endif

/// How the next token is chosen from a model's logits.
///
/// The filters and their order are those of transformers' `generate`: temperature, then `topK`, then `topP`.
package struct Sampler: Sendable, Hashable {
    /// What the logits are divided by; 0 takes the most likely token, the first of equals.
    package var temperature: Double
    /// Only so many of the most likely tokens are drawn from, and all that are as likely as the last of them.
    package var topK: Int?
    /// Only the most likely tokens that make up this share of the probability are drawn from, at least one.
    package var topP: Double?
    /// Of the random numbers.
    package var seed: UInt64

    /// Always the most likely token.
    package static let greedy = Sampler(temperature: 0)

    /// A way to draw.
    package init(temperature: Double = 1, topK: Int? = nil, topP: Double? = nil, seed: UInt64 = 0) {
        self.temperature = temperature
        self.topK = topK
        self.topP = topP
        self.seed = seed
    }

    /// Whether it draws at all.
    package var isRandom: Bool { temperature > 0 }

    /// The random numbers of one continuation: a function of the seed, the prompt, and which of its samples it is, so
    /// that no other prompt or sample has a say in it.
    func random(prompt: [Int32], sample: Int) -> RandomSource {
        // FNV-1a over the ids.
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for id in prompt + [Int32(truncatingIfNeeded: sample)] {
            hash = (hash ^ UInt64(UInt32(bitPattern: id))) &* 0x0000_0100_0000_01B3
        }
        return RandomSource(seed: seed, stream: hash)
    }

    /// Draws a token: the first whose cumulated probability, in the order of ids, exceeds a uniform number.
    ///
    /// - Parameter logits: One for each token; the largest is finite.
    package func draw(_ logits: [Float], _ random: inout RandomSource) -> Int32 {
        logits.withUnsafeBufferPointer { draw($0, &random) }
    }

    func draw(_ logits: UnsafeBufferPointer<Float>, _ random: inout RandomSource) -> Int32 {
        let kept = candidates(logits)
        var rest = random.uniform() * kept.reduce(0) { $0 + $1.weight }
        for candidate in kept {
            rest -= candidate.weight
            if rest < 0 { return candidate.id }
        }
        return kept.last { $0.weight > 0 }?.id ?? 0
    }

    /// What may be drawn, in the order of ids, and the probability of each.
    package func distribution(_ logits: [Float]) -> [(id: Int32, probability: Double)] {
        let kept = logits.withUnsafeBufferPointer(candidates)
        let sum = kept.reduce(0) { $0 + $1.weight }
        return kept.map { ($0.id, $0.weight / sum) }
    }

    /// A token and its share, up to a common factor.
    private struct Candidate {
        var id: Int32
        var logit: Float
        var weight: Double
    }

    private func candidates(_ logits: UnsafeBufferPointer<Float>) -> [Candidate] {
        // The logits are divided in f32, as PyTorch does: what is equal after that counts as equal.
        let divisor = Float(temperature)
        let largest = (logits.max() ?? 0) / divisor
        let threshold = topK.map { self.threshold(logits, $0) / divisor } ?? -.infinity
        var kept: [Candidate] = []
        kept.reserveCapacity(topK ?? logits.count)
        for (id, value) in logits.enumerated() {
            let logit = value / divisor
            if logit >= threshold {
                kept.append(
                    Candidate(id: Int32(id), logit: logit, weight: exp(Double(logit) - Double(largest))))
            }
        }
        guard let topP, topP < 1, kept.count > 1 else { return kept }
        return nucleus(kept, topP)
    }

    /// The `count`-th largest of the logits.
    private func threshold(_ logits: UnsafeBufferPointer<Float>, _ count: Int) -> Float {
        guard count < logits.count else { return -.infinity }
        // Integers that are ordered as the numbers are.
        func key(_ value: Float) -> UInt64 {
            let bits = value.bitPattern
            return UInt64(bits >> 31 == 0 ? bits | 0x8000_0000 : ~bits)
        }
        var heap = MinimumHeap()
        var least: UInt64 = 0
        for (index, value) in logits.enumerated() {
            let key = key(value)
            if index >= count {
                guard key > least else { continue }
                _ = heap.pop()
            }
            heap.push(key)
            least = heap.least ?? 0
        }
        let bits = UInt32(least)
        return Float(bitPattern: bits >> 31 == 1 ? bits & 0x7FFF_FFFF : ~bits)
    }

    /// Without the least likely ones that make up no more than 1 − `share` together; of equals the first go first.
    private func nucleus(_ candidates: [Candidate], _ share: Double) -> [Candidate] {
        let sum = candidates.reduce(0) { $0 + $1.weight }
        let spare = (1 - share) * sum
        // What all of them together could spend on such small ones need not be sorted.
        let small = spare / Double(candidates.count)
        let order = candidates.indices.filter { candidates[$0].weight >= small }.sorted {
            (candidates[$0].logit, $0) < (candidates[$1].logit, $1)
        }
        var spent = candidates.reduce(0) { $0 + ($1.weight < small ? $1.weight : 0) }
        var first = 0
        while first < order.count - 1, spent + candidates[order[first]].weight <= spare {
            spent += candidates[order[first]].weight
            first += 1
        }
        return order[first...].sorted().map { candidates[$0] }
    }
}
