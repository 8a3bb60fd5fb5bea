# SPDX-License-Identifier: Apache-2.0
"""Writes what PyTorch makes of each unlearning method to Tests/EngineTests/Fixtures/methods.

Run it with .venv/bin/python. Only some tensors' gradients are kept: the first reached by the error, the last, and one
between; parity_methods.py compares all of them.
"""

import pathlib

import reference_methods

TARGET = pathlib.Path(__file__).resolve().parent.parent / "EngineTests" / "Fixtures" / "methods"
KEPT = [
    "model.norm.weight", "model.layers.0.mlp.down_proj.weight",
    "model.layers.0.self_attn.q_proj.weight", "model.layers.0.input_layernorm.weight"]

reference_methods.write(TARGET, "llama-tied", 13, kept=KEPT)
