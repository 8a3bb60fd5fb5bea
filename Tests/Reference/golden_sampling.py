#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes Tests/EngineTests/Fixtures/sampling.json: logits, and the probabilities that transformers' warpers leave.

    golden_sampling.py [FILE]
"""
import json
import pathlib
import sys

import torch
from transformers import LogitsProcessorList, TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

FILE = pathlib.Path(
    sys.argv[1] if len(sys.argv) > 1 else
    pathlib.Path(__file__).resolve().parents[1] / "EngineTests/Fixtures/sampling.json")

SETTINGS = [
    (1.0, None, None), (0.7, None, None), (2.5, None, None), (1.0, 5, None), (1.0, 1, None), (0.5, 1000, None),
    (1.0, None, 0.9), (1.0, None, 0.5), (1.3, None, 0.99), (1.0, None, 0.01), (1.0, None, 1.0), (0.8, 7, 0.8),
    (1.5, 20, 0.95), (3.0, 3, 0.6),
]


def main():
    generator = torch.Generator().manual_seed(11)
    rows = [torch.randn(60, generator=generator) * scale for scale in (0.3, 2.0, 6.0)]
    # Ties at every border: twelve values, each five times.
    rows.append((torch.randn(12, generator=generator) * 2).repeat(5))
    rows.append(torch.zeros(60))
    cases = []
    for row in rows:
        for temperature, top_k, top_p in SETTINGS:
            warpers = LogitsProcessorList()
            if temperature != 1.0:
                warpers.append(TemperatureLogitsWarper(temperature))
            if top_k is not None:
                warpers.append(TopKLogitsWarper(top_k))
            if top_p is not None and top_p < 1.0:
                warpers.append(TopPLogitsWarper(top_p))
            scores = warpers(torch.zeros(1, 1, dtype=torch.long), row[None].clone())
            probabilities = torch.softmax(scores.double(), dim=-1)[0]
            kept = [index for index in range(len(row)) if torch.isfinite(scores[0, index])]
            cases.append({
                "logits": [float(value) for value in row], "temperature": temperature, "top_k": top_k, "top_p": top_p,
                "ids": kept, "probabilities": [float(probabilities[index]) for index in kept]})
    FILE.write_text(json.dumps(cases, separators=(",", ":")) + "\n")
    print(f"{len(cases)} cases")


main()
