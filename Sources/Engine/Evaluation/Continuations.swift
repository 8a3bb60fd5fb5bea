// SPDX-License-Identifier: Apache-2.0

/// Greedy continuations of the prompts of many rows, for the figures that look at what a model says; many at a time,
/// and to the bit what each would be alone.
package struct Continuations {
    private let generator: Generator
    private let ranks: Ranks

    /// Continuations that stop at `ends`.
    ///
    /// - Parameter ranks: Who continues the same prompts together; all get all continuations.
    package init(_ model: Transformer, ends: Set<Int32>, ranks: Ranks = .alone) {
        generator = Generator(model, ends: Array(ends))
        self.ranks = ranks
    }

    /// The new tokens after each prompt, without the end token; none after an empty prompt.
    ///
    /// - Parameter progress: Called after each step with how many prompts were done since the last call.
    /// - Throws: ``EngineError``; what `progress` throws.
    package func greedy(
        _ prompts: [[Int32]], maximum: Int, progress: (Int) throws -> Void
    ) throws -> [[Int32]] {
        let asked = prompts.indices.filter { !prompts[$0].isEmpty }
        var done = 0
        let made = try ranks.divide(asked.count) { own in
            try generator.continuations(
                of: own.map { Generator.Request(prompt: prompts[asked[$0]]) }, maximum: maximum
            ) { _, ended in
                try progress(ended - done)
                done = ended
            }.map(\.tokens)
        }
        if done < asked.count { try progress(asked.count - done) }
        var continuations = [[Int32]](repeating: [], count: prompts.count)
        for (index, tokens) in zip(asked, made) { continuations[index] = tokens }
        return continuations
    }
}
