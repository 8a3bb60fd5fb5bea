# SPDX-License-Identifier: Apache-2.0
"""Unlearning methods written down in PyTorch from their formulas: shared by golden_methods.py and parity_methods.py.

Each method is `weights.forget * forget + weights.retain * retain`. Losses of tokens are taken where labels are, shifted by
one; a row's labelled tokens are T, their sum of losses S, their mean L. Where a published implementation takes other
places (padding, prompts, unshifted masks), the formula of the paper on the labelled places is what stands here.
"""

import copy
import json
import math
import pathlib

import torch
from safetensors.torch import save_file

import reference_models
from reference_models import named, run

LEARNING_RATE = 1e-3
# Larger than usual: the methods are compared here, and a gradient of rounding noise must not make a whole step.
EPSILON = 1e-5
STEPS = 4
STEPS_PER_EPOCH = 2
LAYER = 0

CASES = [
    dict(name="ascent", method="ascent", forget=0.3, retain=0.7),
    dict(name="graddiff", method="ascent", forget=0.7, retain=1.5),
    dict(name="graddiff-kl", method="ascent", forget=0.7, retain=1.5, retain_loss="kl"),
    dict(name="npo", method="npo", beta=0.1, forget=1, retain=1),
    dict(name="npo-kl", method="npo", beta=0.5, forget=0.8, retain=2, retain_loss="kl"),
    dict(name="simnpo", method="simnpo", beta=4.5, margin=4.2, forget=0.125, retain=1),
    dict(name="dpo", method="dpo", beta=0.1, forget=1, retain=1),
    dict(name="idk", method="idk", forget=1, retain=0.5),
    dict(name="undial", method="undial", beta=10, forget=1, retain=0.5),
    dict(name="wga", method="wga", beta=1, forget=1, retain=1),
    dict(name="wga-soft", method="wga", beta=0.25, forget=1, retain=0),
    dict(name="satimp", method="satimp", beta1=0.5, beta2=1.5, forget=0.1, retain=1),
    dict(name="ceu", method="ceu", skip=1, forget=1, retain=0.5),
    dict(name="pdu", method="pdu", forget=1, retain=1, dual_rate=1, retain_limit=4.5, warmup_epochs=1),
    dict(name="rmu", method="rmu", steering=2, forget=1, retain=1.2, retain_loss="activations"),
    dict(name="update", method="update", beta=0.1, replacement=0.6, forget=1, retain=1),
    dict(name="npo-sam", method="npo", beta=0.1, forget=1, retain=1, sam=0.05),
    dict(name="dpo-sam", method="dpo", beta=0.1, forget=0.7, retain=1, sam=0.01),
]


class Rows:
    """What a model says to a batch: losses (B, T-1), where labels are, logits and what leaves block LAYER there."""

    def __init__(self, model, b):
        mask = (torch.arange(b["columns"])[None, :] < b["lengths"][:, None]).long()
        output = model(input_ids=b["tokens"], attention_mask=mask, output_hidden_states=True)
        labels = b["labels"][:, 1:]
        self.logits = output.logits[:, :-1]
        self.hidden = output.hidden_states[LAYER + 1][:, :-1]
        self.places = labels != -100
        self.labels = labels.clamp(min=0)
        self.losses = torch.nn.functional.cross_entropy(
            self.logits.transpose(1, 2), labels, ignore_index=-100, reduction="none")

    @property
    def sums(self):
        return self.losses.sum(1)

    @property
    def counts(self):
        return self.places.sum(1)

    @property
    def mean(self):
        return self.losses[self.places].mean()


def preference(beta, x):
    """mean of -(2/beta) ln sigmoid(beta x)."""
    return -(2 / beta) * torch.nn.functional.logsigmoid(beta * x).mean()


