# SPDX-License-Identifier: Apache-2.0
"""Tiny models and what PyTorch and transformers compute with them: shared by golden_models.py and parity_models.py."""

import copy
import json
import pathlib

import torch
from safetensors.torch import save_file
from transformers import (
    AutoModelForCausalLM, Gemma2Config, Gemma3TextConfig, GemmaConfig, GPT2Config, GPTNeoXConfig, LlamaConfig,
    MistralConfig, Olmo2Config, OlmoConfig, Phi3Config, PhiConfig, Qwen2Config, Qwen3Config, StableLmConfig)

# width multiplies hidden sizes, length the rows: the fixtures are of width and length 1.
LEARNING_RATE = 1e-3
ALPHA = 0.5
STEPS = 10


# What each kind of golden value but the models' own is made for.
CORE = ["gpt2", "llama-tied", "llama-scaled"]


def vocabulary(width):
    return 97 * width


def configurations(width, length):
    """Name → configuration; every choice of the supported architectures occurs in one of them."""
    common = dict(
        vocab_size=vocabulary(width), initializer_range=0.2 / width, eos_token_id=0, bos_token_id=0, pad_token_id=0)
    made = {"gpt2": GPT2Config(n_embd=32 * width, n_layer=2, n_head=4, n_positions=40 * length, **common)}
    llama = dict(hidden_size=32 * width, num_hidden_layers=2, max_position_embeddings=64 * length, **common)
    made["llama-tied"] = LlamaConfig(
        num_attention_heads=4, num_key_value_heads=2, intermediate_size=56 * width, tie_word_embeddings=True,
        rms_norm_eps=1e-5, **llama)
    made["llama-scaled"] = LlamaConfig(
        num_attention_heads=4, num_key_value_heads=1, head_dim=12 * width, intermediate_size=40 * width,
        tie_word_embeddings=False,
        attention_bias=True, mlp_bias=True,
        rope_parameters=dict(
            rope_type="llama3", rope_theta=5000.0, factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0,
            original_max_position_embeddings=16),
        **llama)

    # The others are smaller, so that there is room for all of them.
    small = dict(
        hidden_size=16 * width, intermediate_size=24 * width, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=64 * length, **common | dict(vocab_size=small_vocabulary(width)))
    grouped = small | dict(num_attention_heads=4, num_key_value_heads=2)
    window = 6 * length

    def turned(theta=1000.0, **more):
        return dict(rope_parameters=dict(rope_type="default", rope_theta=theta) | more)

    made["mistral"] = MistralConfig(sliding_window=window, head_dim=6 * width, **turned(), **grouped)
    made["qwen2"] = Qwen2Config(
        use_sliding_window=True, sliding_window=window, max_window_layers=1, tie_word_embeddings=True, **turned(),
        **grouped)
    made["qwen3"] = Qwen3Config(
        head_dim=8 * width, attention_bias=True, **turned(rope_type="linear", factor=2.0), **grouped)
    made["neox-parallel"] = GPTNeoXConfig(**turned(partial_rotary_factor=0.25), **small)
    made["neox-sequential"] = GPTNeoXConfig(
        use_parallel_residual=False, attention_bias=False, tie_word_embeddings=True, hidden_act="gelu_new",
        **turned(partial_rotary_factor=0.5), **small)
    made["phi"] = PhiConfig(**turned(partial_rotary_factor=0.5), **small)
    made["phi-normed"] = PhiConfig(
        qk_layernorm=True, hidden_act="gelu", num_key_value_heads=1, **turned(partial_rotary_factor=0.5), **small)
    made["phi3"] = Phi3Config(sliding_window=window, **turned(), **grouped)
    made["phi3-long"] = Phi3Config(
        original_max_position_embeddings=64 * length,
        **turned(
            rope_type="longrope", short_factor=[1.0 + 0.3 * i for i in range(4 * width)],
            long_factor=[4.0] * (4 * width)),
        **small | dict(max_position_embeddings=256 * length))
    made["olmo"] = OlmoConfig(clip_qkv=0.5, **turned(), **grouped)
    made["olmo2"] = Olmo2Config(**turned(), **grouped)
    # Token 5 occurs in the rows: as padding its embedding learns nothing from that.
    made["gemma"] = GemmaConfig(
        num_key_value_heads=1, head_dim=6 * width, **turned(), **small | dict(pad_token_id=5))
    gemma = dict(head_dim=8 * width, query_pre_attn_scalar=12 * width, sliding_window=window)
    made["gemma2"] = Gemma2Config(
        attn_logit_softcapping=2.0, final_logit_softcapping=3.0, **gemma, **turned(), **grouped)
    made["gemma3"] = Gemma3TextConfig(
        layer_types=["sliding_attention", "full_attention"],
        rope_parameters=dict(
            sliding_attention=dict(rope_type="default", rope_theta=500.0),
            full_attention=dict(rope_type="linear", rope_theta=2000.0, factor=2.0)),
        **gemma, **grouped)
    made["stablelm"] = StableLmConfig(
        use_qkv_bias=True, num_key_value_heads=2, **turned(partial_rotary_factor=0.25), **small)
    made["stablelm-parallel"] = StableLmConfig(
        use_parallel_residual=True, qk_layernorm=True, **turned(partial_rotary_factor=0.5), **grouped)
    return made


