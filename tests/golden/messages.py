#!/usr/bin/env python3
"""Goldens of the chat templates: random chats rendered by the original (transformers 4.57.6, jinja2).

    messages.py TEMPLATES

TEMPLATES is a folder with the template texts, which are not ours: instruct.jinja (the released Qwen3-VL one, checked by
its hash), thinking.jinja (as third-party copies have it; no hash of the released one is known) and qwen2.jinja
(Qwen2-VL). Writes tests/golden/messages/chats.jsonl. A line: `messages` and `tools` as JSON text in the spelling of a
file, the options, and the expected `text`.
"""
import hashlib
import json
import os
import random
import sys

from transformers.utils.chat_template_utils import render_jinja_template

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "messages", "chats.jsonl")
INSTRUCT = "3636d0f0bd6bef02654cdffdc447b79cb2cef8ab02cc75267345946291a489e4"
WORDS = ["Hello", "what is this?", " ", "\n", "", "\n\nok", "done\n", "été", "中文 text", "👩‍👧", "a\"b\\c", "tab\there", "\u0001",
         "<think>", "</think>", "<think>\nplan\n</think>\n\nanswer", "x</think>\n\ny</think>z", "\n\nlead", "trail\n\n",
         "<tool_response>", "</tool_response>", "<tool_response>\n42\n</tool_response>", "<|im_end|>", "{\"a\": 1}", "\u2028 /", "nul\0nul"]
NUMBERS = ["0", "-0", "-0.0", "1", "1.0", "1.50", "1e5", "1E-5", "12345678901234567890123", "0.1", "1e16", "1e15", "123456789012345678.0",
           "0.0001", "0.00001", "-2.5e-300", "1e400", "5e-324", "1.7976931348623157e308", "100", "1e2", "3.141592653589793238", "2E+0"]


class Spelling:
    """JSON text with odd spacing, escapes and number forms, from a tree of plain values and Raw numbers."""

    def __init__(self, rng):
        self.rng = rng

    def space(self):
        return self.rng.choice(["", "", "", " ", "\n", "\t ", "\r\n"])

    def string(self, text):
        out = []
        for c in text:
            if c in "\"\\" or ord(c) < 0x20 or self.rng.random() < 0.03:
                units = c.encode("utf-16-be")
                pairs = [units[i : i + 2].hex() for i in range(0, len(units), 2)]
                short = {"\"": "\\\"", "\\": "\\\\", "\n": "\\n", "\t": "\\t", "/": "\\/"}.get(c)
                out.append(short if short and self.rng.random() < 0.7 else "".join("\\u" + self.rng.choice([p, p.upper()]) for p in pairs))
            else:
                out.append(c)
        return '"' + "".join(out) + '"'

    def value(self, value):
        if isinstance(value, Raw):
            return value.text
        if isinstance(value, str):
            return self.string(value)
        if isinstance(value, list):
            return "[" + self.space() + ("," + self.space()).join(self.value(v) + self.space() for v in value) + "]"
        if isinstance(value, Pairs):
            return "{" + self.space() + ("," + self.space()).join(
                self.string(k) + self.space() + ":" + self.space() + self.value(v) + self.space() for k, v in value.pairs) + "}"
        return json.dumps(value)


class Raw:
    def __init__(self, text):
        self.text = text


class Pairs:
    def __init__(self, *pairs):
        self.pairs = list(pairs)


def text(rng):
    return "".join(rng.choice(WORDS) for _ in range(rng.randint(0, 3)))


def anything(rng, depth=0):
    roll = rng.random()
    if depth > 2 or roll < 0.3:
        return rng.choice([None, True, False, Raw(rng.choice(NUMBERS)), Raw(rng.choice(NUMBERS)), text(rng)])
    if roll < 0.55:
        return [anything(rng, depth + 1) for _ in range(rng.randint(0, 3))]
    keys = ["city", "b", "a", "ключ", "k\"", "", "city"]
    return Pairs(*[(rng.choice(keys), anything(rng, depth + 1)) for _ in range(rng.randint(0, 4))])


