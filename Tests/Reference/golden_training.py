# SPDX-License-Identifier: Apache-2.0
"""Writes what PyTorch makes of training steps beyond plain ones to Tests/EngineTests/Fixtures/training.

Run it with .venv/bin/python. Weighted likelihoods and losses on logits; runs with accumulation, clipping, schedules,
AdamW's options and frozen parameters. See the functions for each.
"""

import copy
import json
import pathlib

import torch
import transformers
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


def rows_of(group):
    """The rows of a group's batches, one by one, without their padding."""
    return [
        (b["tokens"][row, : b["lengths"][row]], b["labels"][row, : b["lengths"][row]])
        for b in group for row in range(b["rows"])]


def padded(rows):
    columns = max(len(tokens) for tokens, _ in rows)
    def pad(values, filler):
        return torch.stack([torch.nn.functional.pad(v, (0, columns - len(v)), value=filler) for v in values])
    return dict(
        rows=len(rows), columns=columns, tokens=pad([t for t, _ in rows], 0), labels=pad([l for _, l in rows], -100),
        lengths=torch.tensor([len(t) for t, _ in rows]))


def fine_tuned(model, rows, schedule, epochs=3, batch=3, accumulate=2, clip=None, trained=lambda name: True, **adam):
    """Fine-tuning as transformers' Trainer does it: mean over the labelled tokens of all batches of a step."""
    for name, tensor in named(model).items():
        tensor.requires_grad_(trained(name))
    optimizer = torch.optim.AdamW([t for t in model.parameters() if t.requires_grad], **adam)
    batches = [padded(rows[start:start + batch]) for start in range(0, len(rows), batch)]
    steps = [batches[start:start + accumulate] for start in range(0, len(batches), accumulate)]
    scheduler = schedule(optimizer, epochs * len(steps))
    facts = []
    for step in steps * epochs:
        items = sum(int((b["labels"][:, 1:] != -100).sum()) for b in step)
        optimizer.zero_grad()
        total = 0.0
        for b in step:
            loss = token_losses(model, b)[0].sum() / items
            loss.backward()
            total += loss.item()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), clip) if clip else torch.tensor(0.0)
        facts.append(dict(loss=total, norm=norm.item(), rate=scheduler.get_last_lr()[0]))
        optimizer.step()
        scheduler.step()
    return facts


def with_options(model, rows):
    """Everything at once: accumulation, clipping, warm-up and cosine, AdamW's options."""
    return fine_tuned(
        model, rows, lambda o, n: transformers.get_cosine_schedule_with_warmup(o, 2, n), clip=10.0, lr=1e-3,
        betas=(0.8, 0.95), eps=1e-6, weight_decay=0.1)


def frozen(model, rows):
    """The second block without its norms alone, on a straight line down from a warm-up of a fifth of the steps."""
    return fine_tuned(
        model, rows, lambda o, n: transformers.get_linear_schedule_with_warmup(o, -(-n // 5), n), accumulate=1,
        clip=1.0, lr=1e-3, trained=lambda name: ".layers.1." in name and "norm" not in name)


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

    for name, train in [("options", with_options), ("frozen", frozen)]:
        trained = copy.deepcopy(model)
        facts[name] = train(trained, rows_of(data["retain"]))
        tensors |= {f"{name}/{key}": value.detach().clone() for key, value in named(trained).items()}

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
