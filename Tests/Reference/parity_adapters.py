#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares LoRA adapters with PEFT, live, through the programs: train, export, merge, subtract.

An adapter that `submit finetune --lora-rank` trained is exported and given to PEFT, which must find it loadable and
merge it to the version that the job made; an adapter that PEFT makes is subtracted by `submit task-vector --adapter`.
"""

import os
import pathlib
import subprocess
import sys
import tempfile
import time

import peft
import torch
from transformers import AutoModelForCausalLM

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "Examples" / "people"
BIN = pathlib.Path(os.environ["UNLEARN_BIN"])
LIMIT = 1e-5


def distance(model, other, origin):
    """The largest ‖w − w*‖ / ‖w* − w0‖ of any tensor that changed."""
    worst = 0.0
    for (name, a), (_, b), (_, o) in zip(model.named_parameters(), other.named_parameters(), origin.named_parameters()):
        change = (b - o).double().norm().item()
        if change > 0:
            worst = max(worst, (a - b).double().norm().item() / change)
        elif not torch.equal(a, b):
            sys.exit(f"{name} changed and should not have")
    return worst


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="ud-parity-"))
    socket = folder / "s.sock"
    daemon = subprocess.Popen(
        [BIN / "unlearnd", "--state-directory", folder / "state", "--socket", socket], stderr=subprocess.DEVNULL)

    def ctl(*words):
        subprocess.run([BIN / "unlearnctl", "--socket", socket, *words], check=True, stdout=subprocess.DEVNULL)

    def load(name):
        return AutoModelForCausalLM.from_pretrained(folder / name, dtype=torch.float32)

    try:
        while not socket.exists():
            time.sleep(0.05)
        ctl("model", "create", "m", "--config", EXAMPLE / "config.json", "--tokenizer", EXAMPLE / "tokenizer.json",
            "--tokenizer-config", EXAMPLE / "tokenizer_config.json", "--seed", "5")
        ctl("submit", "finetune", "--model", "m", "--data", EXAMPLE / "forget.jsonl", "--epochs", "1",
            "--learning-rate", "1e-2", "--lora-rank", "4", "--lora-alpha", "8", "--wait")
        for name, words in [("v1", ["m@v1"]), ("v2", ["m@v2"]), ("adapter", ["m@v2", "--adapter"])]:
            ctl("model", "export", words[0], folder / name, *words[1:])
        base = load("v1")
        merged = peft.PeftModel.from_pretrained(load("v1"), folder / "adapter").merge_and_unload()
        trained = distance(load("v2"), merged, base)
        print(f"a trained adapter, merged by PEFT and by the job: {trained:.1e} of the change")

        torch.manual_seed(1)
        wrapped = peft.get_peft_model(
            load("v1"), peft.LoraConfig(r=8, lora_alpha=4, use_rslora=True, target_modules="all-linear", task_type="CAUSAL_LM"))
        with torch.no_grad():
            for name, tensor in wrapped.named_parameters():
                if "lora_B" in name:
                    tensor.normal_(std=0.02)
        wrapped.save_pretrained(folder / "made")
        ctl("submit", "task-vector", "--model", "m@v1", "--adapter", folder / "made", "--scale", "-1", "--no-evaluate", "--wait")
        ctl("model", "export", "m@v3", folder / "v3")
        added = distance(load("v3"), wrapped.merge_and_unload(), base)
        print(f"an adapter of PEFT's, added as a task vector: {added:.1e} of the change")
        sys.exit(0 if max(trained, added) <= LIMIT else f"more than {LIMIT}")
    finally:
        daemon.terminate()
        daemon.wait()
        subprocess.run(["rm", "-rf", folder])


main()
