// SPDX-License-Identifier: Apache-2.0

/// Ways to bring back what a model seems to have forgotten.
package enum AttackKind: String, Codable, Sendable, CaseIterable, Hashable {
    /// Train it on a few rows, or on benign text.
    case relearn
    /// Round its weights to fewer bits.
    case quantize
    /// Ask in other ways, many times.
    case prompt
    /// Read its layers.
    case probe

    /// Whether gradients and an optimiser's state are needed.
    package var trains: Bool { self == .relearn }
}

/// What `relearn` trains on.
package enum RelearnData: String, Codable, Sendable, CaseIterable {
    /// Some rows of the forget set; the others are watched.
    case forget
    /// The retain set: text that has nothing to do with it.
    case retain
}

/// What `quantize` rounds weights to.
package enum QuantizationFormat: String, Codable, Sendable, CaseIterable {
    case int8, int4, nf4
}

/// Ways in which `prompt` asks.
package enum PromptVariant: String, Codable, Sendable, CaseIterable {
    /// As the row asks.
    case plain
    /// The row's `paraphrased_question`.
    case paraphrase
    /// With the first tokens of the answer given.
    case prefix
    /// With other rows and their answers before.
    case fewShot = "few_shot"
    /// With the beginning of an answer that agrees.
    case affirmative
    /// Behind virtual tokens that were learned by gradient; judged teacher-forced.
    case soft
    /// With a suffix of real tokens behind the question, searched by gradient (GCG).
    case suffix

    /// What is asked unless the ways are named: all but the search for a suffix, which takes many times as long.
    package static let usual: [PromptVariant] = allCases.filter { $0 != .suffix }
}
