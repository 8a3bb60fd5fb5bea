# SPDX-License-Identifier: Apache-2.0
"""codec.py BIN WORK: the store's codec alone on one thread and in memory, beside ZipNN and zstd on the same bytes, by turns.

The bytes are bf16 weights made as in store.py (UNLEARN_BENCH_BYTES of them, 512 MB unless said otherwise), and the real
models of UNLEARN_SHARED/models. Everybody gets them in memory; nobody writes to a disk. Time is that of the processor. What the store does beside, hashing
and reading back what it compressed, has columns of its own. A peer that is not installed has no line.
"""

import glob
import json
import os
import statistics
import subprocess
import sys
import time

os.environ.setdefault("UNLEARN_BENCH_BYTES", str(512 * 10**6))

from daemon import table
import store

ROUNDS = int(os.environ.get("UNLEARN_BENCH_ROUNDS", "3"))


def payload(path, target):
    """The tensors' bytes of a safetensors file, and their type where it is one alone."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        kinds = {tensor["dtype"] for name, tensor in header.items() if name != "__metadata__"}
        with open(target, "wb") as out:
            out.write(file.read())
    return kinds.pop() if len(kinds) == 1 else None


def ours(bin, kind, path):
    lines = subprocess.run([f"{bin}/unlearnd-worker", "bench", "codec", kind, path, "1"], check=True, stdout=subprocess.PIPE, text=True).stdout
    one = json.loads(lines)
    return one["stored_bytes"], one["compress_seconds"], one["decompress_seconds"], one["verify_seconds"], one["hash_seconds"]


def zipnn(kind, data):
    from zipnn import ZipNN

    codec = ZipNN(input_format="byte", bytearray_dtype={"BF16": "bfloat16", "F16": "float16", "F32": "float32"}[kind], threads=1)
    # It changes what it is given.
    given = bytearray(data)
    begin = time.process_time()
    packed = codec.compress(given)
    middle = time.process_time()
    back = codec.decompress(packed)
    end = time.process_time()
    if bytes(back) != data:
        raise SystemExit("ZipNN did not give the bytes back")
    return len(packed), middle - begin, end - middle, None, None


def zstd(level, data):
    import zstandard

    compressor, decompressor = zstandard.ZstdCompressor(level=level), zstandard.ZstdDecompressor()
    begin = time.process_time()
    packed = compressor.compress(data)
    middle = time.process_time()
    decompressor.decompress(packed)
    return len(packed), middle - begin, time.process_time() - middle, None, None


def main(bin, work):
    directory = os.path.join(work, "codec")
    os.makedirs(directory)
    store.weights(f"{directory}/made")
    sources = [(f"{store.SIZE / 1e6:.0f} MB like weights", f"{directory}/made/model.safetensors")]
    shared = os.environ.get("UNLEARN_SHARED", "")
    for path in sorted(glob.glob(f"{shared}/models/**/*.safetensors", recursive=True)) if shared else []:
        if os.path.getsize(path) > 1 << 20:
            sources.append((os.path.relpath(path, f"{shared}/models"), path))
    for title, path in sources:
        bytes_path = f"{directory}/payload"
        kind = payload(path, bytes_path)
        if kind not in ("BF16", "F16", "F32"):
            continue
        with open(bytes_path, "rb") as file:
            data = file.read()
        works = [("unlearnd", lambda: ours(bin, kind, bytes_path))]
        try:
            import zipnn as _  # noqa: F401

            works.append(("ZipNN", lambda: zipnn(kind, data)))
        except ImportError:
            pass
        try:
            import zstandard as _  # noqa: F401

            works.append(("zstd -3", lambda: zstd(3, data)))
        except ImportError:
            pass
        results = {name: [] for name, _ in works}
        for _ in range(ROUNDS):
            for name, work_ in works:
                results[name].append(work_())

        def speed(values, column):
            times = [value[column] for value in values]
            return "" if times[0] is None else f"{len(data) / statistics.median(times) / 1e9:.2f} GB/s"

        rows = [
            [name, f"{len(data) / values[0][0]:.4f}", *[speed(values, column) for column in (1, 2, 3, 4)]]
            for name, values in results.items()
        ]
        table(f"codec, one thread, {kind}: {title}, {len(data) / 1e6:.1f} MB",
              ["who", "ratio", "compress", "decompress", "verify", "hash"], rows)
        print(flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
