# SPDX-License-Identifier: Apache-2.0
"""ascent_step.py BIN WORK: one step of gradient ascent on the shape of GPT-2 124M, beside PyTorch.

The step is the same: alpha * (-forget) + (1 - alpha) * retain over 4 rows of 256 tokens each, backward, AdamW, f32.
Both sides run in processes of their own, by turns; the first step of each process warms up and is not counted.
"""

import json
import os
import statistics
import sys

from daemon import measured, table

ROWS, COLUMNS, STEPS = 4, 256, int(os.environ.get("UNLEARN_BENCH_STEPS", "3"))
ROUNDS = int(os.environ.get("UNLEARN_BENCH_ROUNDS", "3"))
THREADS = len(os.sched_getaffinity(0))


def torch_steps():
    """Runs in the peer's process: prints a JSON line for each step."""
    import time

    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    config = GPT2Config(resid_pdrop=0, embd_pdrop=0, attn_pdrop=0, attn_implementation="sdpa", use_cache=False)
    model = GPT2LMHeadModel(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0.01)
    forget, retain = (torch.randint(0, config.vocab_size, (ROWS, COLUMNS)) for _ in range(2))
    for _ in range(STEPS + 1):
        begin = time.perf_counter()
        loss = -0.5 * model(input_ids=forget, labels=forget).loss + 0.5 * model(input_ids=retain, labels=retain).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(json.dumps({"seconds": time.perf_counter() - begin}), flush=True)
    print(json.dumps({"kernels": f"PyTorch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}"}))


def lines(command, work):
    path = os.path.join(work, "steps")
    with open(path, "w") as out:
        _, peak = measured(command, stdout=out)
    with open(path) as file:
        records = [json.loads(line) for line in file]
    seconds = [record["seconds"] for record in records if "seconds" in record]
    told = next((record["kernels"] for record in records if "kernels" in record), "")
    return seconds[1:], peak, told


def main(bin, work):
    # The peer's own libraries choose as they like, ours choose by themselves: nothing is inherited.
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ.pop(name, None)
    batch = f"{ROWS}x{COLUMNS}"
    ours_command = [f"{bin}/unlearnd-worker", "bench", "ascent-step", "--shape", "gpt2-124m"]
    ours_command += ["--forget", batch, "--retain", batch, "--threads", str(THREADS), "--steps", str(STEPS + 1)]
    theirs_command = [sys.executable, os.path.abspath(__file__), "--torch"]
    results = {"PyTorch f32, sdpa": ([], [], []), "unlearnd f32": ([], [], [])}
    for _ in range(ROUNDS):
        for (seconds, peaks, told), command in zip(results.values(), (theirs_command, ours_command)):
            found, peak, kernels = lines(command, work)
            seconds += found
            peaks.append(peak)
            told.append(kernels)
    tokens = 2 * ROWS * COLUMNS
    rows = []
    for name, (seconds, peaks, told) in results.items():
        middle = statistics.median(seconds)
        rows.append([name, f"{middle:.2f} s", f"{tokens / middle:.0f}", f"{max(peaks) / 2**30:.1f} GiB", told[-1]])
    table(
        f"ascent step: GPT-2 124M shape, {batch} + {batch} tokens, {THREADS} threads, medians of {ROUNDS * STEPS} steps",
        ["what", "step", "tokens/s", "peak memory", "kernels"],
        rows,
    )
    theirs, ours = (statistics.median(seconds) for seconds, _, _ in results.values())
    print(f"  PyTorch / unlearnd: {theirs / ours:.2f}")


if __name__ == "__main__":
    torch_steps() if "--torch" in sys.argv else main(sys.argv[1], sys.argv[2])
