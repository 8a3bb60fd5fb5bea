# SPDX-License-Identifier: Apache-2.0
"""gpu.py WORKER LIBRARIES [SHAPE]…: steps of ascent on a card beside PyTorch on the same card, in one table.

Shapes: gpt2-124m llama-1b; both unless named. The step is alpha * (-forget) + (1 - alpha) * retain, backward, AdamW, in
bfloat16 with f32 weights on both sides (PyTorch: autocast, scaled_dot_product_attention, fused AdamW). Each side runs in a
process of its own, by turns; each process's first steps warm it up and are not counted. LIBRARIES is put before the places
where the worker's libraries are looked for; "-" is none.
"""

import json
import os
import statistics
import subprocess
import sys
import time

ROUNDS = int(os.environ.get("UNLEARN_BENCH_ROUNDS", "3"))
STEPS = int(os.environ.get("UNLEARN_BENCH_STEPS", "20"))
WARM = 5
SHAPES = {"gpt2-124m": (8, 512), "llama-1b": (4, 512)}


def torch_model(shape):
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    if shape == "gpt2-124m":
        return GPT2LMHeadModel(GPT2Config(resid_pdrop=0, embd_pdrop=0, attn_pdrop=0, attn_implementation="sdpa"))
    return LlamaForCausalLM(
        LlamaConfig(
            hidden_size=2048, intermediate_size=8192, num_hidden_layers=16, num_attention_heads=32, num_key_value_heads=8,
            vocab_size=128256, max_position_embeddings=4096, rms_norm_eps=1e-5, rope_theta=500000.0,
            tie_word_embeddings=True, attn_implementation="sdpa"))


def torch_main(shape, rows, columns, steps):
    import torch

    model = torch_model(shape).cuda().train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0.01, fused=True)
    batches = [torch.randint(0, model.config.vocab_size, (rows, columns), device="cuda") for _ in range(2 * steps)]
    for step in range(steps):
        forget, retain = batches[2 * step], batches[2 * step + 1]
        torch.cuda.synchronize()
        begin = time.perf_counter()
        with torch.autocast("cuda", torch.bfloat16):
            loss = -0.5 * model(input_ids=forget, labels=forget, use_cache=False).loss
            loss = loss + 0.5 * model(input_ids=retain, labels=retain, use_cache=False).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        # The worker, too, gives each step's loss before it begins the next.
        value = loss.item()
        torch.cuda.synchronize()
        print(json.dumps({"seconds": time.perf_counter() - begin, "loss": value}), flush=True)
    print(json.dumps({
        "what": f"PyTorch {torch.__version__} on {torch.cuda.get_device_name()}",
        "memory": torch.cuda.max_memory_allocated()}))


def turn(command, environment=None):
    """A process's measurements: seconds of its counted steps, and what it says of itself."""
    done = subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=False)
    if done.returncode != 0:
        sys.exit(f"gpu.py: {' '.join(command)} failed with {done.returncode}")
    records = [json.loads(line) for line in done.stdout.splitlines()]
    seconds = [record["seconds"] for record in records if "seconds" in record][WARM:]
    return seconds, [record for record in records if "seconds" not in record]


def main(worker, libraries, shapes):
    environment = dict(os.environ)
    if libraries != "-":
        # For the worker alone: PyTorch brings libraries of its own.
        environment["LD_LIBRARY_PATH"] = os.path.abspath(libraries)
    print("shape      tokens a step   PyTorch ms   unlearnd ms   ratio")
    for shape in shapes or SHAPES:
        rows, columns = SHAPES[shape]
        ours = [os.path.abspath(worker), "bench", "ascent-step", "--shape", shape, "--device", "cuda", "--forget",
                f"{rows}x{columns}", "--retain", f"{rows}x{columns}", "--steps", str(STEPS + WARM)]
        theirs = [sys.executable, os.path.abspath(__file__), "--torch", shape, str(rows), str(columns), str(STEPS + WARM)]
        times, facts = ([], []), ([], [])
        for _ in range(ROUNDS):
            for side, (command, own) in enumerate([(theirs, None), (ours, environment)]):
                seconds, said = turn(command, own)
                times[side].extend(seconds)
                facts[side][:] = said
        peer, own = (1000 * statistics.median(side) for side in times)
        print(f"{shape:10} {2 * rows * columns:13}   {peer:10.2f}   {own:11.2f}   {peer / own:5.2f}")
        for side in facts:
            for fact in side:
                print("   ", json.dumps(fact))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--torch"]:
        torch_main(sys.argv[2], *map(int, sys.argv[3:6]))
    elif len(sys.argv) < 3 or any(shape not in SHAPES for shape in sys.argv[3:]):
        sys.exit(__doc__)
    else:
        main(sys.argv[1], sys.argv[2], sys.argv[3:])