def forget_loss(case, model, base, forget, win, control):
    own = Rows(model, forget)
    with torch.no_grad():
        old = Rows(base, forget)
    method = case["method"]
    if method == "ascent":
        return -own.mean
    if method in ("npo", "update"):  # Zhang et al. 2024
        loss = preference(case["beta"], own.sums - old.sums)
        return loss + case["replacement"] * Rows(model, win).mean if method == "update" else loss
    if method == "simnpo":  # Fan et al. 2024
        return preference(case["beta"], own.sums / own.counts - case["margin"])
    if method == "dpo":  # Rafailov et al. 2023, with the factor 2/beta of Zhang et al.
        new = Rows(model, win)
        with torch.no_grad():
            old_win = Rows(base, win)
        return preference(case["beta"], (old_win.sums - new.sums) - (old.sums - own.sums))
    if method == "idk":  # Maini et al. 2024
        return Rows(model, win).mean
    if method == "undial":  # Dong et al. 2024
        lowered = old.logits - case["beta"] * torch.nn.functional.one_hot(own.labels, own.logits.shape[-1])
        return torch.nn.functional.cross_entropy(
            own.logits[own.places], torch.softmax(lowered, -1)[own.places])
    if method == "wga":  # Wang et al. 2025
        weight = torch.exp(-own.losses.detach()) ** case["beta"]
        return -(weight * own.losses)[own.places].mean()
    if method == "satimp":  # Yang et al. 2025
        p = torch.exp(-own.losses.detach())
        return -(p ** case["beta1"] * (1 - p) ** case["beta2"] * own.losses)[own.places].mean()
    if method == "ceu":  # Yang 2025: cross-entropy to the model's own distribution without the label
        counted = own.places & (own.places.cumsum(1) > case["skip"])
        banned = torch.nn.functional.one_hot(own.labels, own.logits.shape[-1]).bool()
        wanted = torch.softmax(own.logits.detach().masked_fill(banned, -math.inf), -1)
        return torch.nn.functional.cross_entropy(own.logits[counted], wanted[counted])
    if method == "pdu":  # Entesari et al. 2025
        logits = own.logits[own.places]
        return ((logits.max(-1).values - logits.mean(-1)) ** 2).mean()
    if method == "rmu":  # Li et al. 2024
        distance = ((own.hidden - case["steering"] * control) ** 2).mean(-1) * own.places
        return (distance.sum(1) / own.counts).mean()
    raise ValueError(method)


def retain_loss(case, model, base, retain):
    own = Rows(model, retain)
    kind = case.get("retain_loss", "nll")
    if kind == "nll":
        return own.mean
    with torch.no_grad():
        old = Rows(base, retain)
    if kind == "kl":
        return torch.nn.functional.kl_div(
            torch.log_softmax(own.logits[own.places], -1), torch.log_softmax(old.logits[own.places], -1),
            reduction="batchmean", log_target=True)
    distance = ((own.hidden - old.hidden) ** 2).mean(-1) * own.places
    return (distance.sum(1) / own.counts).mean()


def gradient(case, alpha, model, base, forget, win, retain, control):
    """Leaves the step's gradient in the model; returns the values of its parts."""
    model.zero_grad()
    parameters = list(model.parameters())
    if "sam" in case:  # Fan et al. 2025: the forget gradient is taken uphill, the retain gradient where we are
        wanted = forget_loss(case, model, base, forget, win, control)
        wanted.backward()
        norm = torch.sqrt(sum((p.grad ** 2).sum() for p in parameters if p.grad is not None))
        steps = [case["sam"] * p.grad / norm for p in parameters]
        before = [p.detach().clone() for p in parameters]
        model.zero_grad()
        with torch.no_grad():
            for p, step in zip(parameters, steps):
                p.add_(step)
        (case["forget"] * forget_loss(case, model, base, forget, win, control)).backward()
        with torch.no_grad():
            for p, old in zip(parameters, before):
                p.copy_(old)
    else:
        wanted = forget_loss(case, model, base, forget, win, control)
        (case["forget"] * wanted).backward()
    kept = retain_loss(case, model, base, retain)
    (alpha * kept).backward()
    return dict(
        forget=wanted.item(), retain=kept.item(), loss=case["forget"] * wanted.item() + alpha * kept.item(), alpha=alpha)


