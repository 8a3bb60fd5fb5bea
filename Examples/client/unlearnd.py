#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A client of unlearnd in Python's standard library alone: to read, to copy, to run.

    unlearnd.py [--socket PATH] import NAME DIRECTORY
    unlearnd.py [--socket PATH] upload FILE
    unlearnd.py [--socket PATH] forget MODEL METHOD FORGET [RETAIN] [PARAMETER=VALUE]… [gate=CONDITIONS]
    unlearnd.py [--socket PATH] export MODEL@vN DIRECTORY
    unlearnd.py [--socket PATH] call METHOD [JSON]

`import`, `forget` and `export` follow their job: events go to standard error, the ended job to standard output as JSON. The
exit status is 0 if the job succeeded (and, where there is a gate, met it), 1 if not, 2 if the daemon refused.
docs/protocol.md describes what is said.
"""

import base64
import hashlib
import json
import os
import socket
import sys


class Refused(Exception):
    """The daemon's answer to a request that it does not carry out."""

    def __init__(self, error):
        data = error.get("data") or {}
        self.kind, self.field, self.hint = data.get("kind"), data.get("field"), data.get("hint")
        super().__init__(error["message"] + (f" ({self.hint})" if self.hint else ""))


class Client:
    """One connection. Requests are sent one at a time; events that come meanwhile are kept for `events`."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(path)
        self.lines = self.socket.makefile("rb")
        self.waiting = []
        self.number = 0
        hello = self.receive()
        self.chunk = hello["params"]["limits"]["chunk"]
        self.role = self.call(
            "session.hello", protocol=1, client={"name": "unlearnd.py", "version": "1"})["role"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lines.close()
        self.socket.close()

    def receive(self):
        line = self.lines.readline()
        if not line.endswith(b"\n"):
            raise ConnectionError("the daemon hung up")
        return json.loads(line)

    def call(self, method, **params):
        """The result of a request. Raises Refused."""
        self.number += 1
        request = {"jsonrpc": "2.0", "id": self.number, "method": method, "params": params}
        self.socket.sendall(json.dumps(request).encode() + b"\n")
        while True:
            message = self.receive()
            if message.get("id") == self.number:
                if "error" in message:
                    raise Refused(message["error"])
                return message["result"]
            if message.get("method") == "event":
                self.waiting.append(message["params"]["event"])
            elif "error" in message:
                raise Refused(message["error"])

    def events(self, since=None, **filters):
        """The events of a subscription, without end; `since` is the number of the first."""
        self.call("events.subscribe", **({} if since is None else {"since": since}), **filters)
        while True:
            if self.waiting:
                yield self.waiting.pop(0)
                continue
            message = self.receive()
            if message.get("method") == "event":
                yield message["params"]["event"]

    def wait(self, job, seen=lambda event: None):
        """The job once it has ended."""
        with Client(self.socket.getpeername()) as other:
            # From the first event on: a job that has ended already says so again.
            ended = ("succeeded", "failed", "cancelled", "lost")
            for event in other.events(since=1, jobs=[job]):
                seen(event)
                if event["type"] == "state" and event["data"]["to"] in ended:
                    return self.call("job.show", job=job)

    def upload(self, path):
        """The digest of a file of JSON lines, which the daemon has from now on."""
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            digest = hashlib.sha256()
            while piece := file.read(self.chunk):
                digest.update(piece)
            begun = self.call("blob.begin", size=size, sha256=digest.hexdigest())
            if "blob" not in begun:
                return begun["dataset"]
            # Another connection may have sent a part of it before it broke.
            offset = begun["offset"]
            file.seek(offset)
            while piece := file.read(self.chunk):
                offset = self.call(
                    "blob.chunk", blob=begun["blob"], offset=offset, data=base64.b64encode(piece).decode())["offset"]
        return self.call("blob.commit", blob=begun["blob"], name=os.path.basename(path))["dataset"]

    def transfer(self, direction, names, opened):
        """Hands over one descriptor for each name, opened here with this program's own rights."""
        transfer = self.call("transfer.open", direction=direction, files=names)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as packets:
            packets.connect(transfer["socket"])
            for index, name in enumerate(names):
                descriptor = opened(name)
                try:
                    packet = json.dumps({"token": transfer["token"], "index": index}).encode()
                    socket.send_fds(packets, [packet], [descriptor])
                    answer = json.loads(packets.recv(4096))
                finally:
                    os.close(descriptor)
                if "error" in answer:
                    raise Refused(answer["error"])
        return transfer["transfer"]

    def import_model(self, name, directory):
        """The job that imports the files of a Hugging Face directory as the model's next version."""
        names = sorted(entry.name for entry in os.scandir(directory) if entry.is_file())
        transfer = self.transfer(
            "import", names, lambda file: os.open(os.path.join(directory, file), os.O_RDONLY | os.O_CLOEXEC))
        return self.submit(kind="import", model=name, parameters={"transfer": transfer})

    def files(self, version):
        """All files of a version, page after page."""
        page = self.call("model.files", version=version)
        files = page["files"]
        while "next" in page:
            # By number: the head may move between two pages.
            page = self.call("model.files", version=f"{page['model']}@{page['version']}", after=page["next"])
            files += page["files"]
        return files

    def export_model(self, version, directory):
        """The job that writes a version's files into a directory, which must have none of them."""
        names = [file["path"] for file in self.files(version)]

        def made(name):
            path = os.path.join(directory, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)

        return self.submit(
            kind="export", model=version, parameters={"transfer": self.transfer("export", names, made)})

    def submit(self, **spec):
        """The number of the new job."""
        return self.call("job.submit", spec=spec)["job"]["id"]


