"""Which images a profile is about: the data set, and what part of it a network sees."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import field
from typing import Annotated

from pydantic import AfterValidator
from pydantic.dataclasses import dataclass

from singlefilter import store
from singlefilter.profiles.bounds import (
    CONFIG,
    FEWEST_LABELS,
    Count,
    FromZero,
    Group,
    Labels,
    Pixels,
    Seed,
    Text,
)

SPLITS = ("train", "test")
MOST_GLYPHS = 1000  # labels that `data.glyphs` can draw (its MOST, which a test compares)


def _folder(name: str) -> str:
    if not re.fullmatch(r"\w[\w.-]{0,99}", name):
        raise ValueError(f"{name[:100]!r} given, a data set has the name of a folder in the data dir")
    return name


@dataclass(config=CONFIG, frozen=True)
class Data(Group):
    """Which images: `glyphs`, or the name of a folder in the data dir.

    `labels`: how many labels (None: all); `*_per_label`: images per label (None: all); `seed`: of drawn glyphs and
    of the choice of labels (None: the profile's).
    """

    name: Annotated[Text, AfterValidator(_folder)] = "glyphs"
    labels: Labels | None = None
    train_per_label: Count | None = None
    test_per_label: Count | None = None
    image_size: Pixels = 32
    seed: Seed | None = None

    def problems(self) -> Iterator[str]:
        if self.name != "glyphs":
            return
        for key in ("train_per_label", "test_per_label"):
            if getattr(self, key) is None:
                yield f"{key}: glyphs are drawn on demand, so say how many images per label"
        if self.labels is None:
            yield f"labels: glyphs are drawn on demand, so say how many labels ({FEWEST_LABELS} to {MOST_GLYPHS})"
        elif self.labels > MOST_GLYPHS:
            yield f"labels: {self.labels} given, there are {MOST_GLYPHS} glyphs"
        if self.image_size != 32:
            yield f"image_size: glyphs are 32 pixels wide, {self.image_size} given"


@dataclass(config=CONFIG, frozen=True)
class Part(Group):
    """Which part of the data set a network sees.

    `labels` of its labels (None: all), the `draw`-th of the random choices of so many; of each label the first
    `train_per_label` training images (None: all).  Test images of the chosen labels: all, unless `held_out` of those
    training images of every label, drawn by the profile's seed, are set aside and take their place, so that choices
    are made without test images.
    """

    labels: Labels | None = None
    draw: FromZero = 0
    train_per_label: Count | None = None
    held_out: FromZero = field(default=0, metadata=store.LEFT_OUT)
