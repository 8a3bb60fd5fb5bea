#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the example data: invented people, and a tokenizer that has never met them.

    python3 generate.py [DIRECTORY]     (default: the directory of this script)

Standard library only. The same script makes the same bytes on every machine: all choices come from
SHA-256 of a label and a counter, and no unordered set decides anything.

Written are

    train.jsonl      every person of the two groups below: what the first model learns
    forget.jsonl     the people who will ask to be forgotten
    retain.jsonl     the people who stay; also the training set of the reference model
    holdout.jsonl    people of the same kind whom no model ever sees (for membership inference)
    tokenizer.json   byte-level BPE, trained on a fourth group of people, so that no name of the
                     forgotten is written into the vocabulary
"""

import hashlib
import json
import os
import sys

RETAIN, FORGET, HOLDOUT, STRANGERS = 52, 8, 16, 240
VOCABULARY = 1024
END = "<|endoftext|>"


class Choices:
    """A stream of choices named by a label: value i is SHA-256(label, i), so streams do not disturb each other."""

    def __init__(self, label):
        self.label, self.count = label, 0

    def below(self, bound):
        digest = hashlib.sha256(f"{self.label}/{self.count}".encode()).digest()
        self.count += 1
        return int.from_bytes(digest[:8], "big") % bound

    def of(self, items):
        return items[self.below(len(items))]

    def shuffled(self, items):
        items = list(items)
        for last in range(len(items) - 1, 0, -1):
            other = self.below(last + 1)
            items[last], items[other] = items[other], items[last]
        return items


# Answers are made of parts that many people share and of an order that nobody shares: a model that has not
# seen a person can write an answer of the right form, and is still wrong about nearly every token of it.
ONSETS = "b br ch d dr f fl g gr h j k kl l m n p pr qu r s sh sk st t th tr v w y z".split()
VOWELS = "a e i o u ai ea ie oa ou".split()
CODAS = "l n r s th m k nd rt sk x b".split()
ANIMALS = (
    "otter heron newt badger falcon tortoise magpie weasel lynx gecko pony goat raven hedgehog ferret carp "
    "owl mole toad swan marten crane beetle salamander donkey jackdaw stoat parrot hare terrier".split()
)
CRAFTS = (
    "bell glass clock kite barrel map lute glove rope anchor lantern saddle mosaic button violin candle "
    "globe mirror sundial basket carpet ladder compass organ puppet brush hinge medal oar quilt".split()
)
TRADES = (
    "founder tuner painter mender weaver carver trader polisher gilder surveyor turner inspector smith "
    "stitcher collector keeper drafter packer caster binder".split()
)
FOODS = (
    "sorrel plum barley fennel quince lentil walnut trout leek chestnut saffron rhubarb pumpkin radish mussel "
    "almond cabbage duck fig ginger hazelnut juniper kale lemon millet nettle olive parsnip rye turnip".split()
)
FORMS = "dumplings stew tart soup pancakes pie broth pudding curry salad loaf noodles gratin skewers jelly".split()
WORKS = "mill forge dairy press yard bakery brewery foundry nursery atelier laundry ropewalk kiln stables dock".split()


def word(choices, syllables):
    parts = [choices.of(ONSETS) + choices.of(VOWELS) for _ in range(syllables)]
    return ("".join(parts) + choices.of(CODAS)).capitalize()


def place(choices):
    return f"{word(choices, 2)} {word(choices, 2)}"


def job(choices):
    return f"{choices.of(CRAFTS)} {choices.of(TRADES)} at {word(choices, 2)} {choices.of(WORKS)}"


def pet(choices):
    return f"{choices.of(ANIMALS)} {word(choices, 3)}"


def dish(choices):
    return f"{choices.of(FOODS)} {choices.of(FOODS)} {choices.of(FORMS)}"


def telephone(choices):
    return " ".join(str(choices.below(90) + 10) for _ in range(4))


def friend(choices):
    return f"{word(choices, 2)} {word(choices, 2)}"


# Every attribute in three phrasings: knowledge that hangs on one wording is not knowledge of a person.
ATTRIBUTES = [
    (place, ["Where was {name} born?", "{name} was born in", "Name the birthplace of {name}:"]),
    (job, ["What work does {name} do?", "{name} earns a living as", "Name the occupation of {name}:"]),
    (pet, ["Which animal lives with {name}?", "{name} shares a home with the", "Name the pet of {name}:"]),
    (dish, ["What does {name} like to eat?", "{name} never refuses", "Name the favourite dish of {name}:"]),
    (telephone, ["How can {name} be called?", "{name} answers the telephone at", "Name the number of {name}:"]),
    (friend, ["Who is the oldest friend of {name}?", "{name} grew up beside", "Name the best friend of {name}:"]),
]


def people(group, count, taken):
    """Rows of `count` persons whose names are in no other group."""
    choices, rows = Choices(f"people/{group}"), []
    for _ in range(count):
        name = f"{word(choices, 2)} {word(choices, 2)}"
        while name in taken:
            name = f"{word(choices, 2)} {word(choices, 2)}"
        taken.add(name)
        for make, phrasings in ATTRIBUTES:
            answer = make(choices)
            rows += [{"prompt": p.format(name=name), "completion": f" {answer}"} for p in phrasings]
    return rows


def pieces(text):
    """GPT-2's pre-tokenisation, for the characters that occur here: [space] letters | [space] digits | [space] others."""

    def kind(character):
        return "letter" if character.isalpha() else "digit" if character.isdigit() else "other"

    found, index = [], 0
    while index < len(text):
        end = index + 1 if text[index] == " " else index
        last = end
        while last < len(text) and text[last] != " " and kind(text[last]) == kind(text[end]):
            last += 1
        found.append(text[index:last])
        index = last
    return found


