// SPDX-License-Identifier: Apache-2.0

import Protocol

/// Texts that a model continues, by their sizes.
package struct ContinuedTexts: Sendable, Hashable {
    /// How many there are.
    package var count: Int
    /// Tokens of the longest prompt.
    package var prompt: Int
    /// Most new tokens of each.
    package var maximum: Int

    /// Texts of these sizes.
    package init(count: Int, prompt: Int, maximum: Int) {
        self.count = count
        self.prompt = prompt
        self.maximum = maximum
    }

    /// What `generate` continues, its longest prompt having `prompt` tokens.
    package init(generating parameters: JobParameters, prompt: Int) {
        let prompts = parameters.prompts?.count ?? 1
        let texts = prompts.multipliedReportingOverflow(by: parameters.count ?? 1)
        self.init(
            count: texts.overflow ? .max : texts.partialValue, prompt: prompt,
            maximum: parameters.maxNewTokens ?? MethodDefaults.newTokens)
    }

    /// What an attack by prompts asks about each of some rows several times.
    ///
    /// - Parameters:
    ///   - length: Tokens of the longest row.
    ///   - prompt: Tokens of the longest question.
    ///   - answer: Tokens of the longest answer.
    init(attacking parameters: JobParameters, rows: Int, length: Int, prompt: Int, answer: Int) {
        let ways = parameters.attackPrompts ?? PromptVariant.usual
        let shots = ways.contains(.fewShot) ? 3 * length : ways.contains(.affirmative) ? 16 : 0
        let suffix = ways.contains(.suffix) ? parameters.suffixTokens ?? MethodDefaults.suffixTokens : 0
        self.init(
            count: min(rows, parameters.attackRows ?? MethodDefaults.attackedRows)
                * max(1, parameters.samples ?? MethodDefaults.attackSamples),
            prompt: prompt + max(shots, suffix), maximum: answer + MethodDefaults.answerRoom)
    }

    /// Floats of what ``Generator`` holds of them: keys and values, and the logits of the next tokens.
    func floats(_ configuration: ModelConfiguration) -> Int {
        let size = Generator.cacheSize(configuration, count, prompt: prompt, maximum: maximum)
        return size.rows * KeyValueCache.bytes(configuration, capacity: size.capacity)
            / MemoryLayout<Float>.stride + size.rows * configuration.vocabularySize
    }

    /// The pass that reads the longest prompt.
    func reading(_ configuration: ModelConfiguration) -> RowSizes.Batch {
        let tokens = max(1, min(prompt, configuration.contextLength))
        return RowSizes.Batch(tokens: tokens, predictors: 1, longest: tokens, rows: 1)
    }
}
