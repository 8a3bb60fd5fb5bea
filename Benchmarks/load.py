# SPDX-License-Identifier: Apache-2.0
"""load.py BIN WORK: what the daemon stands: many clients, a long history, busy cores; beside Redis and task-spooler."""

import base64
import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import time

from daemon import Daemon, Session, table
from latency import PEOPLE, commit, row, timed

CLIENTS = 8
IDLE = 1000
FINISHED = [int(count) for count in os.environ.get("UNLEARN_BENCH_FINISHED", "100000,1000000").split(",")]
# The daemon lets 100,000 wait, of which the clients above submit some.
WAITING = int(os.environ.get("UNLEARN_BENCH_WAITING", "90000"))
SPEC = {"kind": "generate", "model": "small", "hold": True, "parameters": {"prompt": "a"}}


def submit_many(path, count, results):
    session = Session(path)
    times = []
    for _ in range(count):
        begin = time.perf_counter()
        session.call("job.submit", {"spec": SPEC})
        times.append(time.perf_counter() - begin)
    results.put(times)


def together(path, count=500):
    """Durable submissions of several clients at once: times of each, and how many a second."""
    results = multiprocessing.Queue()
    clients = [multiprocessing.Process(target=submit_many, args=(path, count, results)) for _ in range(CLIENTS)]
    begin = time.perf_counter()
    for client in clients:
        client.start()
    times = [value for _ in clients for value in results.get()]
    seconds = time.perf_counter() - begin
    for client in clients:
        client.join()
    return times, len(times) / seconds


def resident(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))


def cpu(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def copies(state, job, count):
    """`count` more rows like that of a job, written while no daemon has the database."""
    database = sqlite3.connect(os.path.join(state, "unlearnd.sqlite"), isolation_level=None)
    names = [name for _, name, *_ in database.execute("PRAGMA table_info(job)") if name not in ("id", "idempotency_key", "idempotency_hash")]
    columns = ", ".join(names)
    database.execute(
        f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
        f"INSERT INTO job({columns}) SELECT {', '.join('job.' + name for name in names)} FROM n, job WHERE job.id = ?", (count, job))
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()


def peer(name, command, rounds=200):
    """The seconds of a peer's command, started anew each time as a user would."""
    if shutil.which(command[0]) is None:
        return [name, "not on this machine", "", ""]
    return row(name, timed(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL), rounds))


def redis(directory):
    if shutil.which("redis-server") is None:
        return ["Redis PING", "not on this machine", "", ""]
    path = "/tmp/unlearnd-bench-redis.sock"
    server = subprocess.Popen(
        ["redis-server", "--port", "0", "--unixsocket", path, "--save", "", "--dir", directory], stdout=subprocess.DEVNULL)
    try:
        for _ in range(100):
            if os.path.exists(path):
                break
            time.sleep(0.05)
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.connect(path)
        lines = client.makefile("rb")

        def ping():
            client.sendall(b"PING\r\n")
            lines.readline()

        return row("Redis PING, the same client", timed(ping))
    finally:
        server.terminate()
        server.wait()


def purge(session):
    """The seconds that it takes to destroy a dataset of one row."""
    text = json.dumps({"text": os.urandom(16).hex()}).encode() + b"\n"
    blob = session.call("blob.begin", {"size": len(text), "sha256": hashlib.sha256(text).hexdigest()})["blob"]
    session.call("blob.chunk", {"blob": blob, "offset": 0, "data": base64.b64encode(text).decode()})
    dataset = session.call("blob.commit", {"blob": blob, "name": "row"})["dataset"]
    begin = time.perf_counter()
    session.call("dataset.purge", {"dataset": dataset})
    return time.perf_counter() - begin


