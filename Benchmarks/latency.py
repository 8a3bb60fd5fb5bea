# SPDX-License-Identifier: Apache-2.0
"""latency.py BIN WORK: how long a request takes over the socket, and how long until a job is durable."""

import os
import socket
import sqlite3
import statistics
import sys
import threading
import time

from daemon import Daemon, Session, table

ROUNDS = 2000
PEOPLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "Examples", "people")


def timed(action, rounds=ROUNDS):
    for _ in range(rounds // 10):
        action()
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        action()
        times.append(time.perf_counter() - begin)
    return times


def row(name, times):
    ordered = sorted(times)
    return [
        name,
        f"{statistics.median(ordered) * 1e6:.0f} µs",
        f"{ordered[len(ordered) * 99 // 100] * 1e6:.0f} µs",
        f"{len(ordered) / sum(ordered):.0f}/s",
    ]


def echo():
    """The floor: a thread of this same Python that sends each line back."""
    client, server = socket.socketpair()

    def serve():
        lines = server.makefile("rb")
        for line in lines:
            server.sendall(line)

    threading.Thread(target=serve, daemon=True).start()
    lines = client.makefile("rb")

    def action():
        client.sendall(b"x" * 63 + b"\n")
        lines.readline()

    return action


def commit(work):
    """One row, one transaction, durable: what the queue rests on, without anything around it."""
    database = sqlite3.connect(os.path.join(work, "floor.sqlite"), isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE job (id INTEGER PRIMARY KEY, spec TEXT)")
    return lambda: database.execute("INSERT INTO job (spec) VALUES (?)", ("x" * 300,))


def main(bin, work):
    directory = os.path.join(work, "latency")
    os.makedirs(directory)
    with Daemon(bin, directory) as daemon:
        daemon.ctl(
            "model", "create", "small", "--config", f"{PEOPLE}/config.json", "--tokenizer", f"{PEOPLE}/tokenizer.json"
        )
        session = Session(daemon.socket)
        spec = {"kind": "generate", "model": "small", "hold": True, "parameters": {"prompt": "a"}}
        rows = [
            row("echo in Python, 64 bytes", timed(echo())),
            row("system.ping", timed(lambda: session.call("system.ping"))),
            row("SQLite commit, WAL, synchronous=FULL", timed(commit(directory))),
            row("job.submit, durable when answered", timed(lambda: session.call("job.submit", {"spec": spec}))),
        ]
    table(f"latency: one connection, {ROUNDS} rounds", ["what", "median", "p99", "rate"], rows)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
