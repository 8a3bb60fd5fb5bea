#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares logits, losses, gradients, training steps and generation with PyTorch and transformers, live.

    parity_models.py [--seed S] [--command COMMAND]

Writes models of several sizes with new random weights and what PyTorch computes with them into a folder, and
runs the test suite ModelGoldenTests on it. Exits with the status of the tests.
"""

import argparse
import os
import pathlib
import random
import shlex
import subprocess
import sys
import tempfile

import reference_models

ROOT = pathlib.Path(__file__).resolve().parents[2]
SIZES = [(1, 1), (2, 3), (6, 5)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 20))
    parser.add_argument("--command", default="swift test -c release --disable-xctest --disable-testable-imports --filter ModelGoldenTests")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for width, length in SIZES:
            reference_models.write(pathlib.Path(folder, f"{width}x{length}"), options.seed, width, length)
        environment = {**os.environ, "UNLEARN_MODEL_PARITY": folder}
        sys.exit(subprocess.run(shlex.split(options.command), cwd=ROOT, env=environment).returncode)


main()
