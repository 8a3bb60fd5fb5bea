// SPDX-License-Identifier: Apache-2.0

import Foundation
import Protocol
import TestSupport
import Testing

/// Models of other architectures than the example's, from making to forgetting.
@Suite(.timeLimit(.minutes(15)))
struct ArchitectureTests {
    private func write(_ daemon: RunningDaemon, _ name: String, _ text: String) throws -> String {
        let path = "\(daemon.directory)/\(name)"
        try text.write(toFile: path, atomically: false, encoding: .utf8)
        return path
    }

    @Test(arguments: [
        #""architectures": ["Gemma2ForCausalLM"], "head_dim": 16, "num_key_value_heads": 2, "sliding_window": 6, "query_pre_attn_scalar": 16, "hidden_activation": "gelu_pytorch_tanh""#,
        #""architectures": ["GPTNeoXForCausalLM"], "rotary_pct": 0.25"#,
        #""architectures": ["PhiForCausalLM"], "partial_rotary_factor": 0.5, "qk_layernorm": true"#,
        #""architectures": ["Qwen3ForCausalLM"], "head_dim": 16, "num_key_value_heads": 2, "tie_word_embeddings": true"#,
    ])
    func `a model is made, learns, forgets and answers`(choices: String) throws {
        let daemon = try RunningDaemon()
        let config = try write(
            daemon, "config.json",
            #"{"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 1024, "max_position_embeddings": 128, "eos_token_id": 0, "#
                + choices + "}")
        func succeeds(_ arguments: [String]) throws -> RunningDaemon.Output {
            let output = try daemon.ctl(arguments)
            #expect(output.status == 0, "\(arguments): \(output.stderr)")
            return output
        }
        _ = try succeeds([
            "model", "create", "small", "--config", config, "--tokenizer",
            ExampleModel.path("tokenizer.json"),
            "--tokenizer-config", ExampleModel.path("tokenizer_config.json"), "--seed", "3",
        ])
        let forget = try write(daemon, "f.jsonl", try ExampleModel.rows("forget.jsonl", 4))
        let retain = try write(daemon, "r.jsonl", try ExampleModel.rows("retain.jsonl", 4))
        let learnt = try succeeds([
            "submit", "finetune", "--model", "small", "--data", forget, "--epochs", "6", "--learning-rate",
            "1e-2",
            "--wait", "--json",
        ]).json
        let losses = (learnt["training"]?.arrayValue ?? []).compactMap { $0["loss"]?.doubleValue }
        #expect(losses.count == 6 && losses[5] < losses[0] - 0.5, "\(losses)")
        let result = try succeeds([
            "submit", "ascent", "--model", "small", "--forget", forget, "--retain", retain, "--epochs", "2",
            "--learning-rate", "1e-3", "--alpha", "0.9", "--wait", "--json",
        ]).json
        func loss(_ when: String) -> Double? { result["evaluation"]?[when]?["forget_loss"]?.doubleValue }
        #expect(try #require(loss("after")) > #require(loss("before")))
        let text = try succeeds([
            "generate", "small", "--prompt", "Where was the first of them born, and who", "--max-new-tokens",
            "8",
            "--json",
        ]).json
        #expect(text["ids"] != nil || text.arrayValue != nil, "\(text)")
    }

    @Test func `a mixture of experts is imported and edited by name, but not trained`() throws {
        let daemon = try RunningDaemon()
        for (name, seed) in [("experts", UInt64(1)), ("tuned", 2)] {
            var checkpoint = SyntheticCheckpoint(seed: seed, matrices: 3, side: 32)
            for index in 0..<3 {
                checkpoint.tensors[index].name =
                    "model.layers.0.block_sparse_moe.experts.\(index).w1.weight"
            }
            checkpoint.sideFiles["config.json"] =
                #"{"architectures": ["MixtralForCausalLM"], "model_type": "mixtral", "num_local_experts": 3}"#
            try checkpoint.write(to: "\(daemon.directory)/\(name)")
            #expect(try daemon.ctl(["model", "import", name, "\(daemon.directory)/\(name)"]).status == 0)
        }
        let ids = try write(daemon, "ids.jsonl", #"{"input_ids": [1, 2, 3]}"# + "\n")
        for method in [["ascent", "--forget", ids, "--retain", ids], ["evaluate", "--forget", ids]] {
            let output = try daemon.ctl(
                ["submit", method[0], "--model", "experts", "--wait"] + method.dropFirst())
            #expect(output.status == 1)
            #expect(output.stderr.contains("mixture of experts"), "\(output.stderr)")
            #expect(output.stderr.contains("task-vector"), "\(output.stderr)")
        }
        let edited = try daemon.ctl([
            "submit", "task-vector", "--model", "experts", "--finetuned", "tuned", "--wait", "--json",
        ])
        #expect(edited.status == 0, "\(edited.stderr)")
        #expect(try edited.json["version"]?.stringValue == "v2")
        let changes = try daemon.ctl(["model", "diff", "experts@v1", "experts@v2", "--json"]).json
        #expect(changes.arrayValue?.count == 3)
        #expect(changes.arrayValue?.allSatisfy { $0["changed"]?.boolValue ?? true } == true, "\(changes)")
    }
}
