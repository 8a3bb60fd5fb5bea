// SPDX-License-Identifier: Apache-2.0

import Engine
import Foundation
import Protocol
import Testing

@Suite struct ConfigurationTests {
    private func read(_ json: String) throws(EngineError) -> ModelConfiguration {
        try ModelConfiguration(json: Array(json.utf8))
    }

    private func code(_ json: String) -> EngineError.Code? {
        do throws(EngineError) {
            _ = try read(json)
            return nil
        } catch { return error.code }
    }

    @Test func `GPT-2 takes its published defaults`() throws {
        let c = try read(#"{"architectures": ["GPT2LMHeadModel"], "n_inner": null}"#)
        #expect(c.vocabularySize == 50257 && c.contextLength == 1024 && c.hiddenSize == 768 && c.layers == 12)
        #expect(c.intermediateSize == 3072 && c.headSize == 64 && c.tiedHead && c.attentionScale == 0.125)
        let model = try Transformer(c, context: ComputeContext(threads: 1))
        #expect(model.table.parameterCount == 124_439_808)
    }

    @Test func `the rotary base is found under the names of both transformers generations`() throws {
        let old = try read(
            #"{"architectures":["LlamaForCausalLM"],"rope_theta":500000.0,"rope_scaling":{"type":"linear","factor":2.0}}"#
        )
        let new = try read(
            #"{"architectures":["LlamaForCausalLM"],"rope_parameters":{"rope_theta":500000,"rope_type":"linear","factor":2}}"#
        )
        #expect(old.positions == new.positions)
        #expect(
            old.positions == .rotary(RotaryEmbedding(theta: 500_000, size: 128, scaling: .linear(factor: 2))))
        #expect(
            try read(#"{"architectures":["LlamaForCausalLM"],"torch_dtype":"bfloat16"}"#).storedType
                == "bfloat16")
        #expect(
            try read(#"{"architectures":["LlamaForCausalLM"],"dtype":"float16"}"#).storedType == "float16")
    }

    @Test func `end-of-text ids are one id or several`() throws {
        #expect(try read(#"{"model_type":"gpt2","eos_token_id":50256}"#).endOfTextIDs == [50256])
        #expect(try read(#"{"model_type":"gpt2","eos_token_id":[3, 4]}"#).endOfTextIDs == [3, 4])
    }

    @Test(arguments: [
        "", "[]", "nonsense", #"{"model_type":"gpt2","n_embd":0}"#, #"{"model_type":"gpt2","n_embd":-768}"#,
        #"{"model_type":"gpt2","n_embd":770}"#, #"{"model_type":"gpt2","n_layer":1e9}"#,
        #"{"model_type":"gpt2","n_layer":99999999999999999999}"#,
        #"{"model_type":"gpt2","n_layer":2147483647}"#,
        #"{"model_type":"gpt2","vocab_size":"many"}"#, #"{"model_type":"gpt2","layer_norm_epsilon":-1}"#,
        #"{"model_type":"gpt2","layer_norm_epsilon":0}"#, #"{"architectures":[7]}"#,
        #"{"architectures":["LlamaForCausalLM"],"num_attention_heads":6,"num_key_value_heads":4,"hidden_size":48}"#,
        #"{"architectures":["LlamaForCausalLM"],"hidden_size":100,"num_attention_heads":3}"#,
        #"{"architectures":["LlamaForCausalLM"],"head_dim":7}"#,
        #"{"architectures":["LlamaForCausalLM"],"rope_scaling":"linear"}"#,
        #"{"architectures":["LlamaForCausalLM"],"tie_word_embeddings":"yes"}"#,
        #"{"architectures":["LlamaForCausalLM"],"eos_token_id":99999999999}"#,
        #"{"architectures":["LlamaForCausalLM"],"rope_scaling":{"rope_type":"llama3","low_freq_factor":4.0,"high_freq_factor":4.0}}"#,
        #"{"architectures":["PhiForCausalLM"],"partial_rotary_factor":1.5}"#,
        #"{"architectures":["PhiForCausalLM"],"partial_rotary_factor":0.001}"#,
        #"{"architectures":["OlmoForCausalLM"],"clip_qkv":-1}"#,
        #"{"architectures":["Gemma2ForCausalLM"],"attn_logit_softcapping":0}"#,
        #"{"architectures":["Gemma2ForCausalLM"],"layer_types":["full_attention"]}"#,
        #"{"architectures":["Qwen2ForCausalLM"],"use_sliding_window":true,"max_window_layers":-3}"#,
        #"{"architectures":["Phi3ForCausalLM"],"rope_scaling":{"type":"longrope","short_factor":[1.0],"long_factor":[1.0]}}"#,
    ])
    func `an unsound configuration is refused as such`(json: String) {
        #expect(code(json) == .invalidConfiguration || (json == "[]" && code(json) != nil), "\(json)")
    }

    @Test(arguments: [
        "{}", #"{"architectures":["MambaForCausalLM"]}"#,
        #"{"architectures":["GPT2ForSequenceClassification"],"model_type":"gpt2"}"#,
        #"{"model_type":"gpt2","activation_function":"relu"}"#,
        #"{"model_type":"gpt2","scale_attn_by_inverse_layer_idx":true}"#,
        #"{"architectures":["LlamaForCausalLM"],"hidden_act":"gelu"}"#,
        #"{"architectures":["LlamaForCausalLM"],"rope_scaling":{"type":"yarn","factor":4.0}}"#,
        #"{"architectures":["LlamaForCausalLM"],"quantization_config":{"bits":4}}"#,
        #"{"architectures":["MixtralForCausalLM"],"num_local_experts":8}"#,
        #"{"architectures":["Gemma3ForConditionalGeneration"],"model_type":"gemma3"}"#,
        #"{"architectures":["GemmaForCausalLM"],"use_bidirectional_attention":true}"#,
        #"{"architectures":["Qwen2ForCausalLM"],"use_mrope":true}"#,
        #"{"architectures":["PhiForCausalLM"],"hidden_act":"relu"}"#,
        #"{"architectures":["StableLmForCausalLM"],"hidden_act":"gelu"}"#,
        #"{"architectures":["Gemma2ForCausalLM"],"num_hidden_layers":1,"layer_types":["chunked_attention"]}"#,
    ])
    func `a sound configuration that cannot be computed is refused as such`(json: String) {
        #expect(code(json) == .unsupportedModel, "\(json)")
    }

    @Test func `the message names the architecture and those that are supported`() {
        do throws(EngineError) {
            _ = try read(#"{"architectures":["MambaForCausalLM"]}"#)
            Issue.record("a Mamba model was accepted")
        } catch {
            #expect(error.description.contains("MambaForCausalLM"))
            #expect(
                error.description.contains("GPT2LMHeadModel")
                    && error.description.contains("LlamaForCausalLM"))
        }
    }

    @Test func `the memory estimate of GPT-2 is four copies of the weights and its activations`() throws {
        let c = try read(#"{"model_type": "gpt2"}"#)
        let training = try MemoryEstimate(c, rows: 4, columns: 256, training: true, threads: 2)
        #expect(training.weights >= 4 * 124_439_808 && training.weights < 4 * 124_500_000)
        // Per token and layer: 4 rows of C, 3 C, C, 8 C and less than C of small things.
        let rows = 1024 * 768 * 4
        #expect(training.activations > 12 * 16 * rows && training.activations < 12 * 18 * rows + (400 << 20))
        let scoring = try MemoryEstimate(c, rows: 4, columns: 256, training: false, threads: 2)
        #expect(scoring.total < training.total / 3)
    }

    @Test func `huge sizes are refused without being allocated`() throws {
        let c = try read(
            #"{"architectures":["LlamaForCausalLM"],"hidden_size":1048576,"num_attention_heads":4096,"intermediate_size":4194304,"num_hidden_layers":4096,"vocab_size":16777216}"#
        )
        #expect(throws: EngineError.self) { try Transformer(c, context: ComputeContext(threads: 1)) }
    }

    /// The real configurations in the shared data, by file name.
    private func realFiles() throws -> [URL] {
        try FileManager.default.contentsOfDirectory(
            at: TokenizerTestFiles.shared.appending(path: "data/configs"), includingPropertiesForKeys: nil
        ).filter { $0.pathExtension == "json" && !$0.path.hasSuffix("index.json") }
    }

    @Test(
        .enabled(
            if: TokenizerTestFiles.sharedIsMissing == nil, "the third-party configurations are not there"))
    func `real configurations mean what transformers makes of them`() throws {
        let golden = try StrictJSON.parse(
            Array(Data(contentsOf: GoldenModel.fixtures().appending(path: "configurations.json"))))
        var compared = 0
        for file in try realFiles() {
            let name = file.lastPathComponent
            guard let expected = golden[name] else { continue }
            compared += 1
            let c = try ModelConfiguration(json: TokenizerTestFiles.read(file))
            let table = try ParameterTable(c)
            #expect(table.parameterCount == expected["parameters"]?.integerValue.map(Int.init), "\(name)")
            #expect(table.entries.count == expected["tensors"]?.integerValue.map(Int.init), "\(name)")
            #expect(try abs(Double(c.attentionScale) - #require(expected["scale"]?.doubleValue)) < 1e-8)
            let windows = try #require(expected["windows"]?.arrayValue).map { $0.integerValue.map(Int.init) }
            #expect(
                (0..<c.layers).map(c.window)
                    == windows.map { $0.flatMap { $0 < c.contextLength ? $0 : nil } },
                "\(name)")
            for (kind, layers) in Dictionary(grouping: 0..<c.layers, by: { c.window($0) == nil }) {
                let kinds = expected["rotary"]
                guard let rotary = c.rotary(layers[0]) else {
                    #expect(c.architecture == .gpt2)
                    continue
                }
                // Where both kinds of layer turn alike, transformers has the settings once.
                let wanted = try #require(
                    kinds?[kind ? "full_attention" : "sliding_attention"] ?? kinds?["full_attention"])
                let frequencies = rotary.frequencies()
                #expect(Int64(rotary.size) == wanted["size"]?.integerValue)
                #expect(try abs(Double(rotary.magnitude) - #require(wanted["magnitude"]?.doubleValue)) < 1e-6)
                let sum = frequencies.reduce(0.0) { $0 + Double($1) }
                #expect(try abs(sum - #require(wanted["sum"]?.doubleValue)) < 1e-6 * sum)
                let some = try #require(wanted["some"]?.arrayValue).compactMap(\.doubleValue)
                for (index, value) in some.enumerated() {
                    let own = Double(frequencies[index * max(1, frequencies.count / 4)])
                    #expect(abs(own - value) <= 1e-6 * value, "\(name), frequency \(index)")
                }
            }
        }
        #expect(compared == golden.objectValue?.members.count)
    }

