# SPDX-License-Identifier: Apache-2.0
"""Writes what PyTorch makes of training steps beyond plain ones to Tests/EngineTests/Fixtures/training.

Run it with .venv/bin/python. Weighted likelihoods and losses on logits; see the functions for each.
"""

import copy
import json
import pathlib

import torch
from safetensors.torch import save_file

import reference_models
from reference_models import named, run

TARGET = pathlib.Path(__file__).resolve().parent.parent / "EngineTests" / "Fixtures" / "training"
BETA = 0.1


def token_losses(model, b):
    """(B, T-1) negative log-likelihoods, and where labels are."""
    logits = run(model, b).logits[:, :-1]
    labels = b["labels"][:, 1:]
    losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), labels, ignore_index=-100, reduction="none")
    return losses, labels != -100, logits


def npo(model, reference, b):
    """mean over rows of -(2/beta) ln sigmoid(beta (S - S_ref)), Zhang et al. 2024: weights known when all losses are."""
    own = token_losses(model, b)[0].sum(1)
    with torch.no_grad():
        base = token_losses(reference, b)[0].sum(1)
    return -(2 / BETA) * torch.nn.functional.logsigmoid(BETA * (own - base)).mean()


def wga(model, b):
    """-mean over tokens of p·l with p detached, Wang et al. 2025: the weight is a function of the token's own loss."""
    losses, places, _ = token_losses(model, b)
    return -(torch.exp(-losses.detach()) * losses)[places].mean()


def undial(model, reference, b):
    """mean over tokens of CE(softmax(z_ref - 3 onehot(y)), p), Dong et al. 2024: a loss on logits, with a reference."""
    _, places, logits = token_losses(model, b)
    with torch.no_grad():
        base = token_losses(reference, b)[2][places]
        labels = b["labels"][:, 1:][places]
        base = base - 3 * torch.nn.functional.one_hot(labels, base.shape[-1])
    return torch.nn.functional.cross_entropy(logits[places], torch.softmax(base, -1))


def gradient(loss, model):
    model.zero_grad()
    loss.backward()
    return {name: tensor.grad.clone() for name, tensor in named(model).items()}


def main():
    model = reference_models.models(11, 1, 1)["llama-tied"]
    data = reference_models.batches(11, 1, 1)
    tensors = {f"weights/{name}": tensor.detach().clone() for name, tensor in named(model).items()}
    facts = {}

    torch.manual_seed(12)
    reference = copy.deepcopy(model)
    with torch.no_grad():
        for tensor in reference.parameters():
            tensor.add_(0.3 * tensor.std() * torch.randn_like(tensor))
    tensors |= {f"reference/{name}": tensor.detach().clone() for name, tensor in named(reference).items()}
    forget = data["forget"][0]
    for name, loss in [
            ("npo", npo(model, reference, forget)), ("wga", wga(model, forget)),
            ("undial", undial(model, reference, forget))]:
        facts[name] = loss.item()
        tensors |= {f"{name}/{key}": value for key, value in gradient(loss, model).items()}

    facts["batches"] = {
        name: [
            {key: value.flatten().tolist() if torch.is_tensor(value) else value for key, value in b.items()}
            for b in group]
        for name, group in data.items()}
    TARGET.mkdir(parents=True, exist_ok=True)
    configuration = model.config.to_dict() | dict(architectures=[type(model).__name__])
    (TARGET / "config.json").write_text(json.dumps(configuration, indent=1, sort_keys=True) + "\n")
    save_file({key: value.contiguous() for key, value in tensors.items()}, TARGET / "golden.safetensors")
    (TARGET / "golden.json").write_text(json.dumps(facts, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
