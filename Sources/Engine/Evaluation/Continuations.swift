// SPDX-License-Identifier: Apache-2.0

/// Greedy continuations of the prompts of many rows, for the figures that look at what a model says.
package struct Continuations {
    private let generator: Generator

    /// Continuations that stop at `ends`.
    package init(_ model: Transformer, ends: Set<Int32>) {
        generator = Generator(model, ends: Array(ends))
    }

    /// The new tokens after each prompt, without the end token; none after an empty prompt.
    ///
    /// - Parameter progress: Called with how many prompts were done since the last call.
    /// - Throws: ``EngineError``; what `progress` throws.
    package func greedy(
        _ prompts: [[Int32]], maximum: Int, progress: (Int) throws -> Void
    ) throws -> [[Int32]] {
        try prompts.map { prompt in
            guard !prompt.isEmpty else { return [] }
            let tokens = try generator.continuation(of: prompt, maximum: maximum).tokens
            try progress(1)
            return tokens
        }
    }
}
