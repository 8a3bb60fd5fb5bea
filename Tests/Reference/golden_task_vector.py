#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""golden_task_vector.py OUT: task-vector results by PyTorch, over all pairs of stored types.

Writes target.safetensors, finetuned.safetensors, base.safetensors and two results: scale 0.7 with the base, and
scale -1.3 with the target as base. Values are random ones, subnormals, both zeros, infinities, NaN and the ends of
each type's range. PyTorch computes each of the three operations in its own call, so that nothing fuses.
"""

import itertools
import os
import sys

import torch
from safetensors.torch import save_file

TYPES = {"f16": torch.float16, "bf16": torch.bfloat16, "f32": torch.float32, "f64": torch.float64}


def values(dtype, generator, count):
    info = torch.finfo(dtype)
    scale = torch.exp2(torch.randint(-24, 12, (count,), generator=generator).double())
    random = torch.randn(count, generator=generator, dtype=torch.float64) * scale
    special = [0.0, -0.0, info.tiny, -info.tiny, info.tiny / 2, info.tiny / 4, info.max, -info.max, info.eps, 1.0]
    special += [float("inf"), float("-inf"), float("nan"), 65504.0, 65519.0, 65520.0, 2**-24, 2**-25, 3 * 2**-25]
    random[torch.randperm(count, generator=generator)[: 3 * len(special)]] = torch.tensor(special * 3).double()
    return random.to(dtype)


def edit(target, finetuned, base, scale):
    wide = torch.float64 if target.dtype == torch.float64 else torch.float32
    difference = finetuned.to(wide) - base.to(wide)
    product = torch.tensor(scale, dtype=wide) * difference
    return (target.to(wide) - product).to(target.dtype)


def main(out):
    os.makedirs(out, exist_ok=True)
    generator = torch.Generator().manual_seed(20)
    target, finetuned, base = {}, {}, {}
    for a, b, c in itertools.product(TYPES, TYPES, TYPES):
        if c not in (a, b):
            continue
        name = f"{a}.{b}.{c}"
        # Odd lengths; where all types are one, more than a block of the kernel.
        count = 1033 if a == b == c else 141
        target[name] = values(TYPES[a], generator, count)
        finetuned[name] = values(TYPES[b], generator, count)
        base[name] = values(TYPES[c], generator, count)
        # A third of the elements differ by little, as they do after training.
        part = slice(0, count // 3)
        finetuned[name][part] = (target[name][part].double() * 1.001).to(TYPES[b])
        base[name][part] = target[name][part].to(TYPES[c])
    for tensors in (target, finetuned, base):
        tensors["steps"] = torch.arange(5)
    save_file(target, f"{out}/target.safetensors")
    save_file(finetuned, f"{out}/finetuned.safetensors")
    save_file(base, f"{out}/base.safetensors")
    names = [name for name in target if name != "steps"]
    with_base = {name: edit(target[name], finetuned[name], base[name], 0.7) for name in names}
    own_base = {name: edit(target[name], finetuned[name], target[name], -1.3) for name in names}
    save_file(with_base | {"steps": target["steps"]}, f"{out}/result_base.safetensors")
    save_file(own_base | {"steps": target["steps"]}, f"{out}/result_own.safetensors")


if __name__ == "__main__":
    main(sys.argv[1])
