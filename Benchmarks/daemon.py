# SPDX-License-Identifier: Apache-2.0
"""A private daemon and a client that speaks its protocol, for the benchmarks. Standard library only."""

import json
import os
import socket
import subprocess
import tempfile
import threading
import time


class Daemon:
    """unlearnd on a directory of its own; `with Daemon(bin, directory) as daemon:` ends it at the end.

    What else is named is put into its environment.
    """

    def __init__(self, bin, directory, **environment):
        self.bin, self.directory, self.environment = bin, directory, environment
        # Socket paths may have 107 bytes at most, and the work directory may be deep.
        self.sockets = tempfile.TemporaryDirectory(prefix="unlearnd-bench.", dir="/tmp")
        self.socket = os.path.join(self.sockets.name, "unlearnd.sock")

    def __enter__(self):
        self.log = open(os.path.join(self.directory, "daemon.log"), "wb")
        self.process = subprocess.Popen(
            [f"{self.bin}/unlearnd", "run", "--state-directory", f"{self.directory}/state", "--socket", self.socket],
            stdout=self.log,
            stderr=self.log,
            env={**os.environ, **self.environment},
        )
        for _ in range(6000):
            if os.path.exists(self.socket):
                return self
            if self.process.poll() is not None:
                break
            time.sleep(0.005)
        raise SystemExit(f"the daemon did not start: {open(self.log.name).read()}")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.log.close()
        self.sockets.cleanup()

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


class WorkerMemory:
    """The highest resident memory of any worker while `with WorkerMemory(daemon) as memory:` lasts, in bytes."""

    def __init__(self, daemon):
        self.parent, self.peak, self.ended = daemon.process.pid, 0, threading.Event()
        self.watcher = threading.Thread(target=self.watch, daemon=True)

    def watch(self):
        while not self.ended.wait(0.02):
            try:
                for task in os.listdir(f"/proc/{self.parent}/task"):
                    with open(f"/proc/{self.parent}/task/{task}/children") as file:
                        for child in file.read().split():
                            with open(f"/proc/{child}/status") as status:
                                found = [line.split()[1] for line in status if line.startswith("VmHWM")]
                            self.peak = max(self.peak, *(int(kibibytes) * 1024 for kibibytes in found), 0)
            except OSError:
                continue  # a process ended between two looks

    def __enter__(self):
        self.watcher.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.watcher.join()


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
