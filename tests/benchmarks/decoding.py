"""How many JPEGs as large as ImageNet's a core decodes in a second, and what all of ImageNet costs at that rate."""

from __future__ import annotations

import bisect
import functools
import io
import os
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from benchmarks.cases import Sizes
from benchmarks.table import machine
from PIL import Image
from torchvision.io import decode_jpeg
from torchvision.transforms.v2.functional import crop, resize

from singlefilter.data import folders
from singlefilter.studies.cost import imagenet_plan

WIDE, HIGH = 500, 375  # the usual size of ImageNet's images
DIFFERENT = 0.5  # mean difference of two decoders' pixels, of 255, from which on they do not do the same


def plan(sizes: Sizes) -> pd.DataFrame:
    """The rows of `imagenet_plan.table` at the rate of the library's own reader, with what was measured beside them.

    `pillow_per_second`: images decoded, scaled and cut by the library's reader of image folders;
    `torchvision_per_second`: the same by torchvision; both on one core, with quartiles. `load`: processes that wanted
    to run in the minute before. Raises `AssertionError` when the two do not give about the same pixels.
    """
    load = os.getloadavg()[0]
    images = jpegs(sizes)
    found = rates({"pillow": by_pillow, "torchvision": by_torchvision}, images, sizes)
    size = float(np.mean([len(image) for image in images]))
    assumed = imagenet_plan.Assumed(jpeg_bytes=round(size), side=sizes.jpeg_side)
    table = imagenet_plan.table(found["pillow_per_second"], assumed)
    print(f"{imagenet_plan.totals(table).to_string()}", flush=True)
    measured = {"jpegs": len(images), "load": load, "machine": machine(), "cores_here": os.cpu_count()}
    note = f"JPEGs of {WIDE} x {HIGH} pixels, random with a spectrum of 1/f, {size / 1000:.0f} kB each"
    return table.assign(**found, **measured, note=note)


def jpegs(sizes: Sizes) -> list[bytes]:
    """Random images whose spectrum falls as 1/f, as that of photographs does, of a quality that gives the size."""
    rng = np.random.default_rng(1)
    frequency = np.hypot(np.fft.fftfreq(HIGH)[:, None], np.fft.rfftfreq(WIDE)[None])
    frequency[0, 0] = np.inf
    made = []
    for _ in range(sizes.jpegs):
        noise = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((4, HIGH, WIDE))) / frequency, (HIGH, WIDE))
        noise /= noise.std((1, 2), keepdims=True)
        channels = 0.9 * noise[0] + 0.3 * noise[1:]  # colours go with brightness for the most part
        pixels = np.clip(127 + 50 * channels, 0, 255).astype(np.uint8).transpose(1, 2, 0)
        size_at = functools.partial(_size_at, pixels)
        made.append(_encoded(pixels, bisect.bisect_left(range(100), sizes.jpeg_bytes, key=size_at)))
    return made


def by_pillow(image: bytes, side: int) -> np.ndarray:
    """As the library reads image folders: uint8 `[3, side, side]`, the shorter side scaled and the middle cut out."""
    return folders.read_image(io.BytesIO(image), side)[0]


def by_torchvision(image: bytes, side: int) -> np.ndarray:
    """The same by torchvision."""
    pixels = decode_jpeg(torch.frombuffer(bytearray(image), dtype=torch.uint8))
    high, wide = (round(length * side / min(pixels.shape[1:])) for length in pixels.shape[1:])
    top, left = (high - side) // 2, (wide - side) // 2
    return crop(resize(pixels, [high, wide], antialias=True), top, left, side, side).numpy()


def rates(
    decoders: dict[str, Callable[[bytes, int], np.ndarray]], images: list[bytes], sizes: Sizes
) -> dict[str, float]:
    """Images a second of a core's own time by decoder, in turn: `<name>_per_second`, median, `_low` and `_high`.

    Time of the processor, not of the clock: what else runs takes cores away and counts little. Raises
    `AssertionError` when two decoders do not give about the same pixels.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        first = [decode(images[0], sizes.jpeg_side).astype(float) for decode in decoders.values()]
        for other in first[1:]:
            apart = np.abs(other - first[0]).mean()
            if not apart < DIFFERENT:
                raise AssertionError(f"two decoders differ by {apart:.1f} of 255, so their times cannot be compared")
        seconds: dict[str, list[float]] = {name: [] for name in decoders}
        for _ in range(sizes.jpeg_rounds):
            for name, decode in decoders.items():
                start = time.process_time()
                for image in images:
                    decode(image, sizes.jpeg_side)
                seconds[name].append(time.process_time() - start)
    finally:
        torch.set_num_threads(before)
    found = {}
    for name, each in seconds.items():
        low, median, high = len(images) / np.percentile(each, (75, 50, 25))
        ends = {"": median, "_low": low, "_high": high}
        found |= {f"{name}_per_second{end}": float(value) for end, value in ends.items()}
        print(f"imagenet     {name}: {median:.0f} images/s of a core [{low:.0f}, {high:.0f}]", flush=True)
    return found


def _size_at(pixels: np.ndarray, quality: int) -> int:
    return len(_encoded(pixels, quality))


def _encoded(pixels: np.ndarray, quality: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="JPEG", quality=quality)
    return file.getvalue()
