# SPDX-License-Identifier: Apache-2.0
"""tofu.py BIN WORK [NAME]…: forget quality and utility on the small TOFU models of UNLEARN_SHARED, as a Markdown table.

Each row is one job of the sweep, then one evaluation of what it made beside the model retrained without the forget rows. NAME
takes only the rows whose name begins with it. What was measured is printed as it comes; the daemon is private and its store is
deleted at the end.
"""

import os
import statistics
import sys
import tempfile
import time

from daemon import Daemon


def training(rate, epochs="8"):
    return ["--learning-rate", rate, "--epochs", epochs, "--schedule", "linear"]


COMMON = training("3e-4")
SWEEP = [
    ("npo, beta 0.03 at 1e-3", ["npo", "--beta", "0.03", "--alpha", "5", *training("1e-3")]),
    # What npo's row is to a mean instead of a sum: an answer has 42.3 tokens on average, so that gamma is near their number
    # and beta near 0.03 times it.
    *(
        (
            f"simnpo, gamma 40 at {rate}, {epochs} epochs",
            ["simnpo", "--beta", "1.27", "--gamma", "40", "--alpha", "5", *training(rate, epochs)],
        )
        for rate, epochs in (("1e-3", "8"), ("1.15e-3", "8"), ("1.2e-3", "10"), ("1.3e-3", "8"))
    ),
    *(
        (f"simnpo, beta {beta} at {rate}", ["simnpo", "--beta", beta, "--gamma", "1", "--alpha", "5", *training(rate)])
        for beta, rate in (("0.5", "1e-3"), ("0.47", "8e-4"), ("0.5", "8e-4"), ("0.4", "6e-4"))
    ),
    *((f"npo, beta {beta}", ["npo", "--beta", beta, "--alpha", "5", *COMMON]) for beta in ("0.05", "0.035", "0.03", "0.02")),
    *(
        (f"graddiff to a loss of {loss}", ["graddiff", "--max-forget-loss", loss, "--alpha", "3", *COMMON])
        for loss in ("6", "7")
    ),
    *(
        (f"simnpo, beta {beta}", ["simnpo", "--beta", beta, "--gamma", "1", "--alpha", "5", *COMMON])
        for beta in ("0.7", "0.5", "0.4")
    ),
    ("ascent, nothing retained", ["ascent", "--alpha", "0", "--learning-rate", "3e-4", "--epochs", "8"]),
    *((f"ablate, {percent} % of the units", ["ablate", "--fraction", f"{percent / 100:g}"]) for percent in (1, 1.5)),
]


def retained(figures):
    """TOFU's utility of the retained rows alone: the harmonic mean of their probability, ROUGE-L recall and truth ratio."""
    kept = figures["sets"]["retain"]
    parts = [kept["probability"], kept["rouge_l"], kept["truth_ratio"]]
    return statistics.harmonic_mean(parts) if all(parts) else 0.0


class Tofu:
    def __init__(self, daemon, shared):
        self.daemon = daemon
        self.models, self.data = f"{shared}/models/tofu-tiny", f"{shared}/data/tofu"
        self.sets = f"{self.models}/data"

    def job(self, *arguments):
        """Submits, waits, and gives the job and the seconds that it ran."""
        job = self.daemon.ctl("submit", *arguments)["id"]
        while True:
            shown = self.daemon.ctl("show", job)
            if shown["state"] not in ("queued", "running", "committing"):
                break
            time.sleep(0.5)
        if shown["state"] != "succeeded":
            raise SystemExit(f"job {job}: {shown['state']}: {shown['error']}")
        times = [time.mktime(time.strptime(shown[name][:19], "%Y-%m-%dT%H:%M:%S")) for name in ("started", "finished")]
        return shown, times[1] - times[0]

    def measure(self, version):
        """The evaluation of a version of `full`: TOFU's own sets, and rows that neither model saw."""
        shown, _ = self.job(
            "evaluate", "--model", version, "--reference", "retrained", "--preset", "tofu", "--preset-data", self.data,
            "--holdout", f"{self.sets}/holdout.jsonl", "--batch-size", "16")
        return shown["evaluation"]

    def train(self, arguments):
        """The job of a row. What it made may become head: rows begin at full@v1 all the same."""
        return self.job(
            *arguments, "--model", "full@v1", "--forget", f"{self.sets}/forget.jsonl", "--retain", f"{self.sets}/retain.jsonl",
            "--batch-size", "16", *([] if "--seed" in arguments else ["--seed", "1"]), "--no-evaluate")


def main(bin, work, names):
    shared = os.environ.get("UNLEARN_SHARED") or sys.exit("tofu: UNLEARN_SHARED names the directory of models and data")
    os.environ.pop("OPENBLAS_CORETYPE", None)
    directory = tempfile.mkdtemp(dir=work)
    with Daemon(bin, directory) as daemon:
        tofu = Tofu(daemon, shared)
        for name in ("full", "retrained"):
            daemon.ctl("model", "import", name, f"{tofu.models}/{name}")
        base = tofu.measure("full@v1")
        show("| | forget quality p | forget probability | truth ratio | ROUGE-L | retained utility | of full's | nine-part utility | AUC | touched | time |")
        show("|---|---|---|---|---|---|---|---|---|---|---|")
        full = base["after"]
        row("full", full, full)
        row("retrained", base["reference"], full)
        for name, arguments in SWEEP:
            if names and not any(name.startswith(wanted) for wanted in names):
                continue
            job, seconds = tofu.train(arguments)
            touched = (job["result"] or {}).get("ablation", {}).get("share")
            row(name, tofu.measure(f"full@{job['version']}")["after"], full, seconds, touched)


def row(name, figures, full, seconds=None, touched=None):
    forget = figures["sets"]["forget"]
    show(
        f"| {name} | {figures['ks_p']:.3g} | {forget['probability']:.4f} | {forget['truth_ratio']:.3f} | {forget['rouge_l']:.3f} "
        f"| {retained(figures):.3f} | {retained(figures) / retained(full):.3f} | {figures['model_utility']:.4f} "
        f"| {figures['membership_inference_auc']:.3f} | {'' if touched is None else f'{touched:.2%}'} "
        f"| {'' if seconds is None else f'{seconds:.0f} s'} |")


def show(line):
    print(line, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
