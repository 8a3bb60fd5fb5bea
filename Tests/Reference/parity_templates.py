#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the ids of chat formats with transformers' apply_chat_template on the tokenizers of ../shared/data: the
templates that come with them, and the formats that their special tokens allow.

    parity_templates.py [--count N] [--seed S] [--command COMMAND]
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

from tokenizers import AddedToken, Tokenizer

from reference_templates import TEMPLATES, WITHOUT_SYSTEM, case, wrap

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = pathlib.Path(os.environ.get("UNLEARN_SHARED", ROOT.parent / "shared"))
WORDS = [
    " ", "  ", "\n", "\n\n", "\t", "the", "The", "nets", "12345", "né", "雨の日", "😀", "'s", "!?", "[INST]", "###",
    "user", "assistant", "\u00a0", "_", "e\u0301", "def f(x):", "http://x.org", "…",
]
# Tokenizer of ../shared, added tokens, beginning, end, formats.
CHATS = [
    ("qwen2", [], None, "<|im_end|>", ["chatml"]),
    ("tinyllama", [], "<s>", "</s>", ["llama2", "mistral", "zephyr", "vicuna", "alpaca"]),
    ("tinyllama", ["<|end|>", "<|user|>", "<|assistant|>", "<|system|>"], "<s>", "</s>", ["phi3"]),
    ("gpt2", ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"], "<|begin_of_text|>",
     "<|endoftext|>", ["llama3"]),
    ("gpt-neox", ["<bos>", "<start_of_turn>", "<end_of_turn>"], "<bos>", "<|endoftext|>", ["gemma"]),
]


def text(rng):
    return "".join(rng.choice(WORDS) + rng.choice(["", " "]) for _ in range(rng.randint(1, 12)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--command", default="swift test -c release --disable-xctest --disable-testable-imports "
                        "--filter TemplateParityTests")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, added, bos, eos, templates) in enumerate(CHATS):
            source = SHARED / f"data/tokenizers/{name}"
            if not source.exists():
                sys.exit(f"there is no {source}: set UNLEARN_SHARED")
            tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
            strips = templates == ["phi3"]
            tokenizer.add_special_tokens([AddedToken(text, rstrip=strips, normalized=False) for text in added])
            wrapped = wrap(tokenizer, bos, eos)
            cases = []
            for template in templates:
                for _ in range(options.count):
                    system = text(rng) if template not in WITHOUT_SYSTEM and rng.random() < 0.4 else None
                    cases.append(case(wrapped, template, system, text(rng), text(rng)))
            config = source / "tokenizer_config.json"
            own = json.loads(config.read_text()).get("chat_template") if config.exists() else None
            if own:
                # This one has a system prompt of its own where none is given.
                for _ in range(options.count):
                    cases.append(case(wrapped, templates[0], text(rng), text(rng), text(rng), template=own))
            content = {
                "tokenizer": json.loads(wrapped.backend_tokenizer.to_str()),
                "config": {"bos_token": bos, "eos_token": eos}, "cases": cases}
            (pathlib.Path(folder) / f"{number}-{name}.json").write_text(json.dumps(content))
            print(f"{name}: {len(cases)} exchanges in {', '.join(templates)}", flush=True)
        environment = {**os.environ, "UNLEARN_TEMPLATE_PARITY": folder}
        sys.exit(subprocess.run(shlex.split(options.command), cwd=ROOT, env=environment).returncode)


main()
