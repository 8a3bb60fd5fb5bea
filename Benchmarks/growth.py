# SPDX-License-Identifier: Apache-2.0
"""growth.py BIN WORK: how the daemon's answers slow down as versions and models grow in number.

The first model comes in by the daemon. The others are made while it is down: `unlearnd-worker bench fill` imports
different small checkpoints by the code that imports models, and their rows are copies of the first one's rows, with
their own numbers, digests and jobs. Audit rows are not made: they are a chain. UNLEARN_BENCH_COUNTS names the counts.
"""

import json
import os
import sqlite3
import statistics
import subprocess
import sys
import time

from daemon import Daemon, Session, table

COUNTS = [int(count) for count in os.environ.get("UNLEARN_BENCH_COUNTS", "1,100,10000").split(",")]


def checkpoint(directory):
    """A model of one tensor."""
    os.makedirs(directory)
    header = json.dumps({"w": {"dtype": "F32", "shape": [1024], "data_offsets": [0, 4096]}}).encode()
    with open(f"{directory}/model.safetensors", "wb") as file:
        file.write(len(header).to_bytes(8, "little") + header + os.urandom(4096))
    with open(f"{directory}/config.json", "w") as file:
        file.write('{"model_type": "made-up"}')


def columns(database, name):
    return [row[1] for row in database.execute(f"PRAGMA table_info({name})")]


def fill(bin, state, count, shape):
    """`count` more versions of the first model (each made from the one before), or models of one version."""
    made = subprocess.run(
        [f"{bin}/unlearnd-worker", "bench", "fill", state, str(count)], check=True, stdout=subprocess.PIPE).stdout
    database = sqlite3.connect(f"{state}/unlearnd.sqlite", isolation_level=None)
    database.row_factory = sqlite3.Row
    database.execute("BEGIN")
    database.execute("PRAGMA defer_foreign_keys = ON")
    first = {name: dict(database.execute(f"SELECT * FROM {name} LIMIT 1").fetchone()) for name in ("version", "model", "job", "head_move")}

    def insert(name, values):
        names = [column for column in columns(database, name) if column in values]
        database.execute(
            f"INSERT INTO {name}({', '.join(names)}) VALUES ({', '.join('?' * len(names))})", [values[column] for column in names])

    for index, line in enumerate(made.splitlines()):
        one = json.loads(line)
        number = index + 2 if shape == "versions" else 1
        model = "m" if shape == "versions" else f"m{index:06d}"
        job = first["job"]["id"] + index + 1
        insert("job", first["job"] | {
            "id": job, "model": model, "version": number, "digest": one["digest"], "kind": "task-vector",
            "idempotency_key": None, "idempotency_hash": None,
            "spec": json.dumps({"kind": "task-vector", "model": model, "parameters": {"finetuned": "m@v1"}})})
        if shape == "models":
            insert("model", first["model"] | {"name": model, "head": None})
        insert("version", first["version"] | {
            "model": model, "n": number, "parent": number - 1 or None, "manifest": one["manifest"], "digest": one["digest"],
            "bytes": one["bytes"], "stored_bytes": one["stored_bytes"], "job": job, "candidate": 0})
        insert("head_move", {key: value for key, value in first["head_move"].items() if key != "id"} | {
            "model": model, "origin": number - 1 or None, "target": number, "why": f"job {job}"})
        if shape == "models" or index == count - 1:
            database.execute("UPDATE model SET head = ? WHERE name = ?", (number, model))
    database.execute("COMMIT")
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()


def timed(action, rounds):
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        action()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def models(session):
    """All models, page after page."""
    found, page = [], session.call("model.list")
    while page:
        found += page
        page = session.call("model.list", {"after": page[-1]["model"]}) if len(page) == 1000 else []
    return found


def history(session, model):
    """All versions, page after page."""
    found = session.call("model.history", {"model": model})
    while found[0]["version"] != "v1":
        found = session.call("model.history", {"model": model, "before": found[0]["version"]}) + found
    return found


def show(session, model):
    """A model with all its versions and moves, page after page."""
    pages = [session.call("model.show", {"model": model})]
    while pages[-1].get("next"):
        pages.append(session.call("model.show", {"model": model, "before": pages[-1]["next"]}))
    return pages


def measure(bin, work, shape, count):
    directory = f"{work}/growth-{shape}-{count}"
    checkpoint(f"{directory}/first")
    with Daemon(bin, directory) as daemon:
        daemon.ctl("model", "import", "m", f"{directory}/first")
    fill(bin, f"{directory}/state", count - 1, shape)
    rounds = 3 if count > 1000 else 9
    figures = {}
    begin = time.perf_counter()
    with Daemon(bin, directory) as daemon:
        while True:
            try:
                session = Session(daemon.socket)
                break
            except (ConnectionError, OSError, ValueError):
                time.sleep(0.002)
        session.call("system.ping")
        figures["start, until it answers"] = time.perf_counter() - begin
        # What it does by itself after a start is not to be measured with the rest.
        time.sleep(min(5, 0.5 + count / 1000))
        head = next(model["head"] for model in models(session) if model["model"] == "m")
        spec = {"kind": "task-vector", "model": "m", "hold": True, "evaluate": False, "parameters": {"finetuned": "m@v1"}}
        moves = iter(["v1", head] * 1000)
        for name, action in (
            ("model list", lambda: models(session)),
            ("model history", lambda: history(session, "m")),
            ("its newest page", lambda: session.call("model.history", {"model": "m"})),
            ("model show", lambda: show(session, "m")),
            ("its first page", lambda: session.call("model.show", {"model": "m"})),
            ("ps", lambda: session.call("job.list", {})),
            ("submit", lambda: session.call("job.submit", {"spec": spec})),
            ("rollback and back, each", lambda: session.call("model.rollback", {"model": "m", "to": next(moves)})),
            ("store status", lambda: session.call("store.status")),
            ("gc --dry-run", lambda: session.call("store.gc", {"dry_run": True})),
            ("gc", lambda: session.call("store.gc", {})),
            ("store verify --quick", lambda: daemon.ctl("store", "verify", "--quick")),
            ("store optimize --dry-run", lambda: daemon.ctl("store", "optimize", "--dry-run")),
        ):
            try:
                figures[name] = timed(action, rounds)
            except SystemExit as refusal:
                # An answer has a greatest length.
                print(f"{count} {shape}: {name}: {str(refusal)[:300]}", flush=True)
    return figures


def main(bin, work):
    for shape in ("versions", "models"):
        columns = [measure(bin, work, shape, count) for count in COUNTS]
        title = f"{shape[:-1]}s of one {'model' if shape == 'versions' else 'version each'}"
        rows = [
            [name, *[f"{column[name] * 1e3:.1f} ms" if name in column else "refused" for column in columns]]
            + ([f"{columns[-1][name] / columns[-2][name]:.1f}"] if len(columns) > 1 and name in columns[-1] else [""] if len(columns) > 1 else [])
            for name in columns[0]
        ]
        grown = [f"last / before; {COUNTS[-1] // COUNTS[-2]} is linear"] if len(COUNTS) > 1 else []
        table(title, ["median", *map(str, COUNTS), *grown], rows)
        print(flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
