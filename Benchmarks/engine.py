# SPDX-License-Identifier: Apache-2.0
"""engine.py BIN WORK [PART]…: the engine beside PyTorch and transformers, in one table.

Parts: gpt2 llama (a step of ascent each), precision (bf16), memory, evaluation, generation, threads, latency; all unless named.
The step is alpha * (-forget) + (1 - alpha) * retain, backward, AdamW. Both sides run in processes of their own, by turns; what
a process does first warms it up and is not counted.
"""

import json
import os
import statistics
import sys
import tempfile
import threading
import time

from daemon import Daemon, Session, measured, table

ROUNDS = int(os.environ.get("UNLEARN_BENCH_ROUNDS", "2"))
STEPS = int(os.environ.get("UNLEARN_BENCH_STEPS", "2"))
THREADS = len(os.sched_getaffinity(0))
SHAPES = {"gpt2-124m": (4, 256), "llama-135m": (2, 256)}
PROMPT, TOKENS = 32, 64


# The peer's process: prints one JSON line for each measurement.


def torch_model(shape):
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    if shape == "gpt2-124m":
        return GPT2LMHeadModel(GPT2Config(resid_pdrop=0, embd_pdrop=0, attn_pdrop=0, attn_implementation="sdpa"))
    return LlamaForCausalLM(
        LlamaConfig(
            hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9, num_key_value_heads=3,
            vocab_size=49152, max_position_embeddings=2048, rms_norm_eps=1e-5, tie_word_embeddings=True,
            attn_implementation="sdpa"))


def answer_row(row):
    """Tokens of a question and its answer; the worker's bench has the same."""
    return 12 + 7 * row % 25, 16 + 37 * row % 81


def torch_main(subject, shape, rows, columns, threads, precision, steps):
    import torch

    torch.set_num_threads(threads)
    model = torch_model(shape)
    vocabulary = model.config.vocab_size
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16")

    def report(action, extra):
        begin = time.perf_counter()
        action()
        print(json.dumps({"seconds": time.perf_counter() - begin, **extra}), flush=True)

    if subject == "ascent-step":
        model.train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0.01, fused=precision == "bf16")
        forget, retain = (torch.randint(0, vocabulary, (rows, columns)) for _ in range(2))

        def step():
            with autocast:
                loss = -0.5 * model(input_ids=forget, labels=forget, use_cache=False).loss
                loss += 0.5 * model(input_ids=retain, labels=retain, use_cache=False).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

        for _ in range(steps):
            report(step, {})
    elif subject == "evaluate-answers":
        # As an evaluation loop has them: batches of 8 in the order of the file, padded to their longest row, the answers labelled.
        model.eval()
        batches = []
        for first in range(0, rows, 8):
            lengths = [answer_row(row) for row in range(first, min(rows, first + 8))]
            longest = max(prompt + answer for prompt, answer in lengths)
            ids = torch.randint(0, vocabulary, (len(lengths), longest))
            place = torch.arange(longest)[None]
            mask = (place < torch.tensor([[prompt + answer] for prompt, answer in lengths])).long()
            labels = ids.masked_fill((mask == 0) | (place < torch.tensor([[prompt] for prompt, _ in lengths])), -100)
            batches.append({"input_ids": ids, "attention_mask": mask, "labels": labels, "use_cache": False})
        with torch.no_grad(), autocast:
            for _ in range(steps):
                report(lambda: [model(**batch) for batch in batches], {})
    elif subject == "evaluate":
        model.eval()
        batch = torch.randint(0, vocabulary, (rows, columns))
        with torch.no_grad(), autocast:
            for _ in range(steps):
                report(lambda: model(input_ids=batch, labels=batch, use_cache=False), {})
    else:
        model.eval()
        for _ in range(steps):
            prompt = torch.randint(0, vocabulary, (rows, PROMPT))
            report(
                lambda: model.generate(
                    prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=TOKENS, min_new_tokens=TOKENS,
                    do_sample=False, pad_token_id=0),
                {"tokens": rows * TOKENS})
    print(json.dumps({"kernels": f"PyTorch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}"}))


# This process.


