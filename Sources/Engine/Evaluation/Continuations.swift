// SPDX-License-Identifier: Apache-2.0

/// Greedy continuations of the prompts of many rows, for the figures that look at what a model says; many at a time,
/// and to the bit what each would be alone.
package struct Continuations {
    private let generator: Generator

    /// Continuations that stop at `ends`.
    package init(_ model: Transformer, ends: Set<Int32>) {
        generator = Generator(model, ends: Array(ends))
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
        let made = try generator.continuations(
            of: asked.map { Generator.Request(prompt: prompts[$0]) }, maximum: maximum
        ) { _, ended in
            try progress(ended - done)
            done = ended
        }
        var continuations = [[Int32]](repeating: [], count: prompts.count)
        for (index, continuation) in zip(asked, made) { continuations[index] = continuation.tokens }
        return continuations
    }
}