def small_vocabulary(width):
    return 61 * width


def models(seed, width, length, names=None):
    """Name → model with random weights; all of them or those named."""
    made = {}
    for name, configuration in configurations(width, length).items():
        if names and name not in names:
            continue
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(configuration).eval()
        with torch.no_grad():  # biases and norms away from 0 and 1, so that mistakes with them show
            for tensor in model.parameters():
                if tensor.dim() == 1:
                    tensor.add_(0.1 * torch.randn_like(tensor))
        made[name] = model
    return made


def batch(seed, rows, columns, ids):
    """Random rows, right-padded; the labels of some rows begin late, as those of completions do."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(3, columns + 1, (rows,), generator=generator)
    lengths[0] = columns
    tokens = torch.randint(1, ids, (rows, columns), generator=generator)
    labels = tokens.clone()
    for row in range(rows):
        tokens[row, lengths[row]:] = 0
        labels[row, lengths[row]:] = -100
        if row % 2 == 1:
            labels[row, : int(lengths[row]) // 2] = -100
    return dict(rows=rows, columns=columns, tokens=tokens, labels=labels, lengths=lengths)


def batches(seed, width, length, ids=None):
    """Two forget and two retain batches of token ids below `ids`; those of the wider models unless given."""
    def sized(number, rows, columns):
        return batch(100 * seed + number, rows, columns * length, ids or vocabulary(width))

    return dict(forget=[sized(1, 3, 19), sized(2, 2, 7)], retain=[sized(3, 3, 33), sized(4, 4, 11)])


def run(model, b):
    mask = (torch.arange(b["columns"])[None, :] < b["lengths"][:, None]).long()
    return model(input_ids=b["tokens"], attention_mask=mask, labels=b["labels"])


def named(model):
    """The parameters, by the names that checkpoints give them."""
    # transformers 5 renames this head when it loads and saves.
    renames = {"lm_head.weight": "embed_out.weight"} if model.config.model_type == "gpt_neox" else {}
    return {renames.get(name, name): tensor for name, tensor in model.named_parameters()}


def still(model):
    """Name → places whose exact gradient is 0, so that rounding alone moves them.

    A constant added to all keys is one added to a query's scores, which softmax does not see. Where keys are turned
    by their position it does, so these are the places of key biases that are not turned.
    """
    c = model.config
    heads = c.num_attention_heads
    size = getattr(c, "head_dim", None) or c.hidden_size // heads
    turned = 0 if c.model_type == "gpt2" else int(size * c.rope_parameters.get("partial_rotary_factor", 1))
    places = {}
    for name, tensor in named(model).items():
        if name.endswith("c_attn.bias"):
            indices = range(c.hidden_size, 2 * c.hidden_size)
        elif name.endswith("query_key_value.bias"):
            indices = [3 * size * head + size + i for head in range(heads) for i in range(turned, size)]
        elif name.endswith(("k_proj.bias", "k_layernorm.bias")) and not (
                name.endswith("k_proj.bias") and getattr(c, "qk_layernorm", False)):
            indices = [size * head + i for head in range(len(tensor) // size) for i in range(turned, size)]
        else:
            continue
        if indices:
            places[name] = list(indices)
    return places


def gradients(model):
    return {name: tensor.grad.clone() for name, tensor in named(model).items()}


def divergence(model, reference, b):
    """mean over labelled places of KL(reference || model)."""
    places = b["labels"][:, 1:] != -100
    with torch.no_grad():
        base = torch.log_softmax(run(reference, b).logits[:, :-1][places].float(), -1)
    current = torch.log_softmax(run(model, b).logits[:, :-1][places].float(), -1)
    return torch.nn.functional.kl_div(current, base, reduction="batchmean", log_target=True)


def prompt_window(model):
    return getattr(model.config, "sliding_window", None)


def golden(model, data):
    """Everything that is compared: (tensors, facts)."""
    tensors = {f"weights/{name}": tensor.detach().clone() for name, tensor in named(model).items()}
    first = data["forget"][0]
    output = run(model, first)
    output.loss.backward()
    tensors["logits"] = output.logits[0].detach().clone()
    tensors |= {f"gradients/{name}": tensor for name, tensor in gradients(model).items()}
    facts = dict(loss=output.loss.item(), learning_rate=LEARNING_RATE, alpha=ALPHA, steps=[])
    places = first["labels"][:, 1:] != -100
    nll = torch.nn.functional.cross_entropy(
        output.logits[:, :-1].transpose(1, 2), first["labels"][:, 1:], ignore_index=-100, reduction="none")
    hits = output.logits[:, :-1].argmax(-1) == first["labels"][:, 1:]
    facts["scores"] = [
        dict(nll=nll.detach()[row][places[row]].tolist(), correct=hits[row][places[row]].tolist())
        for row in range(first["rows"])]
    # Longer than a sliding window, if there is one.
    start = 5 if prompt_window(model) is None else prompt_window(model) + 4
    prompt = first["tokens"][:1, :start]
    continuation = model.generate(
        prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=12, do_sample=False, eos_token_id=None,
        pad_token_id=0)
    facts["greedy"] = dict(prompt=prompt[0].tolist(), tokens=continuation[0, start:].tolist())
    facts["still"] = still(model)

    reference = copy.deepcopy(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
    for step in range(STEPS):
        optimizer.zero_grad()
        forget = run(model, data["forget"][step % 2]).loss
        retain = run(model, data["retain"][step % 2]).loss
        (ALPHA * -forget + (1 - ALPHA) * retain).backward()
        optimizer.step()
        facts["steps"].append(dict(forget=forget.item(), retain=retain.item()))
    tensors |= {f"trained/{name}": tensor.detach().clone() for name, tensor in named(model).items()}

    optimizer.zero_grad()
    loss = divergence(model, reference, data["retain"][0])
    loss.backward()
    facts["divergence"] = loss.item()
    tensors |= {f"divergence/{name}": tensor for name, tensor in gradients(model).items()}
    facts["batches"] = {
        name: [
            {key: value.flatten().tolist() if torch.is_tensor(value) else value for key, value in b.items()}
            for b in group]
        for name, group in data.items()}
    return tensors, facts


def write(directory: pathlib.Path, seed=7, width=1, length=1, names=None):
    for name, model in models(seed, width, length, names).items():
        target = directory / name
        target.mkdir(parents=True, exist_ok=True)
        configuration = model.config.to_dict() | dict(architectures=[type(model).__name__])
        (target / "config.json").write_text(json.dumps(configuration, indent=1, sort_keys=True) + "\n")
        tensors, facts = golden(model, batches(seed, width, length, model.config.vocab_size))
        save_file({key: value.contiguous() for key, value in tensors.items()}, target / "golden.safetensors")
        (target / "golden.json").write_text(json.dumps(facts, sort_keys=True) + "\n")
