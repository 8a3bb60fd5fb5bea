# SPDX-License-Identifier: Apache-2.0
"""scaling.py BIN WORK [GFLOP/s]: what several ranks cost, and what a cost model makes of it for larger models.

Trains a GPT-2 of 25 million parameters by one rank and by two, on rows of three tokens, where hardly anything but the
exchange is left, of 96 and of 192; takes the constants of the model from two of these runs and checks it on others.
Then a table for other machines: of nodes with the given rate, or this one's, and of networks whose numbers are
assumed, not measured. Needs mpirun, and nothing beside Python.
"""
import json
import os
import sys

from daemon import Daemon

CONFIG = {"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "vocab_size": 12000, "n_positions": 256,
          "n_embd": 512, "n_layer": 6, "n_head": 8}
# Weights that a token is multiplied with: four matrices a block, and the head.
MATRIX = 6 * 12 * 512 * 512 + 12000 * 512
PARAMETERS = MATRIX + 256 * 512 + 6 * (4 * 512 + 9 * 512) + 2 * 512
ROWS = 4


def train(daemon, work, length, ranks, epochs):
    """Seconds a step by kind of work, and the rate of the products of one rank, GFLOP/s."""
    with open(f"{work}/rows.jsonl", "w") as file:
        for row in range(16):
            ids = [(place * 37 + row * 11) % 12000 for place in range(length)]
            file.write(json.dumps({"input_ids": ids}) + "\n")
    job = daemon.ctl(
        *("submit", "finetune", "--model", "m@v1", "--data", f"{work}/rows.jsonl", "--epochs", epochs),
        *("--batch-size", ROWS, "--no-evaluate", "--ranks", ranks, "--profile", "--wait"),
    )
    profile = job["result"]["profile"]["edit"]
    steps = sum(epoch["steps"] for epoch in job["training"])
    seconds = {part: share * profile["seconds"] / steps for part, share in profile["shares"].items()}
    seconds["step"] = profile["seconds"] / steps
    return seconds, profile["gemm_gflops"]


def median(runs):
    """The run in the middle, by the length of its step."""
    return sorted(runs, key=lambda run: run[0]["step"])[len(runs) // 2]


def exchanged(parameters, ranks):
    """Bytes that a rank sends, and as many receives, in a step: slices of gradients, then slices of weights."""
    return 8 * parameters * (ranks - 1) / ranks


def main():
    binaries, work = sys.argv[1:3]
    example = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Examples", "people")
    with open(f"{work}/config.json", "w") as file:
        json.dump(CONFIG, file)
    runs = {(length, ranks): [] for length, ranks in ((3, 2), (96, 1), (96, 2), (192, 1), (192, 2))}
    with Daemon(binaries, work) as daemon:
        daemon.ctl(
            *("model", "create", "m", "--config", f"{work}/config.json", "--seed", 1),
            *("--tokenizer", f"{example}/tokenizer.json"),
        )
        for _ in range(3):
            for (length, ranks), found in runs.items():
                found.append(train(daemon, work, length, ranks, 6 if length == 3 else 2))
    found = {key: median(value) for key, value in runs.items()}
    for (length, ranks), (seconds, rate) in found.items():
        parts = ", ".join(f"{part} {value * 1e3:.0f}" for part, value in seconds.items() if value >= 5e-4)
        print(f"rows of {length}, {ranks} rank{'s' * (ranks > 1)}: ms a step: {parts}; {rate:.0f} GFLOP/s a rank")
    one, rate = found[192, 1]
    optimizer = one["optimizer"] / PARAMETERS
    bandwidth = exchanged(PARAMETERS, 2) / found[3, 2][0]["exchange"]
    print(f"constants: products {rate:.0f} GFLOP/s (one rank, all threads), optimiser {optimizer * 1e9:.2f} ns a "
          f"parameter, exchange between two ranks {bandwidth / 1e9:.2f} GB/s each way, sums and waiting included")
    other = (one["step"] - one["gemm"] - one["optimizer"]) / 191
    for length, ranks in ((96, 1), (96, 2), (192, 2)):
        products = 6 * MATRIX * ROWS * (length - 1) / (rate * 1e9)
        expected = (
            products + optimizer * PARAMETERS + other * (length - 1) + exchanged(PARAMETERS, ranks) / bandwidth
        )
        measured = found[length, ranks][0]["step"]
        print(
            f"check, rows of {length}, {ranks} rank{'s' * (ranks > 1)} on the same cores: expected "
            f"{expected:.2f} s a step, measured {measured:.2f} s ({expected / measured:.2f})"
        )
    table(rate if len(sys.argv) < 4 else float(sys.argv[3]), optimizer)


def table(rate, optimizer):
    """One rank a node; 64 rows of 512 tokens a step, shared out."""
    tokens = 64 * 512
    print(f"\nnodes that make {rate:.0f} GFLOP/s each, {tokens} tokens a step; networks of 1.25 and 12.5 GB/s assumed")
    print(f"{'model':>6} {'nodes':>5} {'GB a rank':>9} {'sharded':>7} {'GB sent':>8} {'products':>9} {'optimiser':>9} "
          f"{'exchange':>17} {'efficiency':>12}")
    for name, parameters in (("1B", 1e9), ("8B", 8e9), ("70B", 70e9)):
        for nodes in (1, 2, 4, 8, 16, 32, 64):
            held = 8 * parameters + 8 * parameters / nodes
            sharded = 16 * parameters / nodes
            products = 6 * parameters * tokens / (rate * 1e9) / nodes
            moved = optimizer * parameters / nodes
            sent = exchanged(parameters, nodes)
            slow, fast = sent / 1.25e9, sent / 12.5e9
            # Half of it, the gradients, goes beside the backward pass, which has two thirds of the products.
            waits = [wait - min(wait / 2, products * 2 / 3) for wait in (slow, fast)]
            shares = [(products + moved) / (products + moved + wait) for wait in waits]
            print(f"{name:>6} {nodes:>5} {held / 1e9:>9.1f} {sharded / 1e9:>7.1f} {sent / 1e9:>8.1f} {products:>8.0f}s {moved:>8.2f}s "
                  f"{slow:>7.1f}s {fast:>7.2f}s {shares[0]:>6.0%} {shares[1]:>5.0%}")


if __name__ == "__main__":
    main()
