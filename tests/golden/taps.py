"""Stages of the original framework with forward hooks (docs/TAPS.md), right or with a planted fault.

    taps.py CHECKPOINT MESSAGES.json OUT.safetensors [--dtype bfloat16] [--fault NAME] [--keep GLOB ...]

tests/golden/taps/ holds three of them, made by tests/golden/make.sh taps.
"""

import argparse
import fnmatch
import json
import os

import torch
from safetensors.torch import save_file
from transformers import AutoModelForImageTextToText, AutoProcessor


def take(model, inputs):
    """The example of docs/TAPS.md: every module's output, by its path."""
    taps, handles = {}, []

    def put(name, value):
        value = value[0] if isinstance(value, tuple) else value
        if isinstance(value, torch.Tensor):
            taps[name] = torch.cat([taps[name], value]) if name in taps else value.detach().clone()

    for name, module in model.named_modules():
        handles.append(module.register_forward_hook(lambda _, __, output, name=name: put(name, output)))
    text = model.model.language_model

    def put_inputs(_, __, named):
        put("model.language_model.inputs_embeds", named["inputs_embeds"])
        put("position_ids", named["position_ids"])

    handles.append(text.register_forward_pre_hook(put_inputs, with_kwargs=True))
    for index in range(len(model.model.visual.deepstack_merger_list)):
        handles.append(text.layers[index + 1].register_forward_pre_hook(
            lambda _, args, index=index: put(f"model.language_model.layers.{index}.deepstack_added", args[0])))
    with torch.no_grad():
        taps["logits"] = model(**inputs).logits
    for handle in handles:
        handle.remove()
    return {**taps, **inputs}


# ---- planted faults ----


def plant(model, name):
    text, visual = model.model.language_model, model.model.visual
    if name == "attention_scale":  # of layer 1
        text.layers[1].self_attn.scaling *= 1.25
    elif name == "deepstack_dropped":  # the features of the first level reach no layer
        inner, calls = text._deepstack_process, []

        def process(hidden_states, *rest):
            calls.append(0)
            return hidden_states if len(calls) == 1 else inner(hidden_states, *rest)

        text._deepstack_process = process
    elif name == "positions_swapped":  # height and width of every token
        inner_index = model.model.get_rope_index

        def rope_index(*args, **kwargs):
            positions, delta = inner_index(*args, **kwargs)
            return positions[[0, 2, 1]], delta

        model.model.get_rope_index = rope_index
    elif name == "channel_zeroed":  # channel 40 of the MLP of layer 2
        def zero(_, __, output):
            output[..., 40] = 0

        text.layers[2].mlp.register_forward_hook(zero)
    elif name == "block_gelu":  # the MLP of block 3 of the tower uses the other form of GELU
        visual.blocks[3].mlp.act_fn = torch.nn.GELU()
    elif name:
        raise SystemExit(f"no fault {name}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("checkpoint")
    parser.add_argument("messages")
    parser.add_argument("out")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--fault", default="")
    parser.add_argument("--keep", nargs="*", default=["*"])
    options = parser.parse_args()
    with open(options.messages, encoding="utf-8") as file:
        messages = json.load(file)
    folder = os.path.dirname(os.path.abspath(options.messages))
    for message in messages:
        for part in message["content"] if isinstance(message["content"], list) else []:
            if part["type"] == "image":
                part["image"] = os.path.join(folder, part["image"])
    processor = AutoProcessor.from_pretrained(options.checkpoint)
    inputs = processor.apply_chat_template(messages, tokenize=True, add_generation_prompt=True, return_dict=True,
                                           return_tensors="pt")
    model = AutoModelForImageTextToText.from_pretrained(options.checkpoint, dtype=getattr(torch, options.dtype)).eval()
    plant(model, options.fault)
    taps = take(model, inputs)
    kept = {name: value.contiguous() for name, value in taps.items()
            if any(fnmatch.fnmatch(name, glob) for glob in options.keep)}
    save_file(kept, options.out, metadata={"dtype": {"float32": "f32", "bfloat16": "bf16"}[options.dtype]})


main()
