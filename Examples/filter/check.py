#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks text against a filter that `unlearnctl model filter` wrote: check.py FILTER < text

Prints the words (counted from 0) at which each forgotten run of words begins and how many it has; ends with 1 if there
is one, with 0 if there is none. Python's standard library only. docs/formats.md describes the format.
"""

import base64
import bisect
import hashlib
import hmac
import json
import sys
import unicodedata

ALONE = [(0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3040, 0x30FF), (0x3400, 0x4DBF),
         (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF)]


def words(text):
    """NFKC, each character's own lower case, runs of letters, marks and numbers."""
    found, word = [], ""
    for character in unicodedata.normalize("NFKC", text):
        for lower in character.lower():
            is_word = unicodedata.category(lower)[0] in "LMN"
            alone = is_word and any(low <= ord(lower) <= high for low, high in ALONE)
            if is_word and not alone:
                word += lower
                continue
            if word:
                found.append(word)
                word = ""
            if alone:
                found.append(lower)
    return found + [word] if word else found


class Filter:
    """A filter read from its file."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
        expected = {"format": "unlearnd-filter", "format_version": 1, "normalization": "nfkc-lower-lmn-1",
                    "hash": "hmac-sha256-64"}
        for member, value in expected.items():
            if content[member] != value:
                raise SystemExit(f"{path}: {member} is {content[member]!r}; this program reads {value!r}")
        packed = base64.b64decode(content["hashes"], validate=True)
        self.hashes = [int.from_bytes(packed[at:at + 8], "big") for at in range(0, len(packed), 8)]
        if len(self.hashes) != content["count"]:
            raise SystemExit(f"{path}: holds {len(self.hashes)} hashes and says {content['count']}")
        self.salt = bytes.fromhex(content["salt"])
        self.lengths = range(content["minimum"], content["n"] + 1)

    def knows(self, gram):
        code = hmac.new(self.salt, " ".join(gram).encode(), hashlib.sha256).digest()[:8]
        value = int.from_bytes(code, "big")
        at = bisect.bisect_left(self.hashes, value)
        return at < len(self.hashes) and self.hashes[at] == value

    def matches(self, text):
        """(first word, number of words) of each forgotten run."""
        all_words = words(text)
        return [(start, length) for length in self.lengths for start in range(len(all_words) - length + 1)
                if self.knows(all_words[start:start + length])]


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    found = Filter(sys.argv[1]).matches(sys.stdin.read())
    for start, length in found:
        print(start, length)
    sys.exit(1 if found else 0)
