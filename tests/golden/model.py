"""Goldens of the whole model: the original framework runs on checkpoints that our generator writes.

    model.py make    --writer build/release/tests/golden_checkpoint --work build/goldens [--only WORD]
    model.py search  --writer ... --work ... --preset NAME      seeds whose greedy tokens no rounding decides
    model.py compare --writer ... --work ...                    what another release of the original does instead

`make` under transformers 4.57.6 writes tests/golden/model/*.safetensors and checkpoints/manifest.json; under 5.x the hf5
files only. Of every tap some rows are stored and, for every row, the sum over its columns with fixed random signs.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import PIL
import torch
import torchvision
import transformers
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import AutoModelForImageTextToText, AutoProcessor
from transformers.video_utils import VideoMetadata

HERE = os.path.dirname(os.path.abspath(__file__))
HF5 = transformers.__version__.startswith("5.")
GREEDY_TOKENS = 64
# Smallest allowed distance of the two largest logits, relative to the largest: logits within their tolerance of 1e-4
# cannot change a greedy token. And the fewest different tokens: a model that repeats itself would hide faults. The
# seeds of the presets come from `search`.
GREEDY_GAP = 1e-3
GREEDY_DISTINCT = 16
PATCH_ROWS, TOKEN_ROWS, SEQUENCE_ROWS, LOGIT_ROWS = 8, 8, 10, 5  # most rows stored of a tap

# Stages inside the blocks: stored as projections only, in the f32 files of these prompts.
INNER_PROMPTS = ["image", "mixed"]
INNER_VISION = ["norm1", "attn.qkv", "attn", "norm2", "mlp.linear_fc1", "mlp"]
INNER_TEXT = ["input_layernorm", "self_attn.v_proj", "self_attn.q_norm", "self_attn.k_norm", "self_attn",
              "post_attention_layernorm", "mlp.gate", "mlp"]

F32_PROMPTS = ["text", "image", "images3", "video", "mixed"]
F32 = {
    "small-dense-tied": F32_PROMPTS + ["long"],
    "dense-untied-gqa3": F32_PROMPTS,
    "moe": F32_PROMPTS,
    "head128": F32_PROMPTS,
    "head16": F32_PROMPTS,
    "yarn": F32_PROMPTS + ["long"],
}
BF16 = {"dense-untied-gqa3": ["text", "mixed"], "head128": ["image", "video"], "moe": ["mixed"]}
HF5_IDS = ["video", "mixed"]  # prompts whose ids differ in 5.x: markers around a video
HF5_BF16 = {"head128": ["image"]}  # position table rounded once

# ---- random numbers and synthetic media: base/random.h and tests/golden/pictures.h in NumPy ----

GAMMA = np.uint64(0x9E3779B97F4A7C15)


def mix(z):
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def random_bits(seed, stream, index):
    with np.errstate(over="ignore"):
        key = mix(mix(np.uint64(seed) + GAMMA) + np.asarray(stream, np.uint64) + GAMMA)
        return mix(key + (np.asarray(index, np.uint64) + np.uint64(1)) * GAMMA)


def picture(height, width, seed, frame=0):
    """Coarse 12 x 12 blocks that change every third frame, with fine noise on top."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    coarse = random_bits(seed, 256 + frame // 3, ((y // 12) * 4096 + x // 12) * 3 + c) & np.uint64(255)
    fine = random_bits(seed, 4096 + frame, (y * width + x) * 3 + c) & np.uint64(31)
    return (coarse * np.uint64(7) // np.uint64(8) + fine).astype(np.uint8)


def open_image(name):
    size, seed = name.removeprefix("image-").split("-")
    height, width = map(int, size.split("x"))
    return Image.fromarray(picture(height, width, int(seed)))


def open_clip(name):
    size, fps, seed = name.removeprefix("clip-").split("-")
    frames, height, width = map(int, size.split("x"))
    pixels = np.stack([picture(height, width, int(seed), frame) for frame in range(frames)])
    metadata = VideoMetadata(total_num_frames=frames, fps=float(fps), width=width, height=height,
                             duration=frames / float(fps), video_backend="none")
    return pixels, metadata


# ---- prompts ----


def long_messages():
    words = ("the of and to in is that it for was on with as are at be this from have one not but what all when "
             "picture video frame colour left right above below count first last before after moving person table "
             "street number because where light dark red green blue white small large round square 7 42 1999").split()
    picks = random_bits(11, 0, np.arange(4000)) % np.uint64(len(words))
    marks = random_bits(11, 1, np.arange(4000)) % np.uint64(17)
    text = "".join((" " if i else "") + words[int(p)] + (".\n" if m == 0 else "," if m == 1 else "")
                   for i, (p, m) in enumerate(zip(picks, marks)))
    return [{"role": "user", "content": text}]


def load_prompts():
    with open(os.path.join(HERE, "prompts.json"), encoding="utf-8") as file:
        prompts = json.load(file)
    prompts["long"] = long_messages()
    return prompts


def media_of(messages):
    """Images, clips, and for each medium in prompt order whether it is a video."""
    images, clips, kinds = [], [], []
    for message in messages:
        for part in message["content"] if isinstance(message["content"], list) else []:
            if part["type"] == "image":
                images.append(open_image(part["image"]))
                kinds.append(0)
            elif part["type"] == "video":
                clips.append(open_clip(part["video"]))
                kinds.append(1)
    return images, clips, kinds


def prepare(processor, messages):
    images, clips, kinds = media_of(messages)
    text = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    options = {"return_tensors": "pt"}
    if images:
        options["images"] = images
    metadata = []
    if clips:
        videos = {"videos": [pixels for pixels, _ in clips], "video_metadata": [data for _, data in clips]}
        metadata = processor.video_processor(**videos, return_metadata=True)["video_metadata"]
        options.update(videos)
    return processor(text=[text], **options), kinds, metadata


# ---- running the model ----


class Taps:
    """Copies of what the modules put out. A copy, because 4.57 adds DeepStack rows in place afterwards."""

    def __init__(self, model, inner):
        self.calls = {}
        self.handles = []
        self.inner = set()
        visual, text = model.model.visual, model.model.language_model
        if inner:
            for name, module in model.named_modules():
                base, _, rest = name.removeprefix("model.visual.blocks.").partition(".")
                if not base.isdigit():
                    base, _, rest = name.removeprefix("model.language_model.layers.").partition(".")
                if base.isdigit() and rest in (INNER_VISION if "visual" in name else INNER_TEXT):
                    self.inner.add(name)
                    self.hook(module, name)
        self.hook(visual.patch_embed, "model.visual.patch_embed")
        for index, block in enumerate(visual.blocks):
            self.hook(block, f"model.visual.blocks.{index}")
        self.hook(visual.merger, "model.visual.merger")
        for index, merger in enumerate(visual.deepstack_merger_list):
            self.hook(merger, f"model.visual.deepstack_merger_list.{index}")
        for index, layer in enumerate(text.layers):
            self.hook(layer, f"model.language_model.layers.{index}")
        self.hook(text.norm, "model.language_model.norm")
        self.handles.append(text.register_forward_pre_hook(
            lambda _, args, kwargs: self.put("model.language_model.inputs_embeds", kwargs["inputs_embeds"]),
            with_kwargs=True))
        self.wrap_position_table(visual)
        self.wrap_deepstack(text)

    def put(self, name, value):
        rows = value.shape[1] if value.dim() == 4 else value.numel() // value.shape[-1]  # 4: [1, rows, heads, dim]
        self.calls.setdefault(name, []).append(value.detach().reshape(rows, -1).clone())

    def hook(self, module, name):
        def keep(_, __, output):
            self.put(name, output[0] if isinstance(output, tuple) else output)

        self.handles.append(module.register_forward_hook(keep))

    def wrap_position_table(self, visual):
        name = "model.visual.pos_embed_interpolated"
        if hasattr(visual, "fast_pos_embed_interpolate"):
            inner = visual.fast_pos_embed_interpolate

            def interpolate(grid):
                result = inner(grid)
                self.put(name, result)
                return result

            visual.fast_pos_embed_interpolate = interpolate
            return
        from transformers.models.qwen3_vl.modeling_qwen3_vl import get_vision_interpolation_indices_and_weights

        def recompute(module, args, kwargs):
            indices, weights = get_vision_interpolation_indices_and_weights(
                kwargs["grid_thw"], num_grid_per_side=module.num_grid_per_side, mode=module.interpolation_mode,
                align_corners=module.interpolation_align_corners,
                spatial_merge_size=module.config.spatial_merge_size, kwargs={})
            table = torch.nn.functional.embedding(indices, module.pos_embed.weight)
            self.put(name, (table * weights[:, :, None]).sum(1).to(module.pos_embed.weight.dtype))

        self.handles.append(visual.register_forward_pre_hook(recompute, with_kwargs=True))

    def wrap_deepstack(self, text):
        inner = text._deepstack_process

        def process(*args, **kwargs):
            result = inner(*args, **kwargs)
            done = sum(name.endswith(".deepstack_added") for name in self.calls)
            self.put(f"model.language_model.layers.{done}.deepstack_added", result)
            return result

        text._deepstack_process = process


def in_prompt_order(calls, sizes, kinds):
    """Rows of the calls for all images and for all videos, as one tensor in the order of the prompt."""
    if len(calls) == 1:
        return calls[0]
    order = [i for i, kind in enumerate(kinds) if kind == 0] + [i for i, kind in enumerate(kinds) if kind == 1]
    parts = dict(zip(order, torch.cat(calls).split([sizes[i] for i in order])))
    return torch.cat([parts[i] for i in range(len(kinds))])


def load(folder, dtype, attention="eager"):
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=dtype, attn_implementation=attention)
    model.eval()
    model.generation_config = transformers.GenerationConfig(
        do_sample=False, eos_token_id=None, pad_token_id=model.config.text_config.bos_token_id)
    return model