def train(case, model, base, data, control):
    """STEPS steps of AdamW; the dual variable of pdu follows the retain loss.

    They begin away from the base: there the gradient of a divergence from it is 0, and nothing of it would be compared.
    """
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, eps=EPSILON)
    alpha = case["retain"]
    steps = []
    for step in range(STEPS):
        values = gradient(
            case, alpha, model, base, data["forget"][step % 2], data["win"][step % 2], data["retain"][step % 2], control)
        for parameter in model.parameters():
            if parameter.grad is None:  # not reached by rmu: PyTorch would leave even the decay out
                parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
        steps.append(values)
        if case["method"] == "pdu" and step // STEPS_PER_EPOCH >= case["warmup_epochs"]:
            alpha = max(0.0, alpha + case["dual_rate"] * (values["retain"] - case["retain_limit"]))
    return steps


def perturbed(model, seed):
    torch.manual_seed(seed)
    other = copy.deepcopy(model)
    with torch.no_grad():
        for tensor in other.parameters():
            tensor.add_(0.1 * tensor.std() * torch.randn_like(tensor))
    return other


def batches(seed, width, length):
    data = reference_models.batches(seed, width, length)
    vocabulary = reference_models.vocabulary(width)
    data["win"] = [
        reference_models.batch(100 * seed + 5, 3, 11 * length, vocabulary),
        reference_models.batch(100 * seed + 6, 2, 9 * length, vocabulary)]
    return data


def golden(model, data, seed, kept=None):
    """Everything that is compared: (tensors, facts). `kept` names the parameters whose values are written."""
    def chosen(values):
        return {name: tensor.detach().clone() for name, tensor in values.items() if kept is None or name in kept}

    base = perturbed(model, seed + 1)
    generator = torch.Generator().manual_seed(seed)
    control = torch.rand(model.config.hidden_size, generator=generator)
    control /= control.norm()
    tensors = {"control": control}
    tensors |= {f"weights/{name}": tensor.detach().clone() for name, tensor in named(model).items()}
    tensors |= {f"base/{name}": tensor.detach().clone() for name, tensor in named(base).items()}
    cases = []
    for case in CASES:
        values = gradient(
            case, case["retain"], model, base, data["forget"][0], data["win"][0], data["retain"][0], control)
        gradients = {
            name: torch.zeros_like(tensor) if tensor.grad is None else tensor.grad
            for name, tensor in named(model).items()}
        tensors |= {f"{case['name']}/gradients/{name}": tensor for name, tensor in chosen(gradients).items()}
        trained = copy.deepcopy(model)
        steps = train(case, trained, base, data, control)
        tensors |= {f"{case['name']}/trained/{name}": tensor for name, tensor in chosen(named(trained)).items()}
        cases.append(dict(case, values=values, steps=steps))
    facts = dict(
        cases=cases, learning_rate=LEARNING_RATE, epsilon=EPSILON, layer=LAYER, steps_per_epoch=STEPS_PER_EPOCH)
    facts["batches"] = {
        name: [
            {key: value.flatten().tolist() if torch.is_tensor(value) else value for key, value in b.items()}
            for b in group]
        for name, group in data.items()}
    return tensors, facts


def write(target: pathlib.Path, name, seed, width=1, length=1, kept=None):
    model = reference_models.models(seed, width, length)[name]
    target.mkdir(parents=True, exist_ok=True)
    configuration = model.config.to_dict() | dict(architectures=[type(model).__name__])
    (target / "config.json").write_text(json.dumps(configuration, indent=1, sort_keys=True) + "\n")
    tensors, facts = golden(model, batches(seed, width, length), seed, kept)
    save_file({key: value.contiguous() for key, value in tensors.items()}, target / "golden.safetensors")
    (target / "golden.json").write_text(json.dumps(facts, sort_keys=True) + "\n")
