// SPDX-License-Identifier: Apache-2.0

/// The known formats of a prompt and its answer; the names are those of the commands and of the wire.
package enum PromptTemplateName: String, Codable, Sendable, CaseIterable {
    /// Questions as `Question: …\nAnswer:`, prompts as they are.
    case plain
    /// A prefix before and a suffix after the prompt.
    case custom
    case chatml, llama2, llama3, mistral, gemma, phi3, zephyr, vicuna, alpaca

    /// Whether it has a place for a system prompt.
    package var takesSystemPrompt: Bool {
        switch self {
        case .plain, .custom, .gemma: false
        case .chatml, .llama2, .llama3, .mistral, .phi3, .zephyr, .vicuna, .alpaca: true
        }
    }
}

/// How a prompt and its answer are laid out for a model that was tuned on one format.
///
/// Each format is what the `chat_template` of its models' tokenizer_config.json renders for one exchange, up to the
/// token that ends the answer. `docs/methods.md` writes them out.
package struct PromptTemplate: Hashable, Sendable {
    /// A stretch of the text.
    package enum Part: Hashable, Sendable {
        /// The template's own words: special tokens that they spell are special tokens.
        case words(String)
        /// Somebody's text, which can spell no special token.
        case data(String)
        /// The tokenizer's token for the beginning of a sequence.
        case beginning
        /// The tokenizer's token for the end of a sequence.
        case end
    }

    /// Which format it is; never `plain`.
    package let name: PromptTemplateName
    private let system: String?
    private let prefix: String
    private let suffix: String

    /// A template; `nil` for `plain`, which formats nothing.
    ///
    /// - Parameters:
    ///   - system: The system prompt, of a format that takes one; some have a default.
    ///   - prefix, suffix: What stands before and after the prompt (`custom`).
    package init?(
        _ name: PromptTemplateName, system: String? = nil, prefix: String? = nil, suffix: String? = nil
    ) {
        guard name != .plain else { return nil }
        self.name = name
        self.system = system ?? Self.defaultSystemPrompt(name)
        self.prefix = prefix ?? ""
        self.suffix = suffix ?? ""
    }

    private static func defaultSystemPrompt(_ name: PromptTemplateName) -> String? {
        switch name {
        case .vicuna:
            "A chat between a curious user and an artificial intelligence assistant. The assistant gives "
                + "helpful, detailed, and polite answers to the user's questions."
        case .alpaca:
            "Below is an instruction that describes a task. Write a response that appropriately completes "
                + "the request."
        default: nil
        }
    }

    /// Whether the special tokens that the tokenizer itself puts before a text stand first.
    package var takesLeadingTokens: Bool {
        switch name {
        case .custom, .vicuna, .alpaca: true
        default: false
        }
    }

    /// The tokens that a tokenizer must have as special or added ones.
    package var requiredTokens: [String] {
        switch name {
        case .chatml: ["<|im_start|>", "<|im_end|>"]
        case .llama3: ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
        case .gemma: ["<start_of_turn>", "<end_of_turn>"]
        case .phi3: ["<|user|>", "<|assistant|>", "<|end|>"]
        default: []
        }
    }

    /// The token that ends an answer; `nil`: the tokenizer's end of sequence.
    package var answerEnd: String? {
        switch name {
        case .chatml: "<|im_end|>"
        case .llama3: "<|eot_id|>"
        case .gemma: "<end_of_turn>"
        case .phi3: "<|end|>"
        default: nil
        }
    }

    /// Everything up to where the answer begins.
    package func prompt(_ text: String) -> [Part] {
        switch name {
        case .plain, .custom: return [.words(prefix), .data(text), .words(suffix)]
        case .chatml:
            return turn("<|im_start|>system\n", system, "<|im_end|>\n")
                + [
                    .words("<|im_start|>user\n"), .data(text),
                    .words("<|im_end|>\n<|im_start|>assistant\n"),
                ]
        case .llama2:
            // The system prompt is part of the first turn, which is trimmed as a whole.
            let opening: [Part] = [.beginning, .words("[INST] ")]
            let question = system == nil ? Self.trimmed(text) : Self.trimmed(text, left: false)
            let turn = turn("<<SYS>>\n", system, question.isEmpty ? "\n<</SYS>>" : "\n<</SYS>>\n\n")
            return opening + turn + [.data(question), .words(" [/INST]")]
        case .llama3:
            let header = { (role: String) in "<|start_header_id|>\(role)<|end_header_id|>\n\n" }
            return [.beginning] + turn(header("system"), system.map { Self.trimmed($0) }, "<|eot_id|>")
                + [
                    .words(header("user")), .data(Self.trimmed(text)),
                    .words("<|eot_id|>" + header("assistant")),
                ]
        case .mistral:
            return [.beginning, .words(" [INST] ")] + turn("", system, "\n\n")
                + [.data(text), .words(" [/INST]")]
        case .gemma:
            return [
                .beginning, .words("<start_of_turn>user\n"), .data(Self.trimmed(text)),
                .words("<end_of_turn>\n<start_of_turn>model\n"),
            ]
        case .phi3:
            return turn("<|system|>\n", system, "<|end|>\n")
                + [.words("<|user|>\n"), .data(text), .words("<|end|>\n<|assistant|>\n")]
        case .zephyr:
            let first: [Part] =
                system.map { [.words("<|system|>\n"), .data($0), .end, .words("\n")] } ?? []
            return first + [.words("<|user|>\n"), .data(text), .end, .words("\n<|assistant|>\n")]
        case .vicuna:
            return turn("", system, " ") + [.words("USER: "), .data(text), .words(" ASSISTANT:")]
        case .alpaca:
            return turn("", system, "\n\n")
                + [.words("### Instruction:\n"), .data(text), .words("\n\n### Response:\n")]
        }
    }

    /// What follows the prompt: the answer and the token that ends it.
    package func answer(_ text: String) -> [Part] {
        let end = answerEnd.map(Part.words) ?? .end
        switch name {
        case .plain, .custom, .chatml, .phi3, .zephyr, .alpaca: return [.data(text), end]
        case .llama3, .gemma: return [.data(Self.trimmed(text)), end]
        case .llama2: return [.words(" "), .data(Self.trimmed(text)), .words(" "), end]
        case .mistral, .vicuna: return [.words(" "), .data(text), end]
        }
    }

    /// The most bytes that it adds to a prompt and an answer, tokens of the tokenizer counted as one.
    package var overhead: Int {
        (prompt("") + answer("")).reduce(4) { sum, part in
            switch part {
            case .words(let text), .data(let text): sum + text.utf8.count
            case .beginning, .end: sum + 1
            }
        }
    }

    private func turn(_ before: String, _ text: String?, _ after: String) -> [Part] {
        text.map { [.words(before), .data($0), .words(after)] } ?? []
    }

    /// Without white space at its ends, as Python's `strip` takes it.
    private static func trimmed(_ text: String, left: Bool = true) -> String {
        func isSpace(_ scalar: Unicode.Scalar) -> Bool {
            scalar.properties.isWhitespace || (0x1C...0x1F).contains(scalar.value)
        }
        var scalars = text.unicodeScalars[...]
        while left, let first = scalars.first, isSpace(first) { scalars.removeFirst() }
        while let last = scalars.last, isSpace(last) { scalars.removeLast() }
        return String(scalars)
    }
}