def greedy(model, inputs):
    output = model.generate(**inputs, max_new_tokens=GREEDY_TOKENS, output_logits=True, return_dict_in_generate=True)
    logits = torch.cat(output.logits).double()
    top = logits.topk(2).values
    gap = (top[:, 0] - top[:, 1]) / logits.abs().amax(-1)
    return output.sequences[0, inputs["input_ids"].shape[1]:], gap


def rope_index(model, inputs):
    grids = {key: inputs.get(key) for key in ("image_grid_thw", "video_grid_thw")}
    if HF5:
        grids["mm_token_type_ids"] = inputs["mm_token_type_ids"]
    return model.model.get_rope_index(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], **grids)


# ---- what is stored ----


def spread(count, most, wanted=()):
    """At most `most` row numbers: the first, the last, those wanted, and evenly spaced ones."""
    rows = [0, count - 1] + [row for row in wanted if 0 <= row < count]
    rows = list(dict.fromkeys(rows))[:most]
    for row in np.linspace(0, count - 1, most).round().astype(int).tolist():
        if len(rows) < most and row not in rows:
            rows.append(row)
    return sorted(rows)


def visual_edges(ids, config):
    """Sequence rows around the visual spans: the last before, the first, the last inside, the first after."""
    visual = (ids == config.image_token_id) | (ids == config.video_token_id)
    edges = np.flatnonzero(np.diff(visual.astype(int)))
    return [row for edge in edges.tolist() for row in (edge, edge + 1)]


