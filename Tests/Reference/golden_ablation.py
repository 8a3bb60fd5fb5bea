#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""golden_ablation.py OUT: attributions of neurons and heads by PyTorch, for the models of golden_models.py.

For the first forget batch: the sum over labelled tokens of the label's log-odds, its gradient with respect to what
the down projection and the attention's output projection read (autograd), times that; and the mean of the gradient over
a path on which all units of one layer and kind are scaled from 0 to 1 (integrated gradients, both ends included).
Writes OUT/attributions.json: model → method → kind → values, by layer and unit, per labelled token.
"""

import json
import pathlib
import sys

import torch

import reference_models

POINTS = 5


def projections(model, kind):
    layers = model.transformer.h if hasattr(model, "transformer") else model.model.layers
    if hasattr(model, "transformer"):
        return [layer.mlp.c_proj if kind == "neuron" else layer.attn.c_proj for layer in layers]
    return [layer.mlp.down_proj if kind == "neuron" else layer.self_attn.o_proj for layer in layers]


def captured(model, batch, kind, scaled=None, scale=1.0):
    """What the projections read, and the gradient for it; those of layer `scaled` are multiplied by `scale`."""
    seen = {}
    handles = []
    for index, projection in enumerate(projections(model, kind)):
        def hook(_, inputs, index=index):
            x = inputs[0]
            if index == scaled:
                x = (x.detach() * scale).requires_grad_(True)
            else:
                x.retain_grad()
            seen[index] = x
            return (x,) + inputs[1:]

        handles.append(projection.register_forward_pre_hook(hook))
    output = reference_models.run(model, batch)
    places = batch["labels"][:, 1:] != -100
    logits = output.logits[:, :-1][places].float()
    targets = batch["labels"][:, 1:][places]
    likelihood = torch.log_softmax(logits, -1).gather(-1, targets[:, None])
    odds = likelihood - torch.log((-torch.expm1(likelihood)).clamp(min=1e-4))
    odds.sum().backward()
    model.zero_grad()
    for handle in handles:
        handle.remove()
    return seen, int(places.sum())


def units(product, kind, heads):
    """(rows, positions, width) → sums for each row and unit."""
    rows = product.double().sum(1)
    return rows if kind == "neuron" else rows.view(rows.shape[0], heads, -1).sum(-1)


def attributions(model, batch, method, kind):
    heads = model.config.num_attention_heads
    values, sizes, means = [], [], []
    count = len(projections(model, kind))
    lengths = batch["lengths"]
    real = torch.arange(batch["columns"])[None, :] < lengths[:, None]
    # The last real token predicts nothing and has no gradient; it is no part of the means either.
    predicting = torch.arange(batch["columns"])[None, :] < (lengths - 1)[:, None]
    for layer in range(count):
        if method == "gradient":
            seen, tokens = captured(model, batch, kind)
            x, gradient = seen[layer].detach(), seen[layer].grad
        else:
            total = 0
            for point in torch.linspace(0, 1, POINTS).tolist():
                seen, tokens = captured(model, batch, kind, scaled=layer, scale=point)
                total = total + seen[layer].grad
            x, gradient = seen[layer].detach(), total / POINTS
        rows = units(x * gradient * real[..., None], kind, heads)
        values += (rows.sum(0) / tokens).tolist()
        sizes += (rows.abs().sum(0) / tokens).tolist()
        means += x[predicting].double().mean(0).tolist()
    return dict(values=values, sizes=sizes, means=means)


def main(out):
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    facts = dict(points=POINTS)
    data = reference_models.batches(7, 1, 1)["forget"][0]
    for name, model in reference_models.models(7, 1, 1, reference_models.CORE).items():
        facts[name] = {
            method: {kind: attributions(model, data, method, kind) for kind in ("neuron", "head")}
            for method in ("gradient", "integrated")}
    (out / "attributions.json").write_text(json.dumps(facts, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