def main(bin, work):
    directory = os.path.join(work, "load")
    os.makedirs(directory)
    state = directory + "/state"
    environment = os.environ | {"TS_SOCKET": "/tmp/unlearnd-bench-tsp.sock"}
    os.environ.update(environment)
    with Daemon(bin, directory) as daemon:
        daemon.ctl("model", "create", "small", "--config", f"{PEOPLE}/config.json", "--tokenizer", f"{PEOPLE}/tokenizer.json")
        session = Session(daemon.socket)
        ctl = [f"{bin}/unlearnctl", "--socket", daemon.socket]
        rows = [
            row("system.ping", timed(lambda: session.call("system.ping"))),
            redis(directory),
            row("SQLite commit, WAL, synchronous=FULL", timed(commit(directory))),
            row("job.submit", timed(lambda: session.call("job.submit", {"spec": SPEC}))),
        ]
        times, rate = together(daemon.socket)
        rows.append(row(f"job.submit, {CLIENTS} clients at once", times)[:3] + [f"{rate:.0f}/s together"])
        rows.append(peer("`unlearnctl submit … --hold`, the whole program", ctl + ["submit", "evaluate", "--model", "small", "--forget", f"{PEOPLE}/forget.jsonl", "--retain", f"{PEOPLE}/retain.jsonl", "--hold", "--quiet"]))
        rows.append(peer("`tsp -n true`, the whole program", ["tsp", "-n", "true"]))
        subprocess.run(["tsp", "-K"], check=False, stderr=subprocess.DEVNULL) if shutil.which("tsp") else None

        listener = Session(daemon.socket)
        listener.call("events.subscribe", {})

        def follow():
            session.call("queue.pause")
            listener.lines.readline()
            session.call("queue.resume")
            listener.lines.readline()

        rows.append(row("two queue changes, until a follower has both", timed(follow, 500)))

        first = session.call("job.submit", {"spec": SPEC | {"hold": True}})
        job = first["job"]["id"] if isinstance(first["job"], dict) else first["job"]
        session.call("job.cancel", {"job": job})
        held = session.call("job.submit", {"spec": SPEC})
        held = held["job"]["id"] if isinstance(held["job"], dict) else held["job"]

        # Whoever computes has a lower priority than the daemon; that is what is tried here.
        training = daemon.ctl("submit", "finetune", "--model", "small", "--data", f"{PEOPLE}/retain.jsonl", "--epochs", 100000, "--no-evaluate")
        training = training["job"]["id"] if isinstance(training.get("job"), dict) else training.get("job", training.get("id"))
        time.sleep(3)
        rows.append(row("system.ping while a job computes on every core", timed(lambda: session.call("system.ping"))))
        begin = time.perf_counter()
        session.call("job.cancel", {"job": training})
        accepted = time.perf_counter() - begin
        table("load: one connection unless said otherwise", ["what", "median", "p99", "rate"], rows)
        print(f"  job.cancel of that job is accepted after {accepted * 1e3:.1f} ms")

        before = resident(daemon.process.pid)
        idle = [Session(daemon.socket) for _ in range(IDLE)]
        pings = row("", timed(lambda: session.call("system.ping"), 1000))
        print(f"  {IDLE} idle clients: {resident(daemon.process.pid) - before:.0f} MiB more, system.ping median {pings[1]}, p99 {pings[2]}")
        for client in idle:
            client.socket.close()
    steps = [(f"{total} finished jobs", total - before, job) for before, total in zip([0, *FINISHED], FINISHED)]
    for name, count, source in (*steps, (f"{WAITING} waiting jobs too", WAITING, held)):
        copies(state, source, count)
        begin = time.perf_counter()
        with Daemon(bin, directory) as daemon:
            while True:
                try:
                    session = Session(daemon.socket)
                    break
                except (ConnectionError, OSError, ValueError):
                    time.sleep(0.002)
            started = time.perf_counter() - begin
            listing = timed(lambda: session.call("job.list", {"all": True, "limit": 100}), 100)
            submission = timed(lambda: session.call("job.submit", {"spec": SPEC}), 100)
            # What a busy time has taken is given back after some quiet seconds.
            time.sleep(12)
            spent, begun = cpu(daemon.process.pid), time.perf_counter()
            time.sleep(10)
            share = (cpu(daemon.process.pid) - spent) / (time.perf_counter() - begun)
            memory = resident(daemon.process.pid)
            size = os.path.getsize(os.path.join(state, "unlearnd.sqlite")) / 2**20
            print(
                f"  {name}: answers {started:.2f} s after its start, job.list of 100 {statistics.median(listing) * 1e3:.1f} ms, "
                f"job.submit {statistics.median(submission) * 1e3:.1f} ms, idle {share * 100:.2f} % of a core, {memory:.0f} MiB; dataset.purge {purge(session):.2f} s ({size:.0f} MiB written anew)")


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    main(sys.argv[1], sys.argv[2])
