# SPDX-License-Identifier: Apache-2.0
"""Writes what PEFT makes of low-rank adapters to Tests/EngineTests/Fixtures/lora. Run it with .venv/bin/python.

For each model: adapters with random A and B, their gradients, a few steps of AdamW, the merged weights, and the adapter
directory that PEFT saves, in the variants that adapters come in.
"""

import copy
import json
import pathlib
import shutil

import peft
import torch
from safetensors.torch import save_file

import reference_models
from reference_models import named, run

TARGET = pathlib.Path(__file__).resolve().parent.parent / "EngineTests" / "Fixtures" / "lora"
STEPS = 4
RATE = 1e-2


def adapted(model, **options):
    """PEFT's model with adapters whose B is not zero, so that every gradient is there."""
    wrapped = peft.get_peft_model(model, peft.LoraConfig(task_type="CAUSAL_LM", **options))
    torch.manual_seed(5)
    with torch.no_grad():
        for name, tensor in wrapped.named_parameters():
            if "lora_" in name:
                tensor.copy_(0.1 * torch.randn_like(tensor))
    return wrapped


def adapters(wrapped):
    """Adapter tensors by the names that PEFT saves, without its prefix."""
    return {
        name.removeprefix("base_model.model."): tensor
        for name, tensor in peft.get_peft_model_state_dict(wrapped).items()}


def weights(model):
    return {name: tensor.detach().clone() for name, tensor in named(model).items()}


def trained(base, data, options):
    """(tensors, facts) of one model."""
    tensors = {f"weights/{name}": tensor for name, tensor in weights(base).items()}
    wrapped = adapted(copy.deepcopy(base), **options)
    tensors |= {f"start/{name}": tensor.detach().clone() for name, tensor in adapters(wrapped).items()}
    optimizer = torch.optim.AdamW([t for t in wrapped.parameters() if t.requires_grad], lr=RATE)
    facts = dict(rate=RATE, rank=options["r"], alpha=options["lora_alpha"], targets=options["target_modules"], losses=[])
    for step in range(STEPS):
        optimizer.zero_grad()
        loss = run(wrapped, data["forget"][step % 2]).loss
        loss.backward()
        if step == 0:
            tensors |= {
                f"gradients/{name.removeprefix('base_model.model.').replace('.default', '')}": tensor.grad.clone()
                for name, tensor in wrapped.named_parameters() if tensor.grad is not None}
        optimizer.step()
        facts["losses"].append(loss.item())
    tensors |= {f"trained/{name}": tensor.detach().clone() for name, tensor in adapters(wrapped).items()}
    tensors |= {f"merged/{name}": tensor for name, tensor in weights(wrapped.merge_and_unload()).items()}
    facts["batches"] = {
        name: [
            {key: value.flatten().tolist() if torch.is_tensor(value) else value for key, value in b.items()}
            for b in group]
        for name, group in data.items()}
    return tensors, facts


def directory(base, target, dtype=torch.float32, **options):
    """An adapter directory as PEFT saves it, and the change that it makes to each weight."""
    wrapped = adapted(copy.deepcopy(base), **options)
    with torch.no_grad():
        for name, tensor in wrapped.named_parameters():
            if "lora_" in name:
                tensor.data = tensor.data.to(dtype)
    wrapped.save_pretrained(target)
    (target / "README.md").unlink(missing_ok=True)
    deltas = {}
    for name, module in wrapped.named_modules():
        if hasattr(module, "get_delta_weight"):
            with torch.no_grad():
                a = module.lora_A if module.lora_A else module.lora_embedding_A
                key = next(iter(a))
                for matrices in (module.lora_A, module.lora_B, module.lora_embedding_A, module.lora_embedding_B):
                    for parameter in (matrices.parameters() if hasattr(matrices, "parameters") else []):
                        parameter.data = parameter.data.double()
                deltas[name.removeprefix("base_model.model.") + ".weight"] = module.get_delta_weight(key).float()
    save_file({name: t.contiguous() for name, t in deltas.items()}, target / "expected.safetensors")


def main():
    shutil.rmtree(TARGET, ignore_errors=True)
    made = reference_models.models(13, 1, 1)
    data = reference_models.batches(13, 1, 1)
    for name, options in [
            ("llama-tied", dict(r=4, lora_alpha=6, target_modules=["q_proj", "v_proj", "down_proj"])),
            ("gpt2", dict(r=3, lora_alpha=3, target_modules=["c_attn", "c_proj"], fan_in_fan_out=True))]:
        tensors, facts = trained(made[name], data, options)
        target = TARGET / name
        target.mkdir(parents=True)
        configuration = made[name].config.to_dict() | dict(architectures=[type(made[name]).__name__])
        (target / "config.json").write_text(json.dumps(configuration, indent=1, sort_keys=True) + "\n")
        save_file({key: value.contiguous() for key, value in tensors.items()}, target / "golden.safetensors")
        (target / "golden.json").write_text(json.dumps(facts, sort_keys=True) + "\n")
    directory(
        made["llama-tied"], TARGET / "adapters" / "patterns", r=4, lora_alpha=6, use_rslora=True,
        target_modules=["q_proj", "o_proj", "gate_proj"], rank_pattern={"o_proj": 2, "layers.1.self_attn.q_proj": 3},
        alpha_pattern={"gate_proj": 5})
    directory(
        made["llama-tied"], TARGET / "adapters" / "half", dtype=torch.bfloat16, r=2, lora_alpha=4,
        target_modules=["k_proj", "up_proj"])
    directory(
        made["gpt2"], TARGET / "adapters" / "transposed", r=3, lora_alpha=4, target_modules=["c_attn", "mlp.c_proj", "wte"],
        fan_in_fan_out=True)


if __name__ == "__main__":
    main()
