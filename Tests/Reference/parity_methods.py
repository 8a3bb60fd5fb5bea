#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the step of every unlearning method with its formula in PyTorch, live.

    parity_methods.py [--seed S] [--command COMMAND]

Writes models of several sizes with new random weights and what each method makes of them into a folder, and runs the test
suite MethodGoldenTests on it. Exits with the status of the tests.
"""

import argparse
import os
import pathlib
import random
import shlex
import subprocess
import sys
import tempfile

import reference_methods
import reference_models

ROOT = pathlib.Path(__file__).resolve().parents[2]
SIZES = [(1, 1), (2, 3)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 20))
    parser.add_argument("--command", default="swift test -c release --disable-xctest --disable-testable-imports --filter MethodGoldenTests")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for width, length in SIZES:
            for name in reference_models.CORE:
                reference_methods.write(
                    pathlib.Path(folder, f"{width}x{length}-{name}"), name, options.seed, width, length)
        environment = {**os.environ, "UNLEARN_METHOD_PARITY": folder}
        sys.exit(subprocess.run(shlex.split(options.command), cwd=ROOT, env=environment).returncode)


main()
