// SPDX-License-Identifier: Apache-2.0

/// The parameters of every kind of job, in one flat object: a kind reads those it knows and refuses others.
///
/// Absent members take the defaults that ``TrainingParameters`` and the methods' pages state.
package struct JobParameters: Codable, Hashable, Sendable {
    // ascent and finetune
    /// Passes over the data; default 3.
    package var epochs: Int?
    /// AdamW's constant learning rate; default 1e-5.
    package var learningRate: Double?
    /// Weight of forgetting against retaining, 0 to 1; default 0.5 (`ascent`).
    package var alpha: Double?
    /// Rows per step and set; default 4.
    package var batchSize: Int?
    /// Longest row in tokens; default min(512, the model's context).
    package var maxLength: Int?
    /// Whether each epoch is reordered by the seed; default true.
    package var shuffle: Bool?
    /// What to do when one set has fewer batches (`ascent`).
    package var pairing: Pairing?
    /// How the retain set holds the model (`ascent`); default `nll`.
    package var retainLoss: RetainLoss?
    /// Stop before the step whose forget batch has a mean loss of this or more, nats per token (`ascent`).
    package var maxForgetLoss: Double?
    /// Arithmetic of the training; `f32`.
    package var precision: Precision?
    /// What evaluation counts as right; default `token`.
    package var accuracy: AccuracyUnit?
    /// Whether rows that are too long are cut rather than refused; default false.
    package var truncate: Bool?

    // task-vector
    /// The fine-tuned version whose direction is subtracted (`task-vector`).
    package var finetuned: VersionReference?
    /// The version that the fine-tuned one started from; default: the target (`task-vector`).
    package var base: VersionReference?
    /// How much of the direction is subtracted; default 1 (`task-vector`).
    package var scale: Double?

    // import, create, export
    /// The transfer whose descriptors carry the files (`import`, `create`, `export`).
    package var transfer: String?
    /// Whether weight files beside the safetensors are left out instead of refused (`import`).
    package var skipOtherWeights: Bool?

    // generate, tokenize
    /// The text to continue (`generate`).
    package var prompt: String?
    /// Most tokens to make; default 32 (`generate`).
    package var maxNewTokens: Int?
    /// The text to encode (`tokenize`).
    package var text: String?
    /// Whether the tokenizer's special tokens are added (`tokenize`); default false.
    package var special: Bool?

    // diff
    /// The version compared with `model` (`diff`).
    package var other: VersionReference?

    // verify
    /// Whether only presence, sizes and headers are checked (`verify`); default false.
    package var quick: Bool?

    /// No parameters: all defaults.
    package init() {}

    enum CodingKeys: String, CodingKey, CaseIterable {
        case epochs, alpha, pairing, precision, accuracy, truncate, shuffle
        case finetuned, base, scale, transfer, prompt, text, special, other, quick
        case learningRate = "learning_rate"
        case batchSize = "batch_size"
        case maxLength = "max_length"
        case retainLoss = "retain_loss"
        case maxForgetLoss = "max_forget_loss"
        case skipOtherWeights = "skip_other_weights"
        case maxNewTokens = "max_new_tokens"
    }

    /// The names of the parameters that `kind` reads.
    package static func names(for kind: JobKind) -> Set<String> {
        let evaluation: Set<String> = ["accuracy", "batch_size", "max_length", "truncate"]
        let training = evaluation.union(["epochs", "learning_rate", "shuffle", "precision"])
        switch kind {
        case .ascent: return training.union(["alpha", "pairing", "retain_loss", "max_forget_loss"])
        case .finetune: return training
        case .taskVector: return evaluation.union(["finetuned", "base", "scale"])
        case .evaluate: return evaluation
        case .import: return ["transfer", "skip_other_weights"]
        case .create, .export: return ["transfer"]
        case .generate: return ["prompt", "max_new_tokens"]
        case .tokenize: return ["text", "special"]
        case .diff: return ["other"]
        case .verify: return ["quick"]
        }
    }
}

/// How forget and retain batches are paired when their numbers differ.
package enum Pairing: String, Codable, Sendable, CaseIterable {
    /// As many steps as the shorter set has batches.
    case min
    /// The retain set repeats until every forget row was used.
    case cycle
}

/// The loss that holds the model on the retain set.
package enum RetainLoss: String, Codable, Sendable, CaseIterable {
    /// Mean negative log-likelihood of the labels.
    case nll
    /// Mean Kullback-Leibler divergence of the base version's predictions from the current ones.
    case kl
}

/// The arithmetic of training.
package enum Precision: String, Codable, Sendable, CaseIterable {
    /// IEEE single precision throughout.
    case f32
}

/// What an accuracy counts.
package enum AccuracyUnit: String, Codable, Sendable, CaseIterable {
    /// Labelled tokens, pooled over the set.
    case token
    /// Rows whose every label is predicted.
    case row
}
