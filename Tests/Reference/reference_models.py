# SPDX-License-Identifier: Apache-2.0
"""Tiny models and what PyTorch and transformers compute with them: shared by golden_models.py and parity_models.py."""

import copy
import json
import pathlib

import torch
from safetensors.torch import save_file
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

# width multiplies hidden sizes, length the rows: the fixtures are of width and length 1.
LEARNING_RATE = 1e-3
ALPHA = 0.5
STEPS = 10


def vocabulary(width):
    return 97 * width


def models(seed, width, length):
    """Name → model; every choice of the supported architectures occurs in one of them."""
    common = dict(
        vocab_size=vocabulary(width), initializer_range=0.2 / width, eos_token_id=0, bos_token_id=0, pad_token_id=0)
    gpt2 = GPT2Config(n_embd=32 * width, n_layer=2, n_head=4, n_positions=40 * length, **common)
    llama = dict(hidden_size=32 * width, num_hidden_layers=2, max_position_embeddings=64 * length, **common)
    tied = LlamaConfig(
        num_attention_heads=4, num_key_value_heads=2, intermediate_size=56 * width, tie_word_embeddings=True,
        rms_norm_eps=1e-5, **llama)
    scaled = LlamaConfig(
        num_attention_heads=4, num_key_value_heads=1, head_dim=12 * width, intermediate_size=40 * width,
        tie_word_embeddings=False,
        attention_bias=True, mlp_bias=True,
        rope_parameters=dict(
            rope_type="llama3", rope_theta=5000.0, factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0,
            original_max_position_embeddings=16),
        **llama)
    made = {}
    for name, configuration in [("gpt2", gpt2), ("llama-tied", tied), ("llama-scaled", scaled)]:
        torch.manual_seed(seed)
        kind = GPT2LMHeadModel if name == "gpt2" else LlamaForCausalLM
        model = kind(configuration).eval()
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


def batches(seed, width, length):
    def sized(number, rows, columns):
        return batch(100 * seed + number, rows, columns * length, vocabulary(width))

    return dict(forget=[sized(1, 3, 19), sized(2, 2, 7)], retain=[sized(3, 3, 33), sized(4, 4, 11)])


def run(model, b):
    mask = (torch.arange(b["columns"])[None, :] < b["lengths"][:, None]).long()
    return model(input_ids=b["tokens"], attention_mask=mask, labels=b["labels"])


def named(model):
    return {name: tensor for name, tensor in model.named_parameters()}


def gradients(model):
    return {name: tensor.grad.clone() for name, tensor in named(model).items()}


def divergence(model, reference, b):
    """mean over labelled places of KL(reference || model)."""
    places = b["labels"][:, 1:] != -100
    with torch.no_grad():
        base = torch.log_softmax(run(reference, b).logits[:, :-1][places].float(), -1)
    current = torch.log_softmax(run(model, b).logits[:, :-1][places].float(), -1)
    return torch.nn.functional.kl_div(current, base, reduction="batchmean", log_target=True)


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
    prompt = first["tokens"][:1, :5]
    continuation = model.generate(
        prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=12, do_sample=False, eos_token_id=None,
        pad_token_id=0)
    facts["greedy"] = dict(prompt=prompt[0].tolist(), tokens=continuation[0, 5:].tolist())

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


def write(directory: pathlib.Path, seed=7, width=1, length=1):
    for name, model in models(seed, width, length).items():
        target = directory / name
        target.mkdir(parents=True, exist_ok=True)
        configuration = model.config.to_dict() | dict(architectures=[type(model).__name__])
        (target / "config.json").write_text(json.dumps(configuration, indent=1, sort_keys=True) + "\n")
        tensors, facts = golden(model, batches(seed, width, length))
        save_file({key: value.contiguous() for key, value in tensors.items()}, target / "golden.safetensors")
        (target / "golden.json").write_text(json.dumps(facts, sort_keys=True) + "\n")
