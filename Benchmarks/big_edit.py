# SPDX-License-Identifier: Apache-2.0
"""big_edit.py BIN WORK: an edit of a checkpoint that is larger than the memory: 30 GB of bf16, or UNLEARN_BENCH_GIGABYTES.

A Llama-shaped checkpoint of random weights is imported and its files are deleted; then an adapter of rank 1 on every
projection is merged, so that each of their weights is read, changed, hashed, compressed and written. Measured are the
worker's memory at every tenth of its way and its peak, and its time beside what the disk alone takes for as many bytes,
read past the page cache and written with a sync. Leaves 20 GB of the disk free, or UNLEARN_BENCH_FREE_GIGABYTES.
"""

import json
import os
import shutil
import sys
import threading
import time

import numpy

from daemon import Daemon, WorkerMemory, table
from task_vector import bf16

HIDDEN, INNER, WORDS = 5120, 13824, 32000
GIGABYTES = float(os.environ.get("UNLEARN_BENCH_GIGABYTES", "30"))
FREE = float(os.environ.get("UNLEARN_BENCH_FREE_GIGABYTES", "20"))
LAYERS = max(1, round((GIGABYTES * 1e9 / 2 - 2 * WORDS * HIDDEN) / (4 * HIDDEN * HIDDEN + 3 * HIDDEN * INNER)))
PROJECTIONS = [f"self_attn.{name}_proj" for name in "qkvo"] + [f"mlp.{name}_proj" for name in ("gate", "up", "down")]
# What a compressed version takes of its size, with room to spare.
SHARE = 0.75


def free(directory):
    return shutil.disk_usage(directory).free


def layer_shapes(layer):
    at = f"model.layers.{layer}."
    sizes = {"gate": (INNER, HIDDEN), "up": (INNER, HIDDEN), "down": (HIDDEN, INNER)}
    for name in PROJECTIONS:
        yield f"{at}{name}.weight", sizes.get(name.split(".")[1].removesuffix("_proj"), (HIDDEN, HIDDEN))
    yield f"{at}input_layernorm.weight", (HIDDEN,)
    yield f"{at}post_attention_layernorm.weight", (HIDDEN,)


def safetensors(path, tensors):
    """Writes a file; `tensors` gives name, type, shape, and a function that gives the bytes."""
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, kind, shape, _ in tensors:
        end = offset + {"BF16": 2, "F32": 4}[kind] * int(numpy.prod(shape))
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as out:
        out.write(len(text).to_bytes(8, "little") + text)
        for *_, bytes in tensors:
            out.write(bytes())
    return offset


def write(directory):
    """A shard for every four layers; weights of the normal distribution, each tensor others."""
    os.makedirs(directory)
    random = numpy.random.default_rng(1)
    # Quantiles, drawn from by 16-bit numbers: as fast as the disk.
    ladder = bf16((numpy.sort(random.standard_normal(1 << 16, dtype=numpy.float32)) * numpy.float32(0.02)))

    def weights(shape):
        count = int(numpy.prod(shape))
        return lambda: ladder[numpy.frombuffer(random.bytes(2 * count), numpy.uint16)].tobytes()

    shards = [[("model.embed_tokens.weight", (WORDS, HIDDEN)), ("model.norm.weight", (HIDDEN,)),
               ("lm_head.weight", (WORDS, HIDDEN))]]
    for layer in range(LAYERS):
        if layer % 4 == 0:
            shards.append([])
        shards[-1] += list(layer_shapes(layer))
    index, total = {}, 0
    for number, shard in enumerate(shards, 1):
        file = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        total += safetensors(f"{directory}/{file}", [(name, "BF16", shape, weights(shape)) for name, shape in shard])
        index.update({name: file for name, _ in shard})
        if free(directory) < FREE * 1e9:
            raise SystemExit(f"big-edit: less than {FREE:.0f} GB of the disk are left")
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN,
        "intermediate_size": INNER, "num_hidden_layers": LAYERS, "num_attention_heads": 40,
        "num_key_value_heads": 40, "vocab_size": WORDS, "max_position_embeddings": 2048, "rms_norm_eps": 1e-5,
        "tie_word_embeddings": False, "torch_dtype": "bfloat16",
    }
    for file, value in (
        ("config.json", config),
        ("model.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": index}),
    ):
        with open(f"{directory}/{file}", "w") as out:
            json.dump(value, out)
    return total


def adapter(directory):
    """Rank 1, on every projection of every layer."""
    os.makedirs(directory)
    random = numpy.random.default_rng(2)
    tensors = []
    for layer in range(LAYERS):
        for name, (rows, columns) in list(layer_shapes(layer))[: len(PROJECTIONS)]:
            for half, shape in (("A", (1, columns)), ("B", (rows, 1))):
                values = random.standard_normal(shape, dtype=numpy.float32) * numpy.float32(0.05)
                tensors.append((f"base_model.model.{name.removesuffix('.weight')}.lora_{half}.weight", "F32", shape,
                                values.tobytes))
    safetensors(f"{directory}/adapter_model.safetensors", tensors)
    with open(f"{directory}/adapter_config.json", "w") as out:
        json.dump({"peft_type": "LORA", "r": 1, "lora_alpha": 1, "bias": "none",
                   "target_modules": sorted({name.split(".")[1] for name in PROJECTIONS})}, out)


