# SPDX-License-Identifier: Apache-2.0
"""A private daemon and a client that speaks its protocol, for the benchmarks. Standard library only."""

import json
import os
import socket
import subprocess
import time


class Daemon:
    """unlearnd on a directory of its own; `with Daemon(bin, directory) as daemon:` ends it at the end."""

    def __init__(self, bin, directory):
        self.bin, self.directory = bin, directory
        # Socket paths may have 107 bytes at most, and the work directory may be deep.
        self.socket = os.path.join("/tmp", f"unlearnd-bench-{os.getpid()}.sock")

    def __enter__(self):
        self.log = open(os.path.join(self.directory, "daemon.log"), "wb")
        self.process = subprocess.Popen(
            [f"{self.bin}/unlearnd", "run", "--state-directory", f"{self.directory}/state", "--socket", self.socket],
            stdout=self.log,
            stderr=self.log,
        )
        for _ in range(200):
            if os.path.exists(self.socket):
                return self
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise SystemExit(f"the daemon did not start: {open(self.log.name).read()}")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.log.close()

    def ctl(self, *arguments):
        """Runs unlearnctl, gives its JSON."""
        done = subprocess.run(
            [f"{self.bin}/unlearnctl", "--socket", self.socket, "--json", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        if done.returncode:
            raise SystemExit(f"unlearnctl {' '.join(map(str, arguments))}: exit status {done.returncode}\n{done.stderr}")
        return json.loads(done.stdout) if done.stdout.strip() else None


class Session:
    """One connection: JSON-RPC objects, one on a line, the server greets first."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(path)
        self.lines = self.socket.makefile("rb")
        self.count = 0
        self.greeting = json.loads(self.lines.readline())["params"]
        self.call("session.hello", {"protocol": 1, "client": {"name": "benchmark", "version": "1"}})

    def call(self, method, parameters=None):
        self.count += 1
        request = {"jsonrpc": "2.0", "id": self.count, "method": method, "params": parameters or {}}
        self.socket.sendall(json.dumps(request).encode() + b"\n")
        reply = json.loads(self.lines.readline())
        if "error" in reply:
            raise SystemExit(f"{method}: {reply['error']}")
        return reply["result"]


def measured(command, **options):
    """Runs a command; its seconds and its own peak resident memory in bytes."""
    begin = time.perf_counter()
    process = subprocess.Popen(command, **options)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[0]}: exit status {process.returncode}")
    return seconds, usage.ru_maxrss * 1024


def table(title, header, rows):
    """Prints aligned columns."""
    rows = [header, *[[str(cell) for cell in row] for row in rows]]
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    print(title)
    for row in rows:
        print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
