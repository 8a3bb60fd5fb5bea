// SPDX-License-Identifier: Apache-2.0

/// What an architecture calls its tensors: Llama's names, and each other architecture's differences from them.
///
/// Names of a block's parts are relative to the block; `.weight` and `.bias` are added where a part has them.
struct TensorNames {
    /// What base models leave away from the beginning of names.
    var prefix = "model."
    var tokenEmbedding = "embed_tokens"
    var positionEmbedding = ""
    var blocks = "layers."
    var attentionNorm = "input_layernorm"
    /// Projections to queries, keys and values; a single one writes all three.
    var queryKeyValue = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"]
    var queryNorm = "self_attn.q_norm"
    var keyNorm = "self_attn.k_norm"
    var attentionOutput = "self_attn.o_proj"
    var attentionOutputNorm = "post_attention_layernorm"
    var feedForwardNorm = "post_attention_layernorm"
    /// Gate, where there is one, and up; a single one writes both.
    var up = ["mlp.gate_proj", "mlp.up_proj"]
    var down = "mlp.down_proj"
    var feedForwardOutputNorm = "post_feedforward_layernorm"
    var finalNorm = "norm"
    var head = "lm_head"
    /// Another name of the head, if there is one.
    var otherHead: String?
    /// Ends of the names of tensors that are derived from the configuration and never learned.
    var derivedSuffixes = ["rotary_emb.inv_freq"]
    /// Whether matrices are stored as (in, out).
    var inputsFirst = false

    init(_ architecture: ModelConfiguration.Architecture) {
        switch architecture {
        case .llama, .mistral, .qwen2, .qwen3, .olmo, .olmo2, .gemma: break
        case .gpt2:
            prefix = "transformer."
            tokenEmbedding = "wte"
            positionEmbedding = "wpe"
            blocks = "h."
            attentionNorm = "ln_1"
            queryKeyValue = ["attn.c_attn"]
            attentionOutput = "attn.c_proj"
            feedForwardNorm = "ln_2"
            up = ["mlp.c_fc"]
            down = "mlp.c_proj"
            finalNorm = "ln_f"
            derivedSuffixes = [".attn.bias", ".attn.masked_bias"]
            inputsFirst = true
        case .gptNeoX:
            prefix = "gpt_neox."
            tokenEmbedding = "embed_in"
            queryKeyValue = ["attention.query_key_value"]
            attentionOutput = "attention.dense"
            up = ["mlp.dense_h_to_4h"]
            down = "mlp.dense_4h_to_h"
            finalNorm = "final_layer_norm"
            head = "embed_out"
            otherHead = "lm_head"
            derivedSuffixes += [".attention.bias", ".attention.masked_bias"]
        case .phi:
            queryNorm = "self_attn.q_layernorm"
            keyNorm = "self_attn.k_layernorm"
            attentionOutput = "self_attn.dense"
            up = ["mlp.fc1"]
            down = "mlp.fc2"
            finalNorm = "final_layernorm"
        case .phi3:
            queryKeyValue = ["self_attn.qkv_proj"]
            up = ["mlp.gate_up_proj"]
        case .gemma2, .gemma3:
            feedForwardNorm = "pre_feedforward_layernorm"
        case .stableLM:
            queryNorm = "self_attn.q_layernorm.norms"
            keyNorm = "self_attn.k_layernorm.norms"
        }
    }
}