def disk(directory, size=4 << 30):
    """Bytes a second, read past the page cache and written with a sync at the end."""
    path = f"{directory}/disk"
    block = numpy.random.default_rng(3).bytes(16 << 20)
    begin = time.perf_counter()
    with open(path, "wb") as out:
        for _ in range(size // len(block)):
            out.write(block)
        os.fsync(out.fileno())
    written = size / (time.perf_counter() - begin)
    file = os.open(path, os.O_RDONLY)
    os.posix_fadvise(file, 0, size, os.POSIX_FADV_DONTNEED)
    begin = time.perf_counter()
    while os.read(file, 16 << 20):
        pass
    read = size / (time.perf_counter() - begin)
    os.close(file)
    os.unlink(path)
    return read, written


def forget_cache(directory):
    """What was just written is read from the disk again."""
    os.sync()
    for folder, _, files in os.walk(directory):
        for name in files:
            file = os.open(f"{folder}/{name}", os.O_RDONLY)
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(file)


class Course:
    """The worker's resident memory, looked at twice a second, and the time that it and others computed."""

    def __init__(self, daemon):
        self.parent, self.points, self.busy, self.ended = daemon.process.pid, [], 0.0, threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)

    def watch(self):
        while not self.ended.wait(0.5):
            try:
                for task in os.listdir(f"/proc/{self.parent}/task"):
                    with open(f"/proc/{self.parent}/task/{task}/children") as children:
                        for child in children.read().split():
                            with open(f"/proc/{child}/status") as status:
                                found = [int(line.split()[1]) << 10 for line in status if line.startswith("VmRSS")]
                            with open(f"/proc/{child}/stat") as stat:
                                fields = stat.read().rpartition(")")[2].split()
                            self.busy = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
                            self.points += found
            except OSError:
                continue

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()

    @property
    def tenths(self):
        return [self.points[len(self.points) * tenth // 10] for tenth in range(10)] if self.points else []


def main(bin, work):
    here = f"{work}/big-edit"
    os.makedirs(here)
    needed = GIGABYTES * 1e9 * (1 + SHARE)
    if free(here) < needed + FREE * 1e9:
        raise SystemExit(
            f"big-edit: needs {needed / 1e9:.0f} GB and leaves {FREE:.0f} GB; {free(here) / 1e9:.0f} GB are free. "
            "UNLEARN_BENCH_GIGABYTES takes a smaller checkpoint"
        )
    read, written = disk(here)
    size = write(f"{here}/base")
    adapter(f"{here}/adapter")
    with Daemon(bin, here) as daemon:
        begin = time.perf_counter()
        with WorkerMemory(daemon) as importing:
            daemon.ctl("model", "import", "base", f"{here}/base")
        imported = time.perf_counter() - begin
        shutil.rmtree(f"{here}/base")
        stored = daemon.ctl("store", "status")["stored_bytes"]
        if free(here) < stored + FREE * 1e9:
            raise SystemExit(f"big-edit: a second version would leave less than {FREE:.0f} GB of the disk")
        forget_cache(f"{here}/state/objects")
        begin = time.perf_counter()
        with WorkerMemory(daemon) as editing, Course(daemon) as course:
            job = daemon.ctl("submit", "task-vector", "--model", "base", "--adapter", f"{here}/adapter", "--scale", 1,
                             "--no-evaluate", "--wait")
        edited = time.perf_counter() - begin
        both = daemon.ctl("store", "status")["stored_bytes"]
    shutil.rmtree(here)
    expected = 2 * stored / read + (both - stored) / written
    table(
        f"{size / 1e9:.1f} GB of bf16, {LAYERS} layers; disk: reads {read / 1e6:.0f} MB/s, writes {written / 1e6:.0f} MB/s",
        ["what", "wall", "of the checkpoint", "peak memory"],
        [
            ["import", f"{imported:.0f} s", f"{size / imported / 1e6:.0f} MB/s", f"{importing.peak / 2**20:.0f} MiB"],
            [f"task-vector, {job['version']}", f"{edited:.0f} s", f"{size / edited / 1e6:.0f} MB/s",
             f"{editing.peak / 2**20:.0f} MiB"],
        ],
    )
    print(f"  memory at each tenth of the edit, MiB: {', '.join(str(point >> 20) for point in course.tenths)}")
    print(f"  stored: {stored / 1e9:.1f} GB, and {(both - stored) / 1e9:.1f} GB more for the result")
    print(f"  the disk alone, for the snapshot, the edit's reading and its writing: {expected:.0f} s "
          f"({expected / edited:.0%} of the edit's); the worker computed {course.busy:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