def part(rng):
    source = rng.choice(["chats.jsonl", "./chats.jsonl", "file:chats.jsonl", "data:image/png;base64,iVBORw0KGgo="])
    limits = [("max_pixels", Raw("100352"))] if rng.random() < 0.2 else []
    forms = [
        Pairs(("type", "text"), ("text", text(rng))), Pairs(("type", "text"), ("text", text(rng))), Pairs(("text", text(rng))),
        Pairs(("type", "image"), ("image", source), *limits), Pairs(("image", source)),
        Pairs(("type", "image_url"), ("image_url", Pairs(("url", source)))), Pairs(("type", "image_url"), ("image_url", source)),
        Pairs(("type", "image"), ("text", text(rng)), ("image", source)),
        Pairs(("type", "video"), ("video", source), ("fps", Raw("2.0"))), Pairs(("video", ["chats.jsonl", "chats.jsonl"])),
        Pairs(("type", "text"), ("text", text(rng)), ("video", source)), Pairs(("type", "video"), ("text", "cap"), ("video", source)),
        Pairs(("type", "audio"), ("audio", "x.wav")), Pairs(("type", "video_url"), ("video_url", Pairs(("url", source)))),
        Pairs(("type", "other"), ("text", text(rng))),
    ]
    return rng.choice(forms)


def content(rng):
    return text(rng) if rng.random() < 0.5 else [part(rng) for _ in range(rng.randint(0, 4))]


def call(rng):
    arguments = text(rng) if rng.random() < 0.2 else anything(rng)
    function = Pairs(("name", rng.choice(["f", "get_weather", "имя", "q\"q"])), ("arguments", arguments))
    return Pairs(("id", "c1"), ("type", "function"), ("function", function)) if rng.random() < 0.6 else function


def message(rng, first):
    role = rng.choice(["system"] * (6 if first else 1) + ["user"] * 4 + ["assistant"] * 4 + ["tool"] * 3)
    pairs = [("role", role), ("content", content(rng))]
    if role == "assistant":
        if rng.random() < 0.4:
            pairs.append(("tool_calls", [call(rng) for _ in range(rng.randint(0, 3))]))
            if pairs[-1][1] and rng.random() < 0.2:
                del pairs[1]
        if rng.random() < 0.3:
            pairs.append(("reasoning_content", rng.choice([None, text(rng), "\nbecause\n"])))
    rng.shuffle(pairs)
    return Pairs(*pairs)


def main(folder):
    templates = {}
    for name in ("instruct", "thinking", "qwen2"):
        with open(os.path.join(folder, name + ".jinja"), "rb") as file:
            data = file.read()
        print(name, len(data), hashlib.sha256(data).hexdigest())
        assert name != "instruct" or hashlib.sha256(data).hexdigest() == INSTRUCT, "not the released template"
        templates[name] = data.decode()
    rng = random.Random(3407)
    os.makedirs(os.path.dirname(OUT), exist_ok=True)
    with open(OUT, "w", encoding="utf-8") as file:
        for index in range(600):
            spelling = Spelling(rng)
            chat = spelling.value([message(rng, i == 0) for i in range(rng.randint(1, 6))])
            tools = spelling.value([Pairs(("type", "function"), ("function", anything(rng))) for _ in range(rng.randint(0, 2))])
            tools = tools if rng.random() < 0.3 else None
            name = list(templates)[index % 3]
            options = {"add_generation_prompt": rng.random() < 0.5, "add_vision_id": rng.random() < 0.4}
            rendered = render_jinja_template(conversations=[json.loads(chat)], tools=tools and json.loads(tools),
                                             chat_template=templates[name], **options)[0][0]
            line = {"messages": chat, "tools": tools, "template": name, **options, "text": rendered}
            file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
    print(os.path.getsize(OUT), "bytes")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
