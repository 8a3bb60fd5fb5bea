# SPDX-License-Identifier: Apache-2.0
"""Writes Tests/EngineTests/Fixtures/bf16: the golden tiny models with operands of matrix products rounded to bfloat16.

As autocast does it, the operands of every projection and of attention's two products (and of all their gradients) are
rounded to bfloat16, nearest, ties to even; unlike autocast, nothing else is. Products, sums and everything between them are
f64, so that a value between two bfloat16 goes where it should: a single one that goes the other way moves the logits by half
of what all the rounding does. Weights are f32 masters. Run it with .venv/bin/python.
"""

import json
import pathlib

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.models.gpt2 import modeling_gpt2
from transformers.models.llama import modeling_llama
from transformers.pytorch_utils import Conv1D

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "EngineTests" / "Fixtures"


def narrow(x):
    return x.float().bfloat16().double()


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


class Attention(torch.autograd.Function):
    """softmax(q · kᵀ · scale + mask) · v over (B, H, T, D); rounded operands in all six products."""

    @staticmethod
    def forward(context, q, k, v, mask, scale):
        p = torch.softmax(narrow(q) @ narrow(k).mT * scale + mask, -1)
        out = narrow(p) @ narrow(v)
        context.scale = scale
        context.save_for_backward(q, k, v, p, out)
        return out

    @staticmethod
    def backward(context, dy):
        q, k, v, p, out = context.saved_tensors
        delta = (dy * out).sum(-1, keepdim=True)
        ds = narrow(p * (narrow(dy) @ narrow(v).mT - delta) * context.scale)
        return ds @ narrow(k), ds.mT @ narrow(q), narrow(p).mT @ narrow(dy), None, None


def attend(module, query, key, value, attention_mask, scaling=None, **_):
    """In the place of transformers' eager attention."""
    groups = query.shape[1] // key.shape[1]
    key, value = (x.repeat_interleave(groups, 1) for x in (key, value))
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    mask = attention_mask[..., : key.shape[-2]]
    return Attention.apply(query, key, value, mask, scale).transpose(1, 2), None


def replace(module):
    def forward(x):
        weight = module.weight if isinstance(module, Conv1D) else module.weight.T
        y = Product.apply(x, weight)
        return y if module.bias is None else y + module.bias

    module.forward = forward


def main():
    (FIXTURES / "bf16").mkdir(exist_ok=True)
    modeling_gpt2.eager_attention_forward = modeling_llama.eager_attention_forward = attend
    for name in ("gpt2", "llama-tied"):
        source = FIXTURES / "models" / name
        facts = json.loads((source / "golden.json").read_text())
        stored = load_file(source / "golden.safetensors")
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(source), attn_implementation="eager").eval()
        weights = {key.removeprefix("weights/"): value for key, value in stored.items() if key.startswith("weights/")}
        model.load_state_dict(weights, strict=False)
        model.tie_weights()
        model.double()
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
        save_file({key: value.float().contiguous() for key, value in tensors.items()}, FIXTURES / "bf16" / f"{name}.safetensors")


if __name__ == "__main__":
    main()