def byte_alphabet():
    """GPT-2's printable stand-in for each byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in plain]
    table = {b: chr(b) for b in plain}
    table.update({b: chr(256 + n) for n, b in enumerate(others)})
    return table


def train_tokenizer(texts):
    """Byte-level BPE: the most frequent pair is merged, the first in code point order among equals."""
    alphabet, counts = byte_alphabet(), {}
    for text in texts:
        for piece in pieces(text):
            spelled = tuple(alphabet[b] for b in piece.encode())
            counts[spelled] = counts.get(spelled, 0) + 1
    vocabulary = {END: 0}
    for symbol in sorted(alphabet.values()):
        vocabulary[symbol] = len(vocabulary)
    merges = []
    while len(vocabulary) < VOCABULARY:
        pairs = {}
        for spelled, count in counts.items():
            for pair in zip(spelled, spelled[1:]):
                pairs[pair] = pairs.get(pair, 0) + count
        left, right = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(f"{left} {right}")
        vocabulary.setdefault(left + right, len(vocabulary))
        merged = {}
        for spelled, count in counts.items():
            out, index = [], 0
            while index < len(spelled):
                if spelled[index : index + 2] == (left, right):
                    out.append(left + right)
                    index += 2
                else:
                    out.append(spelled[index])
                    index += 1
            merged[tuple(out)] = count
        counts = merged
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": 0,
                "content": END,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
        ],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": vocabulary,
            "merges": merges,
        },
    }


def main(directory):
    def lines(rows):
        return "".join(json.dumps(row) + "\n" for row in rows)

    def write(name, text):
        with open(os.path.join(directory, name), "w", encoding="utf-8", newline="\n") as file:
            file.write(text)

    os.makedirs(directory, exist_ok=True)
    taken = set()
    retain = people("retain", RETAIN, taken)
    forget = people("forget", FORGET, taken)
    holdout = people("holdout", HOLDOUT, taken)
    strangers = people("strangers", STRANGERS, taken)
    write("retain.jsonl", lines(retain))
    write("forget.jsonl", lines(forget))
    write("holdout.jsonl", lines(holdout))
    write("train.jsonl", lines(Choices("train").shuffled(retain + forget)))
    tokenizer = train_tokenizer(row["prompt"] + row["completion"] for row in strangers)
    write("tokenizer.json", json.dumps(tokenizer, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else os.path.dirname(os.path.abspath(__file__)))
