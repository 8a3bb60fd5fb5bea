// SPDX-License-Identifier: Apache-2.0

import Engine
import Foundation
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

    @Test(
        .enabled(
            if: TokenizerTestFiles.sharedIsMissing == nil, "the third-party configurations are not there"))
    func `real configurations are read or refused with a reason, never anything else`() throws {
        let folder = TokenizerTestFiles.shared.appending(path: "data/configs")
        var read = 0
        for file in try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        where file.pathExtension == "json" && !file.path.hasSuffix("index.json") {
            let json = try TokenizerTestFiles.read(file)
            do throws(EngineError) {
                _ = try ModelConfiguration(json: json)
                read += 1
            } catch {
                #expect(error.code == .unsupportedModel, "\(file.lastPathComponent): \(error)")
            }
        }
        #expect(read >= 6)
    }
}
