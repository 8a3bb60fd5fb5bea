# SPDX-License-Identifier: Apache-2.0
"""Writes Tests/EngineTests/Fixtures/bf16: the golden tiny models with operands of matrix products rounded to bfloat16.

As autocast does it, the operands of every projection (and of its two gradients) are rounded to bfloat16, nearest, ties to
even; unlike autocast, products, sums and everything between projections stay f32, as in a run with f32 accumulation and f32
results. Weights are f32 masters. Run it with .venv/bin/python.
"""

import json
import pathlib

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.pytorch_utils import Conv1D

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "EngineTests" / "Fixtures"


def narrow(x):
    return x.to(torch.bfloat16).to(torch.float32)


class Product(torch.autograd.Function):
    """x · w, with w (in, out); rounded operands in all three products."""

    @staticmethod
    def forward(context, x, w):
        context.save_for_backward(x, w)
        return narrow(x) @ narrow(w)

    @staticmethod
    def backward(context, dy):
        x, w = context.saved_tensors
        dy = narrow(dy)
        return dy @ narrow(w).T, narrow(x).flatten(0, -2).T @ dy.flatten(0, -2)


def replace(module):
    def forward(x):
        weight = module.weight if isinstance(module, Conv1D) else module.weight.T
        y = Product.apply(x, weight)
        return y if module.bias is None else y + module.bias

    module.forward = forward


def main():
    (FIXTURES / "bf16").mkdir(exist_ok=True)
    for name in ("gpt2", "llama-tied"):
        source = FIXTURES / "models" / name
        facts = json.loads((source / "golden.json").read_text())
        stored = load_file(source / "golden.safetensors")
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(source), attn_implementation="eager").eval()
        weights = {key.removeprefix("weights/"): value for key, value in stored.items() if key.startswith("weights/")}
        model.load_state_dict(weights, strict=False)
        model.tie_weights()
        for module in model.modules():
            if isinstance(module, (Conv1D, torch.nn.Linear)):
                replace(module)
        batch = facts["batches"]["forget"][0]
        shape = (batch["rows"], batch["columns"])
        tokens, labels = (torch.tensor(batch[key]).reshape(shape) for key in ("tokens", "labels"))
        mask = (torch.arange(shape[1])[None, :] < torch.tensor(batch["lengths"])[:, None]).long()
        output = model(input_ids=tokens, attention_mask=mask, labels=labels)
        output.loss.backward()
        tensors = {"logits": output.logits[0].detach().clone(), "loss": output.loss.detach().reshape(1)}
        for key, value in model.named_parameters():
            tensors[f"gradients/{key}"] = value.grad.clone()
        save_file({key: value.contiguous() for key, value in tensors.items()}, FIXTURES / "bf16" / f"{name}.safetensors")


if __name__ == "__main__":
    main()
