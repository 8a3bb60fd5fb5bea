# SPDX-License-Identifier: Apache-2.0
"""task_vector.py BIN WORK: base - scale * (finetuned - base) over two bf16 shards, beside mergekit's task_arithmetic.

Both sides start from what they keep at rest and end with what they keep at rest: mergekit from and to plain
safetensors files, unlearnd from and to its store (compressed, hashed, fsynced, snapshot verified before the edit).
Each round has another scale, so that no round finds its result already stored.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import time

import numpy

from daemon import Daemon, WorkerMemory, measured, table

HIDDEN, INNER, LAYERS, WORDS = 2048, 5632, int(os.environ.get("UNLEARN_BENCH_LAYERS", "14")), 32000
ROUNDS = int(os.environ.get("UNLEARN_BENCH_ROUNDS", "3"))


def shapes():
    yield "model.embed_tokens.weight", (WORDS, HIDDEN)
    for layer in range(LAYERS):
        at = f"model.layers.{layer}."
        for name in "qkvo":
            yield f"{at}self_attn.{name}_proj.weight", (HIDDEN, HIDDEN)
        yield f"{at}mlp.gate_proj.weight", (INNER, HIDDEN)
        yield f"{at}mlp.up_proj.weight", (INNER, HIDDEN)
        yield f"{at}mlp.down_proj.weight", (HIDDEN, INNER)
        yield f"{at}input_layernorm.weight", (HIDDEN,)
        yield f"{at}post_attention_layernorm.weight", (HIDDEN,)
    yield "model.norm.weight", (HIDDEN,)
    yield "lm_head.weight", (WORDS, HIDDEN)


def bf16(values):
    """f32 to bfloat16 bits, to nearest, ties to even."""
    bits = values.view(numpy.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(numpy.uint16)


def f32(bits):
    return (bits.astype(numpy.uint32) << 16).view(numpy.float32)


def write(directory, drift):
    """A Llama-shaped checkpoint of two shards. With `drift` it is the same model after some training."""
    os.makedirs(directory)
    tensors = list(shapes())
    total = sum(numpy.prod(shape) for _, shape in tensors)
    shards, filled = [[], []], 0
    for name, shape in tensors:
        shards[0 if filled * 2 < total else 1].append((name, shape))
        filled += numpy.prod(shape)
    weights = {}
    for number, shard in enumerate(shards, 1):
        file = f"model-{number:05d}-of-00002.safetensors"
        header, offset = {"__metadata__": {"format": "pt"}}, 0
        for name, shape in shard:
            end = offset + 2 * int(numpy.prod(shape))
            header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, end]}
            weights[name], offset = file, end
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        with open(os.path.join(directory, file), "wb") as out:
            out.write(len(text).to_bytes(8, "little") + text)
            for name, shape in shard:
                random = numpy.random.default_rng(list(name.encode()))
                values = random.standard_normal(int(numpy.prod(shape)), dtype=numpy.float32) * numpy.float32(0.02)
                if drift:
                    values += random.standard_normal(values.size, dtype=numpy.float32) * numpy.float32(drift)
                out.write(bf16(values).tobytes())
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 16,
        "num_key_value_heads": 16,
        "vocab_size": WORDS,
        "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-5,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
    }
    for file, value in (
        ("config.json", config),
        ("model.safetensors.index.json", {"metadata": {"total_size": 2 * int(total)}, "weight_map": weights}),
    ):
        with open(os.path.join(directory, file), "w") as out:
            json.dump(value, out)
    return 2 * int(total)


def tensor(directory, name):
    index = os.path.join(directory, "model.safetensors.index.json")
    shard = "model.safetensors"
    if os.path.exists(index):
        with open(index) as file:
            shard = json.load(file)["weight_map"][name]
    with open(os.path.join(directory, shard), "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        begin, end = json.loads(file.read(size))[name]["data_offsets"]
        file.seek(8 + size + begin)
        return numpy.frombuffer(file.read(end - begin), numpy.uint16)


def mergekit(python, base, tuned, scale, out):
    recipe = {
        "merge_method": "task_arithmetic",
        "base_model": base,
        "models": [{"model": tuned, "parameters": {"weight": -scale}}],
        "dtype": "bfloat16",
    }
    path = out + ".yml"
    with open(path, "w") as file:
        json.dump(recipe, file)  # JSON is YAML
    program = os.path.join(os.path.dirname(python), "mergekit-yaml")
    return measured(
        [program, path, out, "--no-copy-tokenizer", "--lazy-unpickle", "--allow-crimes"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )


def main(bin, work):
    here = os.path.join(work, "task-vector")
    base, tuned, out = (os.path.join(here, name) for name in ("base", "tuned", "merged"))
    size = write(base, 0)
    write(tuned, 0.001)
    ours, theirs = [], []
    with Daemon(bin, here) as daemon:
        begin = time.perf_counter()
        daemon.ctl("model", "import", "base", base)
        daemon.ctl("model", "import", "tuned", tuned)
        imported = time.perf_counter() - begin
        for round in range(ROUNDS + 1):
            scale = 1 + round / 64
            begin = time.perf_counter()
            with WorkerMemory(daemon) as memory:
                job = daemon.ctl(
                    "submit", "task-vector", "--model", "base@v1", "--finetuned", "tuned", "--scale", scale, "--wait"
                )
            seconds = time.perf_counter() - begin
            shutil.rmtree(out, ignore_errors=True)
            reference = mergekit(sys.executable, base, tuned, scale, out)
            if round:  # the first warms both up
                ours.append((seconds, memory.peak))
                theirs.append(reference)
        plain = os.path.join(here, "exported")
        begin = time.perf_counter()
        daemon.ctl("model", "export", f"base@{job['version']}", plain)
        exported = time.perf_counter() - begin
        name = "model.layers.0.mlp.gate_proj.weight"
        x, y = f32(tensor(base, name)), f32(tensor(tuned, name))
        wanted = bf16(x - numpy.float32(scale) * (y - x))
        exact = bool((tensor(plain, name) == wanted).all())
        same = float((tensor(out, name) == wanted).mean())
        status = daemon.ctl("store", "status")

    def line(name, runs):
        peaks = [peak for _, peak in runs]
        return [
            name,
            f"{statistics.median(seconds for seconds, _ in runs):.2f} s",
            f"{max(peaks) / 2**20:.0f} MiB",
        ]

    ratio = statistics.median(s for s, _ in theirs) / statistics.median(s for s, _ in ours)
    table(
        f"task vector: {size / 1e9:.2f} GB of bf16 in two shards, medians of {ROUNDS} rounds by turns",
        ["what", "wall", "peak memory"],
        [line("mergekit task_arithmetic", theirs), line("unlearnctl submit task-vector --wait", ours)],
    )
    print(f"  mergekit / unlearnd: {ratio:.2f}")
    print(f"  equal to f32 arithmetic rounded once: unlearnd {'every value' if exact else 'NOT EQUAL'}, mergekit {same:.4%}")
    print(f"  beside it: import of both checkpoints {imported:.1f} s, export of the result {exported:.1f} s,")
    print(f"  the store keeps {status['raw_bytes'] / 1e9:.2f} GB in {status['stored_bytes'] / 1e9:.2f} GB")
    shutil.rmtree(here)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