def value(text):
    try:
        return json.loads(text)
    except ValueError:
        return text


def forget(client, model, method, *words):
    """The job that makes a model forget the rows of a file."""
    files = [word for word in words if "=" not in word]
    if len(files) > 2:
        raise ValueError(f"{files[2]}: forget takes two files, what to forget and what to keep")
    parameters = dict((name, value(text)) for name, text in (word.split("=", 1) for word in words if "=" in word))
    spec = {"kind": method, "model": model}
    for role, path in zip(("forget", "retain"), files):
        spec[role] = client.upload(path)
    if "gate" in parameters:
        spec["gate"] = parameters.pop("gate")
    return client.submit(**spec, parameters=parameters)


def main(words):
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    path = f"{runtime}/unlearnd.sock" if runtime else "/run/unlearnd/unlearnd.sock"
    if words[:1] == ["--socket"] and len(words) > 1:
        path, words = words[1], words[2:]
    counts = {"import": (2, 2), "upload": (1, 1), "forget": (3, None), "export": (2, 2), "call": (1, 2)}
    least, most = counts.get(words[0] if words else None, (1, 0))
    if not least <= len(words) - 1 or most is not None and len(words) - 1 > most:
        print(__doc__.split("\n\n")[1], file=sys.stderr)
        return 2
    verb, words = words[0], words[1:]
    try:
        with Client(path) as client:
            if verb == "call":
                print(json.dumps(client.call(words[0], **json.loads(words[1] if len(words) > 1 else "{}"))))
                return 0
            if verb == "upload":
                print(client.upload(words[0]))
                return 0
            start = {"import": client.import_model, "export": client.export_model}
            job = start[verb](*words) if verb in start else forget(client, *words)
            ended = client.wait(job, lambda event: print(event["type"], json.dumps(event["data"]), file=sys.stderr))
    except (Refused, OSError, ValueError) as error:
        print(f"unlearnd.py: {error}", file=sys.stderr)
        return 2
    print(json.dumps(ended))
    gate = ended.get("gate")
    return 0 if ended["state"] == "succeeded" and (gate is None or gate["passed"]) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