    @Test(
        .enabled(
            if: TokenizerTestFiles.sharedIsMissing == nil, "the third-party configurations are not there"))
    func `of the real configurations only a mixture of experts is refused`() throws {
        var refused: [String] = []
        for file in try realFiles() {
            let json = try TokenizerTestFiles.read(file)
            do throws(EngineError) {
                _ = try ModelConfiguration(json: json)
            } catch {
                refused.append(file.lastPathComponent)
                #expect(error.code == .unsupportedModel && error.message.contains("mixture of experts"))
                #expect(error.hint.contains("task-vector"))
            }
        }
        #expect(refused == ["mixtral.json"])
    }

    @Test func `LongRoPE ends where its long factors would begin`() throws {
        let golden = try GoldenModel("phi3-long")
        #expect(golden.configuration.contextLength == 64)
        guard case .rotary(let rotary) = golden.configuration.positions,
            case .perFrequency(let factors) = rotary.scaling
        else {
            Issue.record("no factors")
            return
        }
        #expect(factors.count == 4 && rotary.magnitude > 1)
    }

    @Test func `choices that a configuration makes are read in both spellings`() throws {
        let neox = try read(
            #"{"architectures":["GPTNeoXForCausalLM"],"hidden_size":64,"num_attention_heads":4,"rotary_pct":0.5,"rotary_emb_base":5000,"use_parallel_residual":false,"hidden_act":"gelu_new"}"#
        )
        #expect(neox.residual == .sequential && neox.feedForward == .gelu && neox.interleavesHeads)
        #expect(neox.positions == .rotary(RotaryEmbedding(theta: 5000, size: 8, scaling: .none)))
        let newer = try read(
            #"{"architectures":["GPTNeoXForCausalLM"],"hidden_size":64,"num_attention_heads":4,"rope_parameters":{"rope_theta":5000,"partial_rotary_factor":0.5,"rope_type":"default"}}"#
        )
        #expect(newer.positions == neox.positions && newer.residual == .parallel)
        let gemma = try read(#"{"architectures":["GemmaForCausalLM"],"hidden_act":"gelu"}"#)
        #expect(gemma.feedForward == .geglu && gemma.tiedHead && gemma.paddingID == 0)
        #expect(gemma.embeddingScale == Float(3072.0.squareRoot()))
        let mistral = #"{"architectures":["MistralForCausalLM"],"max_position_embeddings":8192"#
        #expect(try read(mistral + "}").window(3) == 4096)
        #expect(try read(mistral + #","sliding_window":null}"#).window(3) == nil)
        #expect(try read(mistral + #","sliding_window":8192}"#).window(3) == nil)
        let qwen = #"{"architectures":["Qwen2ForCausalLM"],"num_hidden_layers":3,"sliding_window":512"#
        #expect(try read(qwen + "}").slidingWindow == nil)
        let switched = try read(qwen + #","use_sliding_window":true,"max_window_layers":2}"#)
        #expect((0..<3).map(switched.window) == [nil, nil, 512])
        let typed = try read(
            qwen
                + #","use_sliding_window":true,"layer_types":["sliding_attention","full_attention","full_attention"]}"#
        )
        #expect((0..<3).map(typed.window) == [512, nil, nil])
        let llama = try read(#"{"architectures":["LlamaForCausalLM"],"pad_token_id":-1}"#)
        #expect(llama.paddingID == 31999)
    }
}
