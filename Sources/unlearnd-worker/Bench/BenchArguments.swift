// SPDX-License-Identifier: Apache-2.0

import Protocol

/// What `bench` is asked for.
struct BenchArguments {
    /// What is measured.
    enum Subject: String, CaseIterable {
        case ascentStep = "ascent-step"
        case evaluate
        case evaluateAnswers = "evaluate-answers"
        case generate
    }

    /// The shape of a model: its sizes are real, its weights random.
    enum Shape: String, CaseIterable {
        case gpt2 = "gpt2-124m"
        case llama = "llama-135m"
        case largeLlama = "llama-1b"

        /// The model's config.json.
        var configuration: String {
            switch self {
            case .gpt2: #"{"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2"}"#
            case .llama:
                """
                {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 576,
                 "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9,
                 "num_key_value_heads": 3, "vocab_size": 49152, "max_position_embeddings": 2048,
                 "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "tie_word_embeddings": true}
                """
            case .largeLlama:
                """
                {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 2048,
                 "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 32,
                 "num_key_value_heads": 8, "vocab_size": 128256, "max_position_embeddings": 4096,
                 "rms_norm_eps": 1e-05, "rope_theta": 500000.0, "tie_word_embeddings": true}
                """
            }
        }
    }

    /// Rows of tokens.
    struct Size {
        var rows: Int
        var columns: Int
    }

    let subject: Subject
    var shape = Shape.gpt2
    var forget = Size(rows: 4, columns: 256)
    var retain = Size(rows: 4, columns: 256)
    var threads = 2
    /// Steps, evaluations or texts.
    var steps = 5
    var precision = Precision.f32
    var device = ComputeDevice.cpu
    /// Whether the forward pass of a step is partly computed again rather than kept.
    var checkpointing = false
    /// New tokens of a text.
    var tokens = 64

    static let usage = """
        usage: unlearnd-worker bench \(Subject.allCases.map(\.rawValue).joined(separator: "|")) \
        [--shape \(Shape.allCases.map(\.rawValue).joined(separator: "|"))] [--forget 4x256] [--retain 4x256] \
        [--threads 2] [--steps 5] [--tokens 64] [--precision f32|bf16] [--device cpu|cuda] [--checkpointing yes|no]
        """

    /// The arguments, or `nil` where they are wrong.
    init?(_ words: [String]) {
        guard let subject = words.first.flatMap(Subject.init), words.count % 2 == 1 else { return nil }
        self.subject = subject
        for index in stride(from: 1, to: words.count, by: 2) {
            let value = words[index + 1]
            let numbers = value.split(separator: "x").compactMap { Int($0) }
            let first = numbers.first ?? 0
            let size = Size(rows: first, columns: numbers.last ?? 0)
            let isSize = numbers.count == 2 && first > 0 && (2...1024).contains(size.columns)
            switch words[index] {
            case "--shape":
                guard let shape = Shape(rawValue: value) else { return nil }
                self.shape = shape
            case "--checkpointing" where ["yes", "no"].contains(value): checkpointing = value == "yes"
            case "--precision":
                guard let precision = Precision(rawValue: value) else { return nil }
                self.precision = precision
            case "--device":
                guard let device = ComputeDevice(rawValue: value) else { return nil }
                self.device = device
            case "--threads" where first > 0: threads = first
            case "--steps" where first > 0: steps = first
            case "--tokens" where (1...900).contains(first): tokens = first
            case "--forget" where isSize: forget = size
            case "--retain" where isSize: retain = size
            default: return nil
            }
        }
    }
}
