#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares token ids and decoded text with Hugging Face `tokenizers` on random text.

    parity_tokenizers.py [--count N] [--seed S] [--tokenizer DIR]... [--command COMMAND]

Writes what `tokenizers` gives for each text into a folder and runs the test suite TokenizerParityTests on it.
Without --tokenizer every tokenizer of ../shared/data and several variants made from them are used. Exits with
the status of the tests.
"""
import argparse
import json
import os
import pathlib
import random
import shlex
import subprocess
import sys
import tempfile
import unicodedata

from tokenizers import AddedToken, Tokenizer

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = pathlib.Path(os.environ.get("UNLEARN_SHARED", ROOT.parent / "shared"))

FRAGMENTS = [
    " ", "  ", "   ", "\n", "\r\n", "\n\n", "\t", "\u00a0", "\u3000", "\u200b", "'s", "'S", "'\u017f", "'ll", "'LL",
    "'re", "'vE", "'d", "'x", "don't", "I'M", "1", "12", "1234567", "½", "²", "Ⅷ", "٣٤", "é", "e\u0301", "ﬁ",
    "\u1e9b\u0323", "ÅÅ", "中文", "日本語です", "한국어", "\u1112\u1161\u11ab", "नमस्ते", "สวัสดี", "العربية",
    "😀", "👩‍👩‍👧", "🏳️‍🌈", "▁", "▁▁", "Ġ", "<s>", "</s>", "<unk>", "<|endoftext|>", "<|im_start|>", "<|im_end|>",
    "<0x0A>", "_", "$", "++", "...", "—", "“", "”", "hello", "Hello", "WORLD", "the", "ing", "\x00", "\x85",
    "\u2028", "a" * 70, "ab" * 45, " " * 30, "!?" * 12, "def f(x):\n    return x\n", "http://x.org/?a=1&b=2",
]


def random_text(rng):
    parts = []
    for _ in range(rng.randint(0, 14)):
        kind = rng.random()
        if kind < 0.7:
            parts.append(rng.choice(FRAGMENTS))
        elif kind < 0.9:
            parts.append("".join(chr(rng.randint(32, 126)) for _ in range(rng.randint(1, 8))))
        else:
            parts.append("".join(random_character(rng) for _ in range(rng.randint(1, 5))))
    return "".join(parts)


def random_character(rng):
    # The tables in `tokenizers` are of several ages; characters as old as Unicode 3.2 are in all of them alike.
    while True:
        character = chr(rng.choice([rng.randint(0, 0x2FFF), rng.randint(0, 0xFFFF), rng.randint(0x10300, 0x1D7FF)]))
        if unicodedata.ucd_3_2_0.category(character) not in ("Cn", "Co", "Cs"):
            return character


def variants(folder):
    """Tokenizers with the parts that the real files do not show, made from the GPT-2 one."""
    source = SHARED / "data/tokenizers/gpt2/tokenizer.json"
    if not source.exists():
        return
    base = json.loads(source.read_text())
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    full = {**byte_level, "use_regex": True}
    split = lambda expression: {
        "type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": False}
    llama3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
              r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
    pre_tokenizers = {
        "prefix-space": {**full, "add_prefix_space": True},
        "llama3": {"type": "Sequence", "pretokenizers": [split(llama3), byte_level]},
        "starcoder": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, full]},
        "falcon": {"type": "Sequence", "pretokenizers": [
            {"type": "Punctuation", "behavior": "Contiguous"}, full,
            {"type": "Digits", "individual_digits": False}, split("[0-9][0-9][0-9]")]},
        "next": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithNext", "invert": False}, byte_level]},
        "previous": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"String": "  "}, "behavior": "MergedWithPrevious", "invert": False},
            {**byte_level, "add_prefix_space": True}]},
    }
    for name, pre_tokenizer in pre_tokenizers.items():
        for ignore in (False, True):
            yield write(folder, f"{name}-{ignore}", {
                **base, "pre_tokenizer": pre_tokenizer, "model": {**base["model"], "ignore_merges": ignore}})
    for form in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase"):
        yield write(folder, form, {**base, "normalizer": {"type": form}})
    tokenizer = Tokenizer.from_str(json.dumps({**base, "normalizer": {"type": "Lowercase"}}))
    tokenizer.add_tokens([
        AddedToken("hello", single_word=True), AddedToken("world", normalized=True), AddedToken("...", lstrip=True),
        AddedToken("++", rstrip=True, lstrip=True, normalized=False), AddedToken("+++", normalized=False),
        AddedToken("the", single_word=True, rstrip=True, normalized=False)])
    tokenizer.add_special_tokens([AddedToken("<|im_start|>", rstrip=True), AddedToken("<s>", lstrip=True)])
    yield write(folder, "added", json.loads(tokenizer.to_str()))
    source = SHARED / "data/tokenizers/tinyllama/tokenizer.json"
    base = json.loads(source.read_text())
    for scheme in ("always", "first", "never"):
        for split_words in (True, False):
            metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": split_words}
            yield write(folder, f"metaspace-{scheme}-{split_words}", {
                **base, "normalizer": None, "pre_tokenizer": metaspace, "decoder": metaspace})
    for fallback, fuse in ((False, True), (False, False), (True, False)):
        yield write(folder, f"unknown-{fallback}-{fuse}", {
            **base, "model": {**base["model"], "byte_fallback": fallback, "fuse_unk": fuse}})


def write(folder, name, content):
    path = pathlib.Path(folder) / name
    path.mkdir()
    (path / "tokenizer.json").write_text(json.dumps(content))
    return path


def write_cases(folder, path, texts):
    reference = Tokenizer.from_file(str(path / "tokenizer.json"))
    cases = []
    for text in texts:
        ids = reference.encode(text, add_special_tokens=False).ids
        cases.append({"text": text, "ids": ids, "decoded": reference.decode(ids, skip_special_tokens=False)})
    content = {"tokenizer": str(path / "tokenizer.json"), "cases": cases}
    (folder / f"{path.name}.json").write_text(json.dumps(content))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--tokenizer", action="append", type=pathlib.Path, default=[])
    parser.add_argument("--command", default="swift test -c release --disable-xctest --disable-testable-imports --filter TokenizerParityTests")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    rng = random.Random(options.seed)
    texts = FRAGMENTS + [random_text(rng) for _ in range(options.count)]
    with tempfile.TemporaryDirectory() as folder:
        made, cases = pathlib.Path(folder, "tokenizers"), pathlib.Path(folder, "cases")
        made.mkdir()
        cases.mkdir()
        paths = options.tokenizer
        if not paths:
            paths = sorted(path.parent for path in SHARED.glob("data/tokenizers/*/tokenizer.json"))
            paths += list(variants(made))
        if not paths:
            sys.exit(f"there is no tokenizer under {SHARED}: set UNLEARN_SHARED or give --tokenizer")
        for path in paths:
            write_cases(cases, path, texts)
        print(f"{len(paths)} tokenizers, {len(texts)} texts", flush=True)
        environment = {**os.environ, "UNLEARN_TOKENIZER_PARITY": str(cases)}
        sys.exit(subprocess.run(shlex.split(options.command), cwd=ROOT, env=environment).returncode)


main()
