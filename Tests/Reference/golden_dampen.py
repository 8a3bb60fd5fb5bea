#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""golden_dampen.py OUT: importances of selective synaptic dampening by PyTorch.

For the tied Llama of golden_models.py: over the forget batches (`forget/…`) and over forget and retain batches (`all/…`), the
mean of the squared gradient of each batch's mean loss; and without labels the mean absolute gradient of the mean over the
labelled places of the logits' squared norm (`free/…`, forget batches).
"""

import pathlib
import sys

from safetensors.torch import save_file

import reference_models


def importances(model, batches, label_free=False):
    sums = {name: 0 for name, _ in model.named_parameters()}
    for batch in batches:
        model.zero_grad()
        output = reference_models.run(model, batch)
        if label_free:
            places = batch["labels"][:, 1:] != -100
            output.logits[:, :-1][places].pow(2).sum(-1).mean().backward()
        else:
            output.loss.backward()
        for name, tensor in model.named_parameters():
            gradient = tensor.grad
            sums[name] = sums[name] + (gradient.abs() if label_free else gradient ** 2) / len(batches)
    return sums


def main(out):
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    model = reference_models.models(7, 1, 1)["llama-tied"]
    data = reference_models.batches(7, 1, 1)
    tensors = {}
    for key, values in dict(
            forget=importances(model, data["forget"]), all=importances(model, data["forget"] + data["retain"]),
            free=importances(model, data["forget"], label_free=True)).items():
        tensors |= {f"{key}/{name}": value.contiguous() for name, value in values.items()}
    save_file(tensors, out / "importances.safetensors")


if __name__ == "__main__":
    main(sys.argv[1])