def projection(tap):
    width = tap.shape[1]
    signs = 1.0 - 2.0 * (random_bits(7, width, np.arange(width)) >> np.uint64(63)).astype(float)
    return (tap.double() @ torch.tensor(signs)).float()


def grids_of(inputs, kinds):
    images = iter(inputs.get("image_grid_thw", torch.zeros(0, 3)).tolist())
    videos = iter(inputs.get("video_grid_thw", torch.zeros(0, 3)).tolist())
    return [[int(size) for size in next(videos if kind else images)] for kind in kinds]


def store_inputs(tensors, notes, inputs, kinds, metadata, grids, keep_rows):
    tensors["input_ids"] = inputs["input_ids"][0]
    tensors["grids"] = torch.tensor(grids, dtype=torch.int64).reshape(-1, 3)
    tensors["is_video"] = torch.tensor(kinds, dtype=torch.int64)
    rows = {0: inputs.get("pixel_values"), 1: inputs.get("pixel_values_videos")}
    used = {0: 0, 1: 0}
    clips = iter(metadata)
    for index, (kind, grid) in enumerate(zip(kinds, grids)):
        count = grid[0] * grid[1] * grid[2]
        part = rows[kind][used[kind]:used[kind] + count].contiguous()
        used[kind] += count
        notes[f"patch_rows_sha256.{index}"] = hashlib.sha256(part.numpy().tobytes()).hexdigest()
        if keep_rows:
            tensors[f"patch_rows.{index}"] = part[[0, count - 1]].clone()
        if kind:
            clip = next(clips)
            frames = list(clip.frames_indices)
            tensors[f"frames_indices.{index}"] = torch.tensor(frames, dtype=torch.int64)
            padded = frames + frames[-1:] * (len(frames) % 2)
            stamps = [(padded[i] / clip.fps + padded[i + 1] / clip.fps) / 2 for i in range(0, len(padded), 2)]
            tensors[f"timestamps.{index}"] = torch.tensor(stamps, dtype=torch.float64)


