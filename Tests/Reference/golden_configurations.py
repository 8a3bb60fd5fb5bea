# SPDX-License-Identifier: Apache-2.0
"""Writes what transformers makes of real config.json files: Tests/EngineTests/Fixtures/configurations.json.

    golden_configurations.py FOLDER      the folder of config.json files (../shared/data/configs)

No weights are made: models are built without memory for their parameters.
"""

import json
import pathlib
import sys
import tempfile

import torch
from transformers import AutoConfig, AutoModelForCausalLM


def load(path):
    """Reads the file as transformers reads a checkpoint's."""
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "config.json").write_text(path.read_text())
        return AutoConfig.from_pretrained(folder)


def rotations(model):
    """The frequencies of each kind of layer, and what cosines and sines are multiplied by."""
    for module in model.modules():
        if hasattr(module, "rope_type"):
            kinds = module.rope_type if isinstance(module.rope_type, dict) else {"": module.rope_type}
            made = {}
            for kind in kinds:
                name = f"{kind}_" if kind else ""
                made[kind or "full_attention"] = dict(
                    frequencies=getattr(module, f"{name}inv_freq").double().tolist(),
                    magnitude=getattr(module, f"{name}attention_scaling"))
            return made
    return {}


def facts(path):
    configuration = load(path)
    # Rotations are buffers with values; only parameters are left without memory.
    configuration._attn_implementation = "eager"
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(configuration)
    small = load(path)
    small.num_hidden_layers, small.vocab_size = 1, 8
    small.pad_token_id = None
    if getattr(small, "layer_types", None):
        small.layer_types = sorted(set(small.layer_types))
        small.num_hidden_layers = len(small.layer_types)
    for key in ("hidden_size", "intermediate_size"):
        if getattr(small, "head_dim", None) and hasattr(small, key):
            setattr(small, key, small.num_attention_heads)
    rotary = {} if configuration.model_type == "gpt2" else rotations(AutoModelForCausalLM.from_config(small))
    attention = [module.scaling for module in model.modules() if hasattr(module, "scaling")]
    window = getattr(configuration, "sliding_window", None)
    kinds = getattr(configuration, "layer_types", None) or (
        ["sliding_attention" if window else "full_attention"] * configuration.num_hidden_layers)
    return dict(
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        tensors=sum(1 for _ in model.parameters()),
        scale=attention[0] if attention else None,
        windows=[window if kind == "sliding_attention" else None for kind in kinds],
        rotary={
            kind: dict(
                size=2 * len(r["frequencies"]), magnitude=r["magnitude"], sum=sum(r["frequencies"]),
                some=r["frequencies"][:: max(1, len(r["frequencies"]) // 4)])
            for kind, r in rotary.items()})


def main():
    made = {}
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.json")):
        if path.name.endswith("index.json") or "mixtral" in path.name:
            continue
        if path.name == "tiny-random-PhiModel.json":
            continue  # its type_vocab_size and the like are no part of today's PhiConfig
        made[path.name] = facts(path)
    target = pathlib.Path(__file__).resolve().parent.parent / "EngineTests" / "Fixtures" / "configurations.json"
    lines = [f"{json.dumps(name)}: {json.dumps(made[name], sort_keys=True)}" for name in sorted(made)]
    target.write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
