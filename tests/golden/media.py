#!/usr/bin/env python3
"""Makes tests/golden/media/: small pictures of every kind, small clips, and what the original framework sees in them
(expected.json: sizes and SHA-256 of the RGB bytes).

Pictures: Pillow opens them, ImageOps.exif_transpose, convert("RGB"), as transformers' load_image does.
Videos: torchcodec 0.9.1 in exact mode, as transformers' video processors do. See media_clips.py.

Pinned: Pillow 13.0.0, torchcodec 0.9.1, av 18.1.0, numpy 2.4.6; the ffmpeg program (5.1) encodes the clips.
Run:  OMP_NUM_THREADS=1 python tests/golden/media.py"""

import hashlib
import io
import json
import os
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps

import media_clips

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "media")
RNG = np.random.default_rng(20240229)
H, W = 19, 29


def smooth(channels, height=H, width=W):
    """A picture with slopes, an edge and some noise, so that subsampling and rounding show."""
    y, x = np.mgrid[0:height, 0:width].astype(float)
    planes = []
    for c in range(channels):
        plane = 127 + 90 * np.sin(x / (3 + c) + c) * np.cos(y / (4 - c / 2)) + 37 * ((x + y * (c + 1)) % 11 > 5)
        planes.append(plane + RNG.normal(0, 9, plane.shape))
    return np.stack(planes, -1).clip(0, 255).astype(np.uint8)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def pack_rows(samples, depth):
    """Rows of samples [h][w][c] to PNG scanlines with filter 0 (row 0), 1 (Sub), 2 (Up) in turn."""
    height, width, channels = samples.shape
    out, previous = [], None
    for y in range(height):
        if depth == 16:
            row = samples[y].astype(">u2").tobytes()
        elif depth == 8:
            row = samples[y].astype(np.uint8).tobytes()
        else:
            bits = "".join(format(int(v), f"0{depth}b") for v in samples[y].ravel())
            bits += "0" * (-len(bits) % 8)
            row = int(bits, 2).to_bytes(len(bits) // 8, "big")
        step = max(1, channels * depth // 8)
        if y % 3 == 1:
            coded = bytes((v - (row[i - step] if i >= step else 0)) & 255 for i, v in enumerate(row))
        elif y % 3 == 2 and previous is not None:
            coded = bytes((v - p) & 255 for v, p in zip(row, previous))
        else:
            coded = row
        out.append(bytes([1 if y % 3 == 1 else 2 if y % 3 == 2 and previous is not None else 0]) + coded)
        previous = row
    return b"".join(out)


ADAM7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]


def png(samples, depth, colour_type, palette=None, trns=None, interlace=False, extra=(), late=()):
    height, width, _ = samples.shape
    out = b"\x89PNG\r\n\x1a\n"
    out += chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, int(interlace)))
    if palette is not None:
        out += chunk(b"PLTE", palette.astype(np.uint8).tobytes())
    if trns is not None:
        out += chunk(b"tRNS", trns)
    for kind, data in extra:
        out += chunk(kind, data)
    if interlace:
        raw = b"".join(
            pack_rows(samples[y0::dy, x0::dx], depth) for y0, x0, dy, dx in ADAM7 if samples[y0::dy, x0::dx].size
        )
    else:
        raw = pack_rows(samples, depth)
    packed = zlib.compress(raw, 9)
    out += chunk(b"IDAT", packed[: len(packed) // 2]) + chunk(b"IDAT", packed[len(packed) // 2 :])
    for kind, data in late:
        out += chunk(kind, data)
    return out + chunk(b"IEND", b"")


def exif(orientation, big=False, kind=3):
    order = ">" if big else "<"
    value = struct.pack(order + "HHII", 0x0112, kind, 1, orientation)
    if big and kind == 3:
        value = struct.pack(">HHIHH", 0x0112, kind, 1, orientation, 0)
    other = struct.pack(order + "HHII", 0x0103, 3, 1, 0)
    return (b"MM\0*" if big else b"II*\0") + struct.pack(order + "IH", 8, 2) + other + value + struct.pack("I", 0)


XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="%d"/></x:xmpmeta>'


def saved(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def jpegs():
    rgb = Image.fromarray(smooth(3))
    for name, sampling in (("444", 0), ("422", 1), ("420", 2)):
        yield f"jpeg_{name}.jpg", saved(rgb, "JPEG", quality=83, subsampling=sampling)
    yield "jpeg_progressive.jpg", saved(rgb, "JPEG", quality=70, progressive=True)
    yield "jpeg_restart.jpg", saved(rgb, "JPEG", quality=70, restart_marker_rows=1)
    yield "jpeg_low.jpg", saved(rgb, "JPEG", quality=5)
    yield "jpeg_rgb.jpg", saved(rgb, "JPEG", quality=83, keep_rgb=True)
    yield "jpeg_grey.jpg", saved(rgb.convert("L"), "JPEG", quality=83)
    cmyk = saved(Image.fromarray(smooth(4), "CMYK"), "JPEG", quality=83)
    yield "jpeg_cmyk.jpg", cmyk
    at = cmyk.index(b"Adobe") + 11
    yield "jpeg_ycck.jpg", cmyk[:at] + b"\x02" + cmyk[at + 1 :]
    one = Image.fromarray(smooth(3, 1, 1))
    yield "jpeg_1x1.jpg", saved(one, "JPEG")
    for orientation in range(10):
        block = b"Exif\0\0" + exif(orientation, big=orientation % 2 == 1)
        yield f"exif_{orientation}.jpg", saved(rgb, "JPEG", quality=75, exif=block)
    yield "exif_long.jpg", saved(rgb, "JPEG", quality=75, exif=b"Exif\0\0" + exif(6, kind=4))
    yield "exif_xmp.jpg", saved(rgb, "JPEG", quality=75, xmp=XMP % 8)
    yield "exif_and_xmp.jpg", saved(rgb, "JPEG", quality=75, xmp=XMP % 8, exif=b"Exif\0\0" + exif(3))
    block = exif(5)
    parts = [b"Exif\0\0" + block[:25], b"Exif\0\0" + block[25:]]
    plain = saved(rgb, "JPEG", quality=75)
    segments = b"".join(b"\xff\xe1" + struct.pack(">H", len(p) + 2) + p for p in parts)
    yield "exif_split.jpg", plain[:2] + segments + plain[2:]


def webps():
    rgb, rgba = Image.fromarray(smooth(3)), Image.fromarray(smooth(4))
    yield "webp_lossy.webp", saved(rgb, "WEBP", quality=60)
    yield "webp_lossless.webp", saved(rgb, "WEBP", lossless=True)
    yield "webp_lossy_alpha.webp", saved(rgba, "WEBP", quality=60)
    yield "webp_lossless_alpha.webp", saved(rgba, "WEBP", lossless=True, exact=True)
    yield "webp_exif.webp", saved(rgb, "WEBP", quality=60, exif=b"Exif\0\0" + exif(6, big=True))
    yield "webp_xmp.webp", saved(rgb, "WEBP", quality=60, xmp=XMP % 5)
    frames = [Image.fromarray(smooth(4)) for _ in range(3)]
    yield "webp_animated.webp", saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], quality=50)


def pngs():
    def random(depth, channels):
        return RNG.integers(0, 1 << depth, (H, W, channels))

    for depth in (1, 2, 4, 8, 16):
        yield f"png_grey{depth}.png", png(random(depth, 1), depth, 0)
    low = RNG.integers(0, 400, (H, W, 1))
    yield "png_grey16_low.png", png(low, 16, 0)
    yield "png_grey8_trns.png", png(random(8, 1), 8, 0, trns=struct.pack(">H", 77))
    yield "png_grey16_trns.png", png(low, 16, 0, trns=struct.pack(">H", 77))
    for depth in (8, 16):
        yield f"png_rgb{depth}.png", png(random(depth, 3), depth, 2)
        yield f"png_grey_alpha{depth}.png", png(random(depth, 2), depth, 4)
        yield f"png_rgba{depth}.png", png(random(depth, 4), depth, 6)
    yield "png_rgb8_trns.png", png(RNG.integers(0, 2, (H, W, 3)) * 255, 8, 2, trns=struct.pack(">HHH", 255, 0, 255))
    yield "png_interlaced.png", png(random(8, 3), 8, 2, interlace=True)
    yield "png_interlaced_grey2.png", png(random(2, 1), 2, 0, interlace=True)
    for depth in (1, 2, 4, 8):
        palette = RNG.integers(0, 256, (1 << depth, 3))
        yield f"png_palette{depth}.png", png(random(depth, 1), depth, 3, palette)
    palette = RNG.integers(0, 256, (16, 3))
    yield "png_palette_one_clear.png", png(random(4, 1), 4, 3, palette, trns=b"\xff\xff\0")
    yield "png_palette_partial.png", png(random(4, 1), 4, 3, palette, trns=bytes(range(0, 240, 20)))
    yield "png_exif.png", png(random(8, 3), 8, 2, extra=[(b"eXIf", exif(6))])
    yield "png_exif_late.png", png(random(8, 4), 8, 6, late=[(b"eXIf", exif(7, big=True))])
    xmp = b"XML:com.adobe.xmp\0\0\0\0\0" + XMP % 3
    yield "png_xmp.png", png(random(8, 3), 8, 2, extra=[(b"iTXt", xmp)])
    yield "png_1x1.png", png(random(8, 4)[:1, :1], 8, 6)


def bmp16(mask):
    pixels = RNG.integers(0, 1 << 16, (H, W)).astype("<u2")
    rows = b"".join(row.tobytes() + b"\0" * (-len(row.tobytes()) % 4) for row in pixels)
    masks = struct.pack("<III", *mask)
    head = struct.pack("<IiiHHIIiiII", 40, W, H, 1, 16, 3, len(rows), 0, 0, 0, 0) + masks
    return b"BM" + struct.pack("<IHHI", 14 + len(head) + len(rows), 0, 0, 14 + len(head)) + head + rows


def bmp_alpha():
    pixels = RNG.integers(0, 256, (H, W, 4)).astype(np.uint8)
    head = struct.pack("<IiiHHIIiiII", 108, W, H, 1, 32, 3, pixels.size, 0, 0, 0, 0)
    head += struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + bytes(52)
    return b"BM" + struct.pack("<IHHI", 14 + len(head) + pixels.size, 0, 0, 14 + len(head)) + head + pixels.tobytes()


def others():
    rgb, grey, rgba = Image.fromarray(smooth(3)), Image.fromarray(smooth(1)[:, :, 0]), Image.fromarray(smooth(4))
    paletted = rgb.quantize(37)
    bilevel = grey.convert("1")
    for name, image in (("1", bilevel), ("grey", grey), ("palette", paletted), ("rgb", rgb), ("rgba", rgba)):
        yield f"bmp_{name}.bmp", saved(image, "BMP")
    yield "bmp_555.bmp", bmp16((0x7C00, 0x3E0, 0x1F))
    yield "bmp_565.bmp", bmp16((0xF800, 0x7E0, 0x1F))
    yield "gif_palette.gif", saved(paletted, "GIF")
    yield "gif_grey.gif", saved(grey, "GIF")
    yield "gif_transparent.gif", saved(paletted, "GIF", transparency=5)
    yield "gif_plain_rows.gif", saved(paletted, "GIF", interlace=0)
    frames = [Image.fromarray(smooth(3)).quantize(20) for _ in range(3)]
    yield "gif_animated.gif", saved(frames[0], "GIF", save_all=True, append_images=frames[1:], disposal=2)
    for name in ("gif_small_frame.gif", "gif_small_frame_clear.gif"):
        data = bytearray(saved(paletted, "GIF", **({"transparency": 5} if "clear" in name else {})))
        struct.pack_into("<HH", data, 6, W + 7, H + 5)
        at = data.index(b"," + struct.pack("<HHHH", 0, 0, W, H))
        struct.pack_into("<HH", data, at + 1, 4, 3)
        yield name, bytes(data)
    grey16 = Image.fromarray(RNG.integers(0, 400, (H, W)).astype(np.uint16))
    for name, image in (("1", bilevel), ("grey", grey), ("palette", paletted), ("rgb", rgb), ("grey16", grey16)):
        yield f"tiff_{name}.tiff", saved(image, "TIFF")
    yield "tiff_lzw.tiff", saved(rgb, "TIFF", compression="tiff_lzw")
    yield "tiff_deflate.tiff", saved(rgb, "TIFF", compression="tiff_adobe_deflate")
    yield "tiff_rgba.tiff", saved(rgba, "TIFF")
    yield "tiff_turned.tiff", saved(rgb, "TIFF", tiffinfo={274: 6})
    yield "ppm.ppm", saved(rgb, "PPM")
    yield "pgm.pgm", saved(grey, "PPM")


def more():
    """New kinds are added here, at the end, so that the files above keep their bytes."""
    frames = [Image.fromarray(smooth(4)) for _ in range(3)]
    yield "png_animated.png", saved(frames[0], "PNG", save_all=True, append_images=frames[1:])
    yield "png_animated_default.png", saved(
        frames[0], "PNG", save_all=True, append_images=frames[1:], default_image=True
    )
    yield "bmp_alpha.bmp", bmp_alpha()
    yield "tiff_grey_alpha.tiff", saved(Image.fromarray(smooth(4)).convert("LA"), "TIFF")


def sha(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def on_white(image):
    pixels = np.asarray(image.convert("RGBA")).astype(int)
    s, a = pixels[:, :, :3], pixels[:, :, 3:]
    return ((s * a + 255 * (255 - a) + 127) // 255).astype(np.uint8)


def expected_image(name, data):
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    drop = np.asarray(image.convert("RGB"))
    clear = image.mode in ("RGBA", "LA") or (image.mode == "P" and "transparency" in image.info)
    return {
        "file": name,
        "mode": image.mode,
        "width": image.width,
        "height": image.height,
        "drop": sha(drop),
        "white": sha(on_white(image) if clear else drop),
        "white_rgba": sha(on_white(image) if image.mode == "RGBA" else drop),
    }


def main():
    images = []
    for source in (jpegs, webps, pngs, others, more):
        for name, data in source():
            with open(os.path.join(HERE, name), "wb") as out:
                out.write(data)
            images.append(expected_image(name, data))
    result = {"images": images, "videos": media_clips.make(HERE), "samples": media_clips.samples()}
    with open(os.path.join(HERE, "expected.json"), "w") as out:
        json.dump(result, out, indent=1)
        out.write("\n")


if __name__ == "__main__":
    os.makedirs(HERE, exist_ok=True)
    main()