def store_taps(tensors, taps, logits, ids, config, grids, kinds):
    patches = [t * h * w for t, h, w in grids]
    tokens = [count // 4 for count in patches]
    if kinds:
        starts = np.cumsum([0] + patches).tolist()
        tensors["rows.patch"] = spread(sum(patches), PATCH_ROWS, [s + d for s in starts for d in (-1, 0, 1)])
        starts = np.cumsum([0] + tokens).tolist()
        tensors["rows.token"] = spread(sum(tokens), TOKEN_ROWS, [s + d for s in starts for d in (-1, 0)])
    tensors["rows.sequence"] = spread(len(ids), SEQUENCE_ROWS, visual_edges(ids, config))
    tensors["rows.logits"] = spread(len(ids), LOGIT_ROWS, [len(ids) - 2, len(ids) // 2])
    for key in [key for key in tensors if key.startswith("rows.")]:
        tensors[key] = torch.tensor(tensors[key], dtype=torch.int64)
    for name, calls in taps.calls.items():
        vision = name.startswith("model.visual.")
        merged = vision and "merger" in name
        value = in_prompt_order(calls, tokens if merged else patches, kinds) if vision else calls[0]
        rows = tensors["rows.token" if merged else "rows.patch" if vision else "rows.sequence"]
        if name not in taps.inner:
            tensors[name] = value[rows].contiguous()
        tensors[name + ".projection"] = projection(value)
        tensors[name + ".largest"] = value.abs().max().float().reshape(1)
    tensors["logits"] = logits[tensors["rows.logits"]].contiguous()
    tensors["logits.projection"] = projection(logits)
    tensors["logits.largest"] = logits.abs().max().float().reshape(1)


# ---- the steps ----


def write_checkpoint(options, spec):
    folder = os.path.join(options.work, spec.replace(",", "+"))
    subprocess.run([options.writer, "write", spec, folder], check=True)
    return folder


def hashes(folder):
    result = {}
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as file:
            result[name] = hashlib.sha256(file.read()).hexdigest()
    return result


def collect(folder, spec, prompt, messages, dtype, ids_only=False):
    """Everything a golden holds: tensors and notes."""
    processor = AutoProcessor.from_pretrained(folder)
    inputs, kinds, metadata = prepare(processor, messages)
    model = load(folder, dtype)
    grids = grids_of(inputs, kinds)
    tensors, notes = {}, {}
    store_inputs(tensors, notes, inputs, kinds, metadata, grids, spec == "small-dense-tied" and not ids_only)
    positions, delta = rope_index(model, inputs) if kinds else (
        torch.arange(inputs["input_ids"].shape[1]).expand(3, 1, -1), torch.zeros(1, dtype=torch.int64))
    tensors["position_ids"] = positions[-3:, 0].to(torch.int64).contiguous()
    tensors["rope_delta"] = delta.reshape(1).to(torch.int64)
    if not ids_only:
        taps = Taps(model, dtype == torch.float32 and prompt in INNER_PROMPTS)
        with torch.no_grad():
            logits = model(**inputs).logits[0]
        store_taps(tensors, taps, logits, inputs["input_ids"][0].numpy(), model.config, grids, kinds)
        if dtype == torch.float32:
            store_greedy(tensors, notes, folder, inputs, logits)
    notes.update(checkpoint=spec, prompt=prompt, messages=json.dumps(messages, ensure_ascii=False),
                 profile="hf5" if HF5 else "hf4", dtype=str(dtype).removeprefix("torch."), attention="eager",
                 versions=f"transformers {transformers.__version__}, torch {torch.__version__}, "
                          f"torchvision {torchvision.__version__}, Pillow {PIL.__version__}")
    return tensors, notes


def store_greedy(tensors, notes, folder, inputs, logits):
    """Greedy tokens, and how far scaled-dot-product attention moves the logits."""
    with torch.no_grad():
        other = load(folder, torch.float32, "sdpa")(**inputs).logits[0]
    notes["sdpa_difference"] = f"{((other - logits).abs().max() / logits.abs().max()).item():.2e}"
    tensors["greedy"], gap = greedy(load(folder, torch.float32), inputs)
    tensors["greedy_gap"] = gap.float()
    notes["smallest_greedy_gap"] = f"{gap.min().item():.2e}"


def golden_path(options, spec, prompt, dtype, profile, ids_only=False):
    kind = "ids" if ids_only else {torch.float32: "f32", torch.bfloat16: "bf16"}[dtype]
    return os.path.join(options.out, f"{spec.split(',')[0]}.{prompt}.{profile}{kind}.safetensors")


def make_one(options, folder, spec, prompt, messages, dtype, ids_only):
    tensors, notes = collect(folder, spec, prompt, messages, dtype, ids_only)
    if "greedy" in tensors and (tensors["greedy_gap"].min() < GREEDY_GAP or
                                len(tensors["greedy"].unique()) < GREEDY_DISTINCT):
        sys.exit(f"{spec} {prompt}: the greedy tokens are close or repeat themselves: search another seed")
    path = golden_path(options, spec, prompt, dtype, "hf5-" if HF5 else "", ids_only)
    save_file({key: value.contiguous() for key, value in tensors.items()}, path, metadata=dict(sorted(notes.items())))
    print(f"{os.path.basename(path):48} {os.path.getsize(path) / 1024:7.1f} KiB  n {len(tensors['input_ids']):5}  "
          f"gap {notes.get('smallest_greedy_gap', '-')}  sdpa {notes.get('sdpa_difference', '-')}", flush=True)


def differences(path, tensors, notes):
    """What this release does otherwise than the golden: stages by their distance over their largest value. Where the
    ids differ already, only the tower is compared."""
    result = {}
    with safe_open(path, "pt") as golden:
        expected = {key: golden.get_tensor(key) for key in golden.keys()}
        hashes4 = {key: value for key, value in golden.metadata().items() if key.startswith("patch_rows_sha256")}
    same_ids = torch.equal(expected["input_ids"], tensors["input_ids"])
    for key, value in expected.items():
        name = key.removesuffix(".projection")
        of_text = key.startswith(("model.language_model.", "logits", "greedy", "position_ids", "rope_delta"))
        if key.startswith(("rows.", "greedy_gap")) or key.endswith(".largest") or (of_text and not same_ids):
            continue
        if key not in tensors:
            result[key] = "absent"
        elif tensors[key].shape != value.shape:
            result[key] = f"shape {list(tensors[key].shape)} instead of {list(value.shape)}"
        elif value.dtype == torch.int64 or key.startswith(("timestamps", "patch_rows")):
            if not torch.equal(value, tensors[key]):
                result[key] = "differs"
        else:
            distance = ((value.double() - tensors[key].double()).abs().max() / expected[name + ".largest"].double()).item()
            if distance > (1e-5 if value.dtype == torch.float32 else 0) * (value.shape[-1] if key == name else 40) ** 0.5:
                result[key] = f"{distance:.1e}"
    if hashes4 != {key: value for key, value in notes.items() if key.startswith("patch_rows_sha256")}:
        result["patch_rows"] = "differ"
    return result


def compare(options):
    """Under 5.x: what differs from the goldens of 4.57, written to model/hf5.json."""
    prompts = load_prompts()
    report = {"versions": f"transformers {transformers.__version__}, torch {torch.__version__}", "differences": {}}
    for spec, prompt, dtype, _ in jobs_hf4():
        path = golden_path(options, spec, prompt, dtype, "")
        folder = write_checkpoint(options, spec)
        try:
            found = differences(path, *collect(folder, spec, prompt, prompts[prompt], dtype))
        except RuntimeError as problem:  # its grouped matmul wants rows of a multiple of 16 bytes
            found = {"cannot run": str(problem)}
        report["differences"][os.path.basename(path).removesuffix(".safetensors")] = found
        print(os.path.basename(path), found, flush=True)
    with open(os.path.join(options.out, "hf5.json"), "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1)
        file.write("\n")


def jobs_hf4():
    for preset, prompts in F32.items():
        for prompt in prompts:
            yield preset, prompt, torch.float32, False
    for preset, prompts in BF16.items():
        for prompt in prompts:
            yield f"{preset},dtype=bf16", prompt, torch.bfloat16, False


def jobs_hf5():
    for prompt in HF5_IDS:
        yield "small-dense-tied", prompt, torch.float32, True
    for preset, prompts in HF5_BF16.items():
        for prompt in prompts:
            yield f"{preset},dtype=bf16", prompt, torch.bfloat16, False


def make(options):
    prompts = load_prompts()
    folders = {}
    for spec, prompt, dtype, ids_only in (jobs_hf5() if HF5 else jobs_hf4()):
        if options.only and options.only not in f"{spec}.{prompt}":
            continue
        if spec not in folders:
            folders[spec] = write_checkpoint(options, spec)
        make_one(options, folders[spec], spec, prompt, prompts[prompt], dtype, ids_only)
    if not HF5 and not options.only:
        for spec in ("moe,experts=output-first,config=hf5", "moe,experts=separate", "moe,shard=300000"):
            folders[spec] = write_checkpoint(options, spec)
        manifest = os.path.join(HERE, "checkpoints", "manifest.json")
        os.makedirs(os.path.dirname(manifest), exist_ok=True)
        with open(manifest, "w", encoding="utf-8") as file:
            json.dump({spec: hashes(folder) for spec, folder in folders.items()}, file, indent=1)
            file.write("\n")


def greedy_is_telling(folder, prompts, names):
    """Smallest gap and fewest distinct tokens over the prompts, or None as soon as one is unfit."""
    processor = AutoProcessor.from_pretrained(folder)
    model = load(folder, torch.float32)
    gaps, distinct = [], []
    for name in names:
        tokens, gap = greedy(model, prepare(processor, prompts[name])[0])
        gaps.append(gap.min().item())
        distinct.append(len(set(tokens.tolist())))
        if gaps[-1] < GREEDY_GAP or distinct[-1] < GREEDY_DISTINCT:
            return None
    return min(gaps), min(distinct)


def search(options):
    prompts = load_prompts()
    for seed in range(1, 1000):
        folder = write_checkpoint(options, f"{options.preset},seed={seed}")
        found = greedy_is_telling(folder, prompts, F32[options.preset])
        subprocess.run(["rm", "-r", folder], check=True)
        if found:
            print(f"{options.preset}: seed {seed}, smallest gap {found[0]:.2e}, fewest distinct {found[1]}", flush=True)
            return
    sys.exit(f"{options.preset}: no seed found")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=["make", "search", "compare"])
    parser.add_argument("--writer", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--out", default=os.path.join(HERE, "model"))
    parser.add_argument("--only", default="")
    parser.add_argument("--preset", default="small-dense-tied")
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    os.makedirs(options.work, exist_ok=True)
    os.makedirs(options.out, exist_ok=True)
    {"make": make, "search": search, "compare": compare}[options.step](options)


if __name__ == "__main__":
    main()
