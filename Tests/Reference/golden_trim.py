#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""golden_trim.py OUT: trimmed task vectors by NumPy.

Keeps of each tensor's direction d = finetuned - base the int(density * n) elements of the largest |d|, equals by index
(a stable sort), at least one: the magnitude sparsification of TIES-merging as mergekit counts it. Writes target, finetuned,
base and the result for density 0.3 and scale 0.7, with many equal magnitudes, in F32, BF16 and F64; in layer 1 the scale is
halved. (bfloat16 by rounding of the bits; NumPy has no such type.)
"""

import os
import sys

import numpy
import torch
from safetensors.torch import save_file

DENSITY, SCALE = 0.3, 0.7


def kept(direction):
    count = max(1, int(DENSITY * direction.size))
    order = numpy.argsort(-numpy.abs(direction), kind="stable")
    mask = numpy.zeros(direction.size, dtype=bool)
    mask[order[:count]] = True
    return mask


def trimmed(target, finetuned, base, factor):
    wide = numpy.float64 if target.dtype == torch.float64 else numpy.float32
    t, f, b = (x.to(torch.float64 if wide is numpy.float64 else torch.float32).numpy().ravel()
               for x in (target, finetuned, base))
    direction = f - b
    product = wide(SCALE * factor) * direction
    result = numpy.where(kept(direction), t - product, t)
    return torch.from_numpy(result.astype(wide)).to(target.dtype).view(target.shape)


def main(out):
    os.makedirs(out, exist_ok=True)
    generator = torch.Generator().manual_seed(11)
    target, finetuned, base = {}, {}, {}
    shapes = {"layers.0.a": (torch.float32, (37, 41)), "layers.1.b": (torch.bfloat16, (29, 53)),
              "layers.2.c": (torch.float64, (700,)), "norm": (torch.float32, (2,)), "one": (torch.float32, (1,))}
    for name, (dtype, shape) in shapes.items():
        base[name] = torch.randn(shape, generator=generator).to(dtype)
        target[name] = torch.randn(shape, generator=generator).to(dtype)
        # Eighths: exact in every type, and often equal.
        step = torch.randint(-6, 7, shape, generator=generator).double() / 8
        base[name] = (base[name].double() * 4).round().to(dtype) / 4
        finetuned[name] = (base[name].double() + step).to(dtype)
    result = {name: trimmed(target[name], finetuned[name], base[name], 0.5 if name == "layers.1.b" else 1.0)
              for name in shapes}
    for name, tensors in dict(target=target, finetuned=finetuned, base=base, result=result).items():
        save_file(tensors, f"{out}/{name}.safetensors")


if __name__ == "__main__":
    main(sys.argv[1])
