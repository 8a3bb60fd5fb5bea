# SPDX-License-Identifier: Apache-2.0
"""tokenizers_speed.py BIN WORK: megabytes of text a second through each tokenizer of ../shared/data, beside Hugging Face
tokenizers, both on one thread: a play cut into rows of about 4 KB, and the same text as one string."""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

from daemon import table

ROUNDS = int(os.environ.get("UNLEARN_BENCH_ROUNDS", "3"))
SHARED = pathlib.Path(os.environ.get("UNLEARN_SHARED", pathlib.Path(__file__).resolve().parents[2] / "shared"))
ROW = 4096


def rows(text):
    found, row = [], ""
    for line in text.split("\n"):
        row += line + "\n"
        if len(row.encode()) >= ROW:
            found.append(row)
            row = ""
    return found + ([row] if row else [])


def peer(path, text_path):
    """Runs in the peer's process: prints a JSON line for each round."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["RAYON_NUM_THREADS"] = "1"
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(path)
    text = pathlib.Path(text_path).read_text()
    for _ in range(ROUNDS + 1):
        for kind, texts in (("rows", rows(text)), ("whole", [text])):
            begin = time.perf_counter()
            tokens = sum(len(encoding.ids) for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False))
            print(json.dumps({"kind": kind, "seconds": time.perf_counter() - begin, "tokens": tokens}), flush=True)


def speeds(command, size):
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    records = [json.loads(line) for line in output.splitlines()][2:]  # the first round warms up
    kinds = {}
    for kind in ("rows", "whole"):
        seconds = [record["seconds"] for record in records if record["kind"] == kind]
        kinds[kind] = (size / 1e6 / statistics.median(seconds), records[0]["tokens"])
    return kinds


def main(bin, work):
    del work
    text = SHARED / "data/text/tinyshakespeare.txt"
    size = text.stat().st_size
    found = []
    for folder in sorted((SHARED / "data/tokenizers").iterdir()):
        path = str(folder / "tokenizer.json")
        ours = speeds([f"{bin}/unlearnd-worker", "bench", "tokenize", path, str(text), str(ROUNDS + 1)], size)
        theirs = speeds([sys.executable, os.path.abspath(__file__), "--peer", path, str(text)], size)
        if ours["rows"][1] != theirs["rows"][1]:
            raise SystemExit(f"{folder.name}: {ours['rows'][1]} tokens, but {theirs['rows'][1]} of the peer")
        found.append([folder.name] + [
            f"{side[kind][0]:.1f}" for kind in ("rows", "whole") for side in (ours, theirs)]
            + [f"{ours['rows'][0] / theirs['rows'][0]:.1f}"])
    table(
        f"tokenizers: {size / 1e6:.1f} MB of English, MB/s on one thread, medians of {ROUNDS} rounds",
        ["tokenizer", "unlearnd, rows", "tokenizers, rows", "unlearnd, whole", "tokenizers, whole", "ratio, rows"],
        found)


if __name__ == "__main__":
    peer(*sys.argv[2:4]) if "--peer" in sys.argv else main(sys.argv[1], sys.argv[2])
