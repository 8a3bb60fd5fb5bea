# SPDX-License-Identifier: Apache-2.0
"""store.py BIN WORK: what the store keeps checkpoints in, and how fast, beside zstd, ZipNN, restic and borg.

All of them get the same files, by turns. Small models come from UNLEARN_SHARED/models where that is set; the large
one is 2 GB of bf16 that is distributed like weights. "Import" ends when everything is durable: unlearnd syncs by
itself, after the others a sync is timed with them. A peer that is not installed has no line.
"""

import glob
import hashlib
import os
import shutil
import statistics
import subprocess
import sys
import time

import numpy

from daemon import Daemon, table

ROUNDS = int(os.environ.get("UNLEARN_BENCH_ROUNDS", "3"))
SIZE = int(os.environ.get("UNLEARN_BENCH_BYTES", str(2 * 10**9)))


def weights(directory):
    """A checkpoint of one bf16 matrix per 64 MB; every row has a spread of its own, as trained weights have."""
    import torch
    from safetensors.torch import save_file

    os.makedirs(directory)
    random = numpy.random.default_rng(5)
    tensors, columns = {}, 4096
    rows = SIZE // (2 * columns)
    for start in range(0, rows, 8192):
        count = min(8192, rows - start)
        spread = 0.02 * numpy.exp(0.3 * random.standard_normal((count, 1), dtype=numpy.float32))
        values = random.standard_normal((count, columns), dtype=numpy.float32) * spread
        tensors[f"model.layers.{start // 8192}.weight"] = torch.from_numpy(values).to(torch.bfloat16)
    save_file(tensors, os.path.join(directory, "model.safetensors"))
    with open(os.path.join(directory, "config.json"), "w") as file:
        file.write('{"model_type": "none"}\n')


def files(directory):
    return [path for path in sorted(glob.glob(os.path.join(directory, "*"))) if os.path.isfile(path)]


def size(path):
    """Bytes of all files below a directory."""
    return sum(os.path.getsize(os.path.join(at, name)) for at, _, names in os.walk(path) for name in names)


def timed(work):
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def quiet(*command, **environment):
    subprocess.run(
        [str(part) for part in command],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )


class Copy:
    """The yardstick of an import: a copy, a hash of every file, a sync."""

    name = "cp + sha256sum + sync"

    def take(self, source, target):
        shutil.rmtree(target, ignore_errors=True)
        quiet("cp", "-r", source, target)
        quiet("sha256sum", *files(source))
        os.sync()
        return size(target)

    def give(self, target, out):
        quiet("cp", "-r", target, out)


class Zstd:
    name = "zstd -3, one thread"

    def take(self, source, target):
        os.makedirs(target)
        for path in files(source):
            quiet("zstd", "-3", "-q", path, "-o", os.path.join(target, os.path.basename(path)))
        os.sync()
        return size(target)

    def give(self, target, out):
        os.makedirs(out)
        for path in files(target):
            quiet("zstd", "-d", "-q", path, "-o", os.path.join(out, os.path.basename(path)))


class ZipNN:
    name = "ZipNN, one thread"

    def __init__(self, kind):
        from zipnn import ZipNN as Codec

        self.codec = Codec(input_format="byte", bytearray_dtype=kind, threads=1)

    def take(self, source, target):
        os.makedirs(target)
        in_child(lambda: self.compress(source, target))
        os.sync()
        return size(target)

    def compress(self, source, target):
        for path in files(source):
            with open(path, "rb") as file, open(os.path.join(target, os.path.basename(path)), "wb") as out:
                out.write(self.codec.compress(file.read()))

    def give(self, target, out):
        os.makedirs(out)
        in_child(lambda: self.decompress(target, out))

    def decompress(self, target, out):
        for path in files(target):
            with open(path, "rb") as file, open(os.path.join(out, os.path.basename(path)), "wb") as plain:
                plain.write(self.codec.decompress(file.read()))


class Restic:
    name = "restic"
    environment = {"RESTIC_PASSWORD": "benchmark"}

    def take(self, source, target):
        quiet("restic", "-r", target, "init", **self.environment)
        quiet("restic", "-r", target, "backup", source, **self.environment)
        os.sync()
        return size(target)

    def give(self, target, out):
        quiet("restic", "-r", target, "restore", "latest", "--target", out, **self.environment)


class Borg:
    name = "borg, zstd,3"

    def take(self, source, target):
        quiet("borg", "init", "-e", "none", target)
        quiet("borg", "create", "-C", "zstd,3", f"{target}::one", source)
        os.sync()
        return size(target)

    def give(self, target, out):
        os.makedirs(out)
        subprocess.run(["borg", "extract", os.path.abspath(f"{target}::one")], cwd=out, check=True, capture_output=True)


class Ours:
    """Through the daemon, as users do it."""

    name = "unlearnd"
    environment = {}

    def __init__(self, bin):
        self.bin = bin

    def take(self, source, target):
        os.makedirs(target)
        with Daemon(self.bin, target, **self.environment) as daemon:
            self.seconds = timed(lambda: daemon.ctl("model", "import", "model", source))
            return daemon.ctl("store", "status")["stored_bytes"]

    def give(self, target, out):
        with Daemon(self.bin, target, **self.environment) as daemon:
            self.seconds = timed(lambda: daemon.ctl("model", "export", "model@v1", out))


