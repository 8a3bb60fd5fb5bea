#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""golden_facts.py OUT: edits of facts by PyTorch in f64, for the models of golden_models.py.

For the first two rows of the first forget batch, edited at the token before the first label: some steps of Adam on the
shift of the stream that leaves the last of the layers, then the closed form layer by layer (torch.linalg.solve).
Writes OUT/facts.json: model → shifts, and the changes of the down projections as (outputs, inputs).
"""

import json
import pathlib
import sys

import torch

import reference_models

STEPS, RATE, DECAY, CLAMP, WEIGHT, RIDGE = 5, 0.1, 0.5, 4.0, 2.0, 1e-3
LAYERS = [0, 1]


def blocks(model):
    return model.transformer.h if hasattr(model, "transformer") else model.model.layers


def down(block):
    return block.mlp.c_proj if hasattr(block.mlp, "c_proj") else block.mlp.down_proj


def forward(model, ids, place=None, shift=None, layer=None):
    """Logits, the stream that leaves the last layer at `place`, and what the projection of `layer` reads."""
    seen = {}

    def after(_, __, output):
        stream = output[0] if isinstance(output, tuple) else output
        if place is not None:
            seen["stream"] = stream[0, place].detach().clone()
        if shift is None:
            return None
        mask = torch.zeros(stream.shape[1], 1, dtype=stream.dtype)
        mask[place] = 1
        stream = stream + mask * shift
        return (stream,) + output[1:] if isinstance(output, tuple) else stream

    def before(_, inputs):
        seen["read"] = inputs[0][0].detach().clone()

    handles = [blocks(model)[LAYERS[-1]].register_forward_hook(after)]
    if layer is not None:
        handles.append(down(blocks(model)[layer]).register_forward_pre_hook(before))
    logits = model(input_ids=ids[None]).logits[0]
    for handle in handles:
        handle.remove()
    return logits, seen


def rows(batch):
    for row, length in enumerate(batch["lengths"].tolist()):
        yield batch["tokens"][row][:length].long(), batch["labels"][row][:length].long()


def loss_of(logits, labels):
    kept = labels[1:] != -100
    return torch.nn.functional.cross_entropy(logits[:-1][kept], labels[1:][kept])


def search(model, ids, labels, place):
    shift = torch.zeros(model.config.hidden_size, dtype=torch.float64)
    first, second = torch.zeros_like(shift), torch.zeros_like(shift)
    for step in range(1, STEPS + 1):
        variable = shift.clone().requires_grad_(True)
        logits, seen = forward(model, ids, place, variable)
        size, length = seen["stream"].norm(), shift.norm()
        gradient, = torch.autograd.grad(loss_of(logits, labels), variable)
        if length > 0:
            gradient = gradient + DECAY * shift / (length * size ** 2)
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient ** 2
        shift = shift - RATE * (first / (1 - 0.9 ** step)) / ((second / (1 - 0.999 ** step)).sqrt() + 1e-8)
        if shift.norm() > CLAMP * size:
            shift = shift * (CLAMP * size / shift.norm())
    return shift, seen["stream"] + shift


def edited(model, data):
    facts = []
    for ids, labels in list(rows(data["forget"][0]))[:2]:
        place = int((labels[1:] != -100).nonzero()[0])
        facts.append((ids, place) + search(model, ids, labels, place))
    changes = []
    for index, layer in enumerate(LAYERS):
        with torch.no_grad():
            read = []
            for batch in data["retain"][:2]:
                for ids, labels in rows(batch):
                    last = int((labels[1:] != -100).nonzero()[-1])
                    read.append(forward(model, ids, layer=layer)[1]["read"][:last + 1])
            read = torch.cat(read)
            covariance = read.T @ read / len(read)
            width = len(covariance)
            keys, residuals = [], []
            for ids, place, _, target in facts:
                seen = forward(model, ids, place, layer=layer)[1]
                keys.append(seen["read"][place])
                residuals.append((target - seen["stream"]) / (len(LAYERS) - index))
            keys, residuals = torch.stack(keys, 1), torch.stack(residuals, 1)
            matrix = WEIGHT * (covariance + RIDGE * covariance.trace() / width * torch.eye(width, dtype=torch.float64))
            change = residuals @ torch.linalg.solve(matrix + keys @ keys.T, keys).T
            weight = down(blocks(model)[layer]).weight
            weight += change.T if hasattr(model, "transformer") else change
        changes.append([float(f"{value:.7g}") for value in change.flatten().tolist()])
    return dict(
        places=[place for _, place, _, _ in facts],
        shifts=[[float(f"{value:.7g}") for value in shift.tolist()] for _, _, shift, _ in facts],
        changes=changes)


def main(out):
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    data = reference_models.batches(7, 1, 1)
    made = dict(
        steps=STEPS, rate=RATE, decay=DECAY, clamp=CLAMP, weight=WEIGHT, ridge=RIDGE, layers=LAYERS)
    for name, model in reference_models.models(7, 1, 1, ["gpt2", "llama-tied"]).items():
        made[name] = edited(model.double().eval(), data)
    (out / "facts.json").write_text(json.dumps(made, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
