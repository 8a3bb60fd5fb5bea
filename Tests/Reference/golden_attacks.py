#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""golden_attacks.py OUT: rounded weights by NumPy and layers read through the head by PyTorch.

Writes OUT/attacks.json: `weights` (5, 70) with `int8`, `int4` (groups of 32) and `nf4` (blocks of 64 over the rows, the
constants of bitsandbytes), and `lens`: for each model of golden_models.py and each number of blocks the negative
log-likelihood of every label of the first forget batch, and `slopes`: for some of them the `loss` of the second forget
batch and its gradient by the one-hot vectors of two tokens of each row, those at 1 and 2 of the first row and at 0 and 1 of
the second, summed over the rows.
"""

import json
import pathlib
import sys

import numpy
import torch

import reference_models

NF4 = numpy.array([
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
    -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
    0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0], dtype=numpy.float32)


def integers(values, limit):
    step = numpy.float32(numpy.abs(values).max() / numpy.float32(limit))
    return numpy.clip(numpy.rint(values / step), -limit, limit).astype(numpy.float32) * step


def nf4(values):
    largest = numpy.abs(values).max()
    share = values / largest
    return NF4[numpy.abs(NF4[None, :] - share[:, None]).argmin(1)] * largest


def quantized(weights):
    flat = weights.ravel()
    int4 = weights.copy()
    for row in int4:
        for start in range(0, row.size, 32):
            row[start:start + 32] = integers(row[start:start + 32], 7)
    return dict(
        int8=numpy.stack([integers(row, 127) for row in weights]), int4=int4,
        nf4=numpy.concatenate([nf4(flat[start:start + 64]) for start in range(0, flat.size, 64)]))


def lens(model, batch):
    mask = (torch.arange(batch["columns"])[None, :] < batch["lengths"][:, None]).long()
    output = model(input_ids=batch["tokens"], attention_mask=mask, output_hidden_states=True)
    norm = model.transformer.ln_f if hasattr(model, "transformer") else model.model.norm
    places = batch["labels"][:, 1:] != -100
    layers = []
    for index, hidden in enumerate(output.hidden_states):
        # transformers norms the last one itself.
        last = index == len(output.hidden_states) - 1
        logits = output.logits if last else model.lm_head(norm(hidden))
        layers.append(torch.nn.functional.cross_entropy(
            logits[:, :-1][places], batch["labels"][:, 1:][places], reduction="none").tolist())
    return layers


def slopes(model, batch):
    """Through a matrix of one-hot rows in the place of token ids; what an embedding module scales is in the table."""
    size = model.config.vocab_size
    table = model.get_input_embeddings()(torch.arange(size)).detach()
    chosen = torch.nn.functional.one_hot(batch["tokens"], size).float().requires_grad_()
    mask = (torch.arange(batch["columns"])[None, :] < batch["lengths"][:, None]).long()
    loss = model(inputs_embeds=chosen @ table, attention_mask=mask, labels=batch["labels"]).loss
    loss.backward()
    return dict(loss=loss.item(), values=(chosen.grad[0, 1:3] + chosen.grad[1, 0:2]).ravel().tolist())


def main(out):
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    weights = numpy.random.default_rng(5).normal(size=(5, 70)).astype(numpy.float32)
    facts = dict(weights=weights.ravel().tolist())
    facts |= {name: values.ravel().tolist() for name, values in quantized(weights).items()}
    data = reference_models.batches(7, 1, 1)["forget"][0]
    with torch.no_grad():
        facts["lens"] = {name: lens(model, data) for name, model in reference_models.models(7, 1, 1, reference_models.CORE).items()}
    named = reference_models.models(7, 1, 1, ["gpt2", "llama-tied", "llama-scaled", "gemma"])
    facts["slopes"] = {
        name: slopes(model, reference_models.batches(7, 1, 1, model.config.vocab_size)["forget"][1])
        for name, model in named.items()}
    (out / "attacks.json").write_text(json.dumps(facts, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