class Encrypted(Ours):
    """The same with every object sealed."""

    name = "unlearnd, encrypted"

    def __init__(self, bin, work):
        super().__init__(bin)
        key = os.path.join(work, "master.key")
        if not os.path.exists(key):
            with open(os.open(key, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
                file.write(os.urandom(32))
        self.environment = {"UNLEARND_ENCRYPTION": "on", "UNLEARND_MASTER_KEY_FILE": key}


class Crashed(Exception):
    """A contender ended by a signal."""


def in_child(work):
    """Runs `work` in a process of its own: native code that aborts takes only that one with it."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if status:
        raise Crashed(f"ended with status {os.waitstatus_to_exitcode(status)}")


def digests(directory):
    found = set()
    for at, _, names in os.walk(directory):
        for name in names:
            with open(os.path.join(at, name), "rb") as file:
                found.add(hashlib.file_digest(file, "sha256").hexdigest())
    return found


def compare(title, source, kind, bin, work):
    contenders = [Copy(), Zstd(), ZipNN(kind), Ours(bin), Encrypted(bin, work)]
    contenders[3:3] = [peer() for program, peer in (("restic", Restic), ("borg", Borg)) if shutil.which(program)]
    original, wanted = size(source), digests(source)
    stored, taken, given = {}, {}, {}
    for _ in range(ROUNDS):
        for contender in list(contenders):
            target, out = os.path.join(work, "kept"), os.path.join(work, "back")
            for path in (target, out):
                shutil.rmtree(path, ignore_errors=True)
            os.sync()
            try:
                seconds = timed(lambda: stored.__setitem__(contender.name, contender.take(source, target)))
                taken.setdefault(contender.name, []).append(getattr(contender, "seconds", seconds))
                seconds = timed(lambda: contender.give(target, out))
            except Crashed as crash:
                print(f"{contender.name}, {title}: {crash}")
                contenders.remove(contender)
                continue
            given.setdefault(contender.name, []).append(getattr(contender, "seconds", seconds))
            if not wanted <= digests(out):
                raise SystemExit(f"{contender.name} did not give back what it was given")
    yardstick = statistics.median(taken[Copy.name])
    rows = []
    for name in (contender.name for contender in contenders):
        seconds, back = statistics.median(taken[name]), statistics.median(given[name])
        rows.append(
            [
                name,
                f"{original / stored[name]:.3f}",
                f"{seconds:.2f} s",
                f"{seconds / yardstick:.2f}",
                f"{original / seconds / 1e9:.2f} GB/s",
                f"{back:.2f} s",
            ]
        )
    table(
        f"{title}: {original / 1e6:.1f} MB, medians of {ROUNDS} rounds by turns",
        ["what", "ratio", "in, durable", "of cp", "in", "out"],
        rows,
    )
    shutil.rmtree(os.path.join(work, "kept"))
    shutil.rmtree(os.path.join(work, "back"))


def differences(shared, bin, work):
    """What a version costs once it is stored as differences from the one that an edit made of it."""
    tiny = os.path.join(shared, "models", "tofu-tiny")
    rows = os.path.join(tiny, "data")
    sets = ["--forget", os.path.join(rows, "forget.jsonl"), "--retain", os.path.join(rows, "retain.jsonl")]
    edits = [
        ("ablate, 0.1 % of the units", ["ablate", "--fraction", "0.001", *sets]),
        ("ablate, 1 % of the units", ["ablate", "--fraction", "0.01", *sets]),
        ("task vector, scale 0.001", ["task-vector", "--finetuned", "other", "--scale", "0.001"]),
        ("task vector, scale 1", ["task-vector", "--finetuned", "other", "--scale", "1"]),
    ]
    lines = []
    for name, edit in edits:
        target = os.path.join(work, "kept")
        shutil.rmtree(target, ignore_errors=True)
        os.makedirs(target)
        with Daemon(bin, target) as daemon:
            daemon.ctl("model", "import", "model", os.path.join(tiny, "full"))
            full = daemon.ctl("store", "status")["stored_bytes"]
            if "other" in edit:
                daemon.ctl("model", "import", "other", os.path.join(tiny, "retrained"))
            one = daemon.ctl("store", "status")["stored_bytes"]
            daemon.ctl("submit", edit[0], "--model", "model", *edit[1:], "--no-evaluate", "--wait")
            two = daemon.ctl("store", "status")["stored_bytes"]
            seconds = timed(lambda: daemon.ctl("store", "optimize", "--wait"))
            # The newer version is what the store would have alone, so the rest is what the older one adds.
            saved = two - daemon.ctl("store", "status")["stored_bytes"]
            out = os.path.join(work, "back")
            shutil.rmtree(out, ignore_errors=True)
            daemon.ctl("model", "export", "model@v1", out)
            if digests(out) != digests(os.path.join(tiny, "full")):
                raise SystemExit(f"{name}: the older version did not come back")
        added = two - one
        lines.append(
            [
                name,
                f"{added / 1e6:.2f} MB ({added / full * 100:.1f} %)",
                f"{(added - saved) / 1e6:.3f} MB ({(added - saved) / full * 100:.2f} %)",
                f"{seconds:.2f} s",
            ]
        )
        shutil.rmtree(target)
        shutil.rmtree(out)
    table(
        f"tofu-tiny/full, f32, {full / 1e6:.1f} MB in full: what the version before an edit adds",
        ["edit", "in full", "as differences", "optimize"],
        lines,
    )


def main(bin, work):
    here = os.path.join(work, "store")
    os.makedirs(here)
    shared = os.environ.get("UNLEARN_SHARED")
    for config in sorted(glob.glob(os.path.join(shared or "/nonexistent", "models", "*", "*", "config.json"))):
        model = os.path.dirname(config)
        compare(os.path.relpath(model, os.path.join(shared, "models")) + ", f32", model, "float32", bin, here)
    if shared and os.path.isdir(os.path.join(shared, "models", "tofu-tiny")):
        differences(shared, bin, here)
    large = os.path.join(here, "weights")
    weights(large)
    compare("weight-like bf16", large, "bfloat16", bin, here)
    shutil.rmtree(here)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
