"""Image folders that tests of data write: random images, and the settings that read them."""

from pathlib import Path

import numpy as np
from PIL import Image

from singlefilter import profiles

RNG = np.random.default_rng(0)


def write_image(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **({"lossless": True} if path.suffix == ".webp" else {}))


def write_folders(root: Path, labels=("cat", "ant", "bee"), train=3, test=2, size=16, ending=".png") -> dict:
    """Random images in folders; the pixels by (split, label, file name)."""
    written = {}
    for split, count in (("train", train), ("test", test)):
        for label in labels:
            for number in range(count):
                pixels = RNG.integers(0, 256, (size, size, 3), np.uint8)
                write_image(root / split / label / f"{number}{ending}", pixels)
                written[split, label, f"{number}{ending}"] = pixels
    return written


def config(**keys) -> profiles.Data:
    return profiles.Data(**({"name": "imagenet", "image_size": 16} | keys))