class Side:
    """One program's measurements of one thing."""

    def __init__(self, command):
        self.command, self.records, self.peak = command, [], 0

    def turn(self, work):
        path = os.path.join(work, "measurements")
        with open(path, "w") as out:
            _, peak = measured(self.command, stdout=out, stderr=sys.stderr)
        with open(path) as file:
            records = [json.loads(line) for line in file]
        self.records += [record for record in records if "seconds" in record][1:]
        self.records += [record for record in records if "seconds" not in record]
        self.peak = max(self.peak, peak)

    def fact(self, name):
        return next((record[name] for record in self.records if name in record), None)

    @property
    def seconds(self):
        return statistics.median(record["seconds"] for record in self.records if "seconds" in record)

    def profile(self, read):
        return statistics.median(read(record["profile"]) for record in self.records if "profile" in record)


class Bench:
    def __init__(self, bin, work):
        self.bin, self.work, self.rows = bin, work, []

    def sides(self, subject, shape, size, threads=THREADS, precision="f32", steps=STEPS, **options):
        rows, columns = size
        ours = [f"{self.bin}/unlearnd-worker", "bench", subject, "--shape", shape, "--threads", str(threads)]
        ours += ["--forget", f"{rows}x{columns}", "--retain", f"{rows}x{columns}", "--steps", str(steps + 1)]
        ours += ["--precision", precision, "--tokens", str(TOKENS)]
        for name, value in options.items():
            ours += [f"--{name}", value]
        theirs = [sys.executable, os.path.abspath(__file__), "--torch", subject, shape, rows, columns, threads, precision, steps + 1]
        return Side(list(map(str, theirs))), Side(ours)

    def both(self, what, unit, amount, theirs, ours):
        """A row of the table: medians by turns and their ratio."""
        for _ in range(ROUNDS):
            theirs.turn(self.work)
            ours.turn(self.work)
        reason = ours.fact("unavailable")
        peers = amount / theirs.seconds
        if reason:
            self.add([what, f"{peers:.1f} {unit}", f"not available: {reason}", "", f"{theirs.peak / 2**30:.2f} GiB", ""])
            return
        mine = amount / ours.seconds
        self.add(
            [what, f"{peers:.1f} {unit}", f"{mine:.1f} {unit}", f"{mine / peers:.2f}", f"{theirs.peak / 2**30:.2f} GiB", f"{ours.peak / 2**30:.2f} GiB"])

    def step(self, shape, precision="f32"):
        size = SHAPES[shape]
        theirs, ours = self.sides("ascent-step", shape, size, precision=precision)
        self.both(f"ascent step {shape} {precision}", "tok/s", 2 * size[0] * size[1], theirs, ours)
        if ours.fact("unavailable"):
            return
        peak = ours.fact("peak_gflops")
        gemm = ours.profile(lambda profile: profile["gemm_gflops"])
        share = ours.profile(lambda profile: profile["shares"]["gemm"])
        self.note(
            f"{shape} {precision}: step {theirs.seconds:.2f} s and {ours.seconds:.2f} s; measured f32 peak {peak:.0f} GFLOP/s, products "
            f"{gemm:.0f} ({gemm / peak:.0%} of it) for {share:.0%} of the step, which makes {gemm * share / peak:.0%} over the whole step")
        shares = {name: ours.profile(lambda profile: profile["shares"][name]) for name in ours_shares(ours)}
        self.note("  " + ", ".join(f"{name} {value:.1%}" for name, value in shares.items()))
        self.note(f"  {theirs.fact('kernels')}; {ours.fact('kernels')}")

    def gpt2(self):
        self.step("gpt2-124m")

    def llama(self):
        self.step("llama-135m")

    def precision(self):
        if not bfloat16_instructions():
            # PyTorch emulates each product there: one step takes the better part of an hour.
            for shape in SHAPES:
                self.add([f"ascent step {shape} bf16", "not taken: this CPU has no bf16 instructions", "", "", "", ""])
            return
        for shape in SHAPES:
            self.step(shape, "bf16")

    def memory(self):
        shape = "gpt2-124m"
        peaks = []
        for checkpointing in ("no", "yes"):
            _, ours = self.sides("ascent-step", shape, SHAPES[shape], steps=1, checkpointing=checkpointing)
            ours.turn(self.work)
            peaks.append(ours)
        theirs, _ = self.sides("ascent-step", shape, SHAPES[shape], steps=1)
        theirs.turn(self.work)
        self.note(
            f"peak memory of a step, {shape}: PyTorch {theirs.peak / 2**30:.2f} GiB, unlearnd {peaks[0].peak / 2**30:.2f}, with "
            f"checkpointing {peaks[1].peak / 2**30:.2f} (step {peaks[1].seconds / peaks[0].seconds:.2f} times as long)")

    def evaluation(self):
        for shape in SHAPES:
            for precision in ["f32", "bf16"] if bfloat16_instructions() else ["f32"]:
                theirs, ours = self.sides("evaluate", shape, (4, 256), steps=3, precision=precision)
                self.both(f"evaluation {shape} {precision}, 4x256", "tok/s", 1024, theirs, ours)
            rows = 32
            theirs, ours = self.sides("evaluate-answers", shape, (rows, 256), steps=3)
            tokens = sum(sum(answer_row(row)) for row in range(rows))
            self.both(f"evaluation {shape} f32, {rows} questions and answers", "tok/s", tokens, theirs, ours)

    def generation(self):
        for shape in SHAPES:
            for batch in (1, 8):
                theirs, ours = self.sides("generate", shape, (batch, 256))
                self.both(f"greedy generation {shape} f32, batch {batch}", "tok/s", batch * TOKENS, theirs, ours)

    def threads(self):
        _, one = self.sides("ascent-step", "gpt2-124m", (1, 256), threads=1)
        _, two = self.sides("ascent-step", "gpt2-124m", (1, 256), threads=2)
        for _ in range(ROUNDS):
            one.turn(self.work)
            two.turn(self.work)
        self.note(f"2 threads against 1 (gpt2-124m, 1x256 + 1x256): {one.seconds / two.seconds:.2f}")

    def latency(self):
        """Pings while a job computes on every core."""
        directory = tempfile.mkdtemp(dir=self.work)
        with Daemon(self.bin, directory) as daemon:
            configuration, data = os.path.join(directory, "config.json"), os.path.join(directory, "rows.jsonl")
            with open(configuration, "w") as file:
                json.dump({"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_layer": 4, "vocab_size": 8000}, file)
            with open(data, "w") as file:
                for row in range(64):
                    file.write(json.dumps({"input_ids": [(7 * row + 13 * place) % 8000 for place in range(256)]}) + "\n")
            people = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Examples", "people")
            daemon.ctl("model", "create", "m", "--config", configuration, "--tokenizer", f"{people}/tokenizer.json")
            job = daemon.ctl("submit", "finetune", "--model", "m", "--data", data, "--epochs", "50")["id"]
            session = Session(daemon.socket)
            while session.call("job.show", {"job": job}).get("progress") is None:
                time.sleep(0.05)
            times = []
            end = time.perf_counter() + 10
            while time.perf_counter() < end:
                begin = time.perf_counter()
                session.call("system.ping")
                times.append(time.perf_counter() - begin)
                time.sleep(0.002)
            state = session.call("job.show", {"job": job})["state"]
            daemon.ctl("cancel", job)
        times.sort()
        self.note(
            f"system.ping while a job computes on every core ({state} at the end): median {times[len(times) // 2] * 1e3:.2f} ms, p99 "
            f"{times[len(times) * 99 // 100] * 1e3:.2f} ms, {len(times)} pings")

    def note(self, text):
        self.add(text)

    def add(self, row):
        """Keeps a row, and shows it at once: a run takes long, and what it has measured stays when it is cut off."""
        self.rows.append(row)
        print(row if isinstance(row, str) else " | ".join(cell for cell in row if cell), file=sys.stderr, flush=True)

    def show(self):
        table(
            f"engine: {THREADS} threads, medians of {ROUNDS} processes by turns",
            ["what", "PyTorch", "unlearnd", "ratio", "peak PyTorch", "peak unlearnd"],
            [row for row in self.rows if isinstance(row, list)])
        for row in self.rows:
            if isinstance(row, str):
                print(f"  {row}")


def bfloat16_instructions():
    with open("/proc/cpuinfo") as file:
        flags = next((line.split() for line in file if line.startswith("flags")), [])
    return "avx512_bf16" in flags or "amx_bf16" in flags


def ours_shares(side):
    return next(record["profile"]["shares"] for record in side.records if "profile" in record)


PARTS = ["gpt2", "llama", "precision", "memory", "evaluation", "generation", "threads", "latency"]


def main(bin, work, parts):
    # The peer's own libraries choose as they like, ours choose by themselves: nothing is inherited.
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ.pop(name, None)
    bench = Bench(bin, work)
    for part in parts or PARTS:
        getattr(bench, part)()
    bench.show()


if __name__ == "__main__":
    if sys.argv[1] == "--torch":
        subject, shape, rows, columns, threads, precision, steps = sys.argv[2:]
        torch_main(subject, shape, int(rows), int(columns), int(threads), precision, int(steps))
    else:
        main(sys.argv[1], sys.argv[2], sys.argv[3:])
