#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes Tests/EngineTests/Fixtures/templates: small tokenizers with the special tokens of the chat formats, and the
ids that transformers' apply_chat_template gives.

    golden_templates.py [FOLDER]
"""
import json
import pathlib
import sys

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from reference_templates import TEMPLATES, WITHOUT_SYSTEM, case, wrap

FOLDER = pathlib.Path(
    sys.argv[1] if len(sys.argv) > 1 else
    pathlib.Path(__file__).resolve().parents[1] / "EngineTests/Fixtures/templates")

CORPUS = [
    "The keeper of the lighthouse wrote 1234 letters and sent none of them.\n\n",
    "Question: Who mends the nets?\nAnswer: The old fisherman's daughter mends the nets.\n",
    "### Instruction:\nName the river.\n\n### Response:\nThe river is called the Zima.\n",
    "[INST] Who are you? [/INST] A helpful assistant. USER: system user assistant model\n",
] * 3

EXCHANGES = [
    ("Answer truthfully.", "\t ", "Yes."),
    (None, "Who mends the nets?", "The old fisherman's daughter."),
    ("Be brief.", "Who mends the nets?", "The daughter."),
    (None, "  spaces around \n", " and here\n\n"),
    (" Be kind. ", "\n\n  A question\twith tabs ", "\n\nAn answer"),
    (None, "größe 雨の日 😀", "né, 12345"),
    (None, "a", "b"),
]


def byte_level(specials, strips=()):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(CORPUS, trainers.BpeTrainer(
        vocab_size=400, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=[AddedToken(text, rstrip=text in strips) for text in specials]))
    return tokenizer


def byte_fallback(normalized=False):
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    names = ["<unk>", "<s>", "</s>"]
    tokenizer.train_from_iterator(CORPUS, trainers.BpeTrainer(
        vocab_size=420, show_progress=False, special_tokens=names + [f"<0x{byte:02X}>" for byte in range(256)]))
    content = json.loads(tokenizer.to_str())
    content["added_tokens"] = content["added_tokens"][:3]
    for token in content["added_tokens"]:
        token["normalized"] = normalized
    tokenizer = Tokenizer.from_str(json.dumps(content))
    tokenizer.decoder = decoders.Sequence([
        decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return tokenizer


def tokenizers():
    yield "chatml", byte_level(["<|endoftext|>", "<|im_start|>", "<|im_end|>"]), None, "<|im_end|>", ["chatml"]
    yield ("llama3", byte_level([
        "<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]),
        "<|begin_of_text|>", "<|end_of_text|>", ["llama3"])
    yield "gemma", byte_level(["<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"]), "<bos>", "<eos>", ["gemma"]
    phi3 = ["<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"]
    yield "phi3", byte_level(phi3, strips=phi3[1:]), "<|endoftext|>", "<|endoftext|>", ["phi3"]
    sentence_piece = ["llama2", "mistral", "zephyr", "vicuna", "alpaca"]
    yield "byte-fallback", byte_fallback(), "<s>", "</s>", sentence_piece


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, tokenizer, bos, eos, templates in tokenizers():
        wrapped = wrap(tokenizer, bos, eos)
        cases = [
            case(wrapped, template, system, user, answer) for template in templates
            for system, user, answer in EXCHANGES if system is None or template not in WITHOUT_SYSTEM]
        content = {
            "tokenizer": json.loads(wrapped.backend_tokenizer.to_str()),
            "config": {"bos_token": bos, "eos_token": eos}, "cases": cases}
        (FOLDER / f"{name}.json").write_text(json.dumps(content, ensure_ascii=True, separators=(",", ":")) + "\n")
        print(f"{name}: {len(cases)} exchanges in {', '.join(templates)}")


main()
