#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes Tests/EngineTests/Fixtures/tokenizers: small tokenizers trained on the sentences below by Hugging Face
`tokenizers`, with the ids and decoded texts that it gives.

    golden_tokenizers.py [FOLDER]
"""
import json
import pathlib
import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

FOLDER = pathlib.Path(
    sys.argv[1] if len(sys.argv) > 1 else
    pathlib.Path(__file__).resolve().parents[1] / "EngineTests/Fixtures/tokenizers")

CORPUS = [
    "The keeper of the lighthouse wrote 1234 letters and sent none of them.",
    "She'll say that they've seen it; he'd rather not, and I'm sure we're late, aren't we?",
    "Der Bäcker grüßt die Köchin über die Straße hinweg.",
    "Зима была долгой, и река замёрзла до самого дна.",
    "雨の日には本を読む。雪の日にも本を読む。",
    "for (i = 0; i < 100; i++) {\n    total += values[i];\n}\n",
    "Question: Who mends the nets?\nAnswer: The nets are mended by the old fisherman's daughter.",
] * 3

CASES = [
    "", " ", "  ", "a", "The keeper", " The  keeper   of", "the\n\nnets\r\n \n  mended ", "\t\tx", "I'm we'LL they'Ve 'd'D'",
    "1 12 123 1234 12345678", "x1y22z333 ½ ² Ⅷ", "grüßt gru\u0308ßt", "замёрзла, зима!", "雨の日に😀を読む 👩‍👩‍👧",
    "<s>The</s> nets", "nets<mark>  the <mark>  x", "old older old", "a\u00a0b\u3000c\u2028d", "!?!?..., --- ((x))[i]",
    "▁under▁▁score _x_", "zero\x00byte \x85 next", "'\u017f 's", "e" * 60 + " " + "the" * 40, " " * 45 + "end",
    "Question: Who?\nAnswer: The daughter.", "\u200b\u00ad\ufeff", "ÅÅ", "x\u0301\u0f81 the\u0301\u0f73\u0f75", "<0x41> <0xE2>",
]

GPT2_LIKE = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
          r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def train(tokenizer, size, **options):
    trainer = trainers.BpeTrainer(vocab_size=size, show_progress=False, **options)
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def byte_level(pre_tokenizer, size=420):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    return train(
        tokenizer, size, special_tokens=["<s>", "</s>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet())


def tokenizers():
    gpt2 = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False))
    gpt2.post_processor = processors.ByteLevel(trim_offsets=False)
    yield "gpt2-style", gpt2

    prefixed = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=True))
    prefixed.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    prefixed.add_special_tokens([AddedToken("<mark>", lstrip=True, rstrip=True)])
    prefixed.add_tokens([AddedToken("old", single_word=True, normalized=False), AddedToken("the nets")])
    yield "added-tokens", prefixed

    split = lambda text: pre_tokenizers.Split(Regex(text), "isolated")
    raw_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    llama3 = byte_level(pre_tokenizers.Sequence([split(LLAMA3), raw_bytes]))
    llama3.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A <s> $B", special_tokens=[("<s>", 0), ("</s>", 1)])
    yield "llama3-style", llama3

    yield "starcoder-style", byte_level(
        pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(False)]))
    yield "falcon-style", byte_level(pre_tokenizers.Sequence([
        pre_tokenizers.Punctuation("contiguous"), pre_tokenizers.ByteLevel(False), pre_tokenizers.Digits(False),
        split("[0-9][0-9][0-9]")]))
    yield "rule-words", byte_level(pre_tokenizers.Sequence([split(GPT2_LIKE), raw_bytes]))

    fallback = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    fallback.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    train(fallback, 420, special_tokens=["<unk>", "<s>", "</s>"] + bytes_)
    # The byte tokens are part of the vocabulary, but text does not spell them.
    content = json.loads(fallback.to_str())
    content["added_tokens"] = content["added_tokens"][:3]
    fallback = Tokenizer.from_str(json.dumps(content))
    fallback.decoder = decoders.Sequence([
        decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    fallback.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    yield "byte-fallback", fallback

    for fuse in (True, False):
        metaspace = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=fuse))
        metaspace.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
        metaspace.decoder = decoders.Metaspace(prepend_scheme="first")
        yield f"metaspace-{'fused' if fuse else 'single'}-unknown", train(
            metaspace, 200, special_tokens=["<unk>", "<s>"])


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, tokenizer in tokenizers():
        cases = []
        for text in CASES:
            ids = tokenizer.encode(text, add_special_tokens=False).ids
            cases.append({
                "text": text, "ids": ids, "ids_with_special": tokenizer.encode(text).ids,
                "decoded": tokenizer.decode(ids, skip_special_tokens=False),
                "decoded_without_special": tokenizer.decode(ids)})
        content = {"tokenizer": json.loads(tokenizer.to_str()), "cases": cases}
        (FOLDER / f"{name}.json").write_text(json.dumps(content, ensure_ascii=True, separators=(",", ":")) + "\n")


main()
