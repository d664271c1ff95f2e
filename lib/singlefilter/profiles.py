"""Profiles: one network on one data set, from the first image to the last figure, as a frozen configuration.

A profile is a YAML file; `quick`, `laptop` and `paper` come with the library.  An unknown or misspelt key, a value
of the wrong type or out of range is an error that names the file and the key.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import types
import typing
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

import yaml

from singlefilter import glyphs

NETWORKS = ("vgg", "efficientnet_b0")
SCHEDULES = ("step", "cosine")
HEAD_KINDS = ("flat", "pooled")
SPLITS = ("train", "test")
FEWEST_LABELS = 3  # the claims are about 3 to 1,000 labels; d' needs two wrong outputs


class ProfileError(ValueError):
    """A profile that cannot be used; the message names the file, the key and what would be right."""


@dataclass(frozen=True)
class Data:
    """Which images: `glyphs`, or the name of a folder in the data dir.

    `labels`: how many labels (None: all); `*_per_label`: images per label (None: all).
    """

    name: str = "glyphs"
    labels: int | None = None
    train_per_label: int | None = None
    test_per_label: int | None = None
    image_size: int = 32

    def problems(self) -> typing.Iterator[str]:
        if not re.fullmatch(r"\w[\w.-]*", self.name):
            yield f"name: {self.name!r} given, a data set has the name of a folder in the data dir"
        if self.labels is not None and self.labels < FEWEST_LABELS:
            yield f"labels: {self.labels} given, at least {FEWEST_LABELS} are needed"
        for key in ("train_per_label", "test_per_label"):
            value = getattr(self, key)
            if value is not None and value < 1:
                yield f"{key}: {value} given, at least 1 is needed"
            if self.name == "glyphs" and value is None:
                yield f"{key}: glyphs are drawn on demand, so say how many images per label"
        if self.name == "glyphs" and self.labels is None:
            yield f"labels: glyphs are drawn on demand, so say how many labels ({FEWEST_LABELS} to {glyphs.MOST})"
        if self.name == "glyphs" and (self.labels or 0) > glyphs.MOST:
            yield f"labels: {self.labels} given, there are {glyphs.MOST} glyphs"
        if self.name == "glyphs" and self.image_size != 32:
            yield f"image_size: glyphs are 32 pixels wide, {self.image_size} given"
        if self.image_size < 8:
            yield f"image_size: {self.image_size} given, at least 8 is needed"


@dataclass(frozen=True)
class Network:
    """Which network.  VGG: `depth` 11, 13, 16, 19, `width` d, `hidden` fully connected layers (section 1)."""

    name: str = "vgg"
    depth: int = 16
    width: int = 64
    hidden: tuple[int, ...] = ()
    input_size: int | None = None
    weights: str | None = None

    def problems(self) -> typing.Iterator[str]:
        yield from _among("name", self.name, NETWORKS)
        if self.name == "vgg" and self.depth not in (11, 13, 16, 19):
            yield f"depth: {self.depth} given, VGG comes in 11, 13, 16, 19"
        if self.width < 1 or any(width < 1 for width in self.hidden):
            yield "width, hidden: widths are at least 1"
        if self.weights is not None and (self.name, self.weights) != ("efficientnet_b0", "imagenet"):
            yield f"weights: only efficientnet_b0 has ready weights, named imagenet; {self.weights!r} given"

    @property
    def title(self) -> str:
        return f"VGG-{self.depth}, d = {self.width}" if self.name == "vgg" else "EfficientNet-B0"


@dataclass(frozen=True)
class Recipe:
    """Stochastic gradient descent with Nesterov momentum, and the schedule of its learning rate.

    `step`: times `factor` every `every` epochs; `cosine`: down to zero.  The first `warmup_epochs` rise linearly.
    `flip` and `shift` (pixels) are the augmentation of section 1.
    """

    epochs: int = 300
    batch: int = 100
    learning_rate: float = 0.028
    momentum: float = 0.9175
    weight_decay: float = 1e-3
    schedule: str = "step"
    factor: float = 0.6
    every: int = 20
    warmup_epochs: float = 0.0
    label_smoothing: float = 0.0
    flip: bool = True
    shift: int = 4

    def problems(self) -> typing.Iterator[str]:
        yield from _among("schedule", self.schedule, SCHEDULES)
        for key in ("epochs", "batch", "every", "learning_rate", "factor"):
            if not getattr(self, key) > 0:
                yield f"{key}: {getattr(self, key)} given, it has to be above 0"
        for key in ("momentum", "label_smoothing"):
            if not 0 <= getattr(self, key) < 1:
                yield f"{key}: {getattr(self, key)} given, it has to be from 0 up to below 1"
        for key in ("weight_decay", "warmup_epochs", "shift"):
            if not getattr(self, key) >= 0:
                yield f"{key}: {getattr(self, key)} given, it cannot be negative"
        if self.momentum == 0:
            yield "momentum: Nesterov momentum has to be above 0"


@dataclass(frozen=True)
class Heads(Recipe):
    """Heads on the frozen trunk (section 2).  `cuts`: layer numbers (empty: all of them).

    `views`: how many augmented passes over the images are computed and kept, to be drawn from again in every epoch,
    as long as they take no more than `views_gib`; 0 computes a new one in every epoch, as the paper does.
    """

    epochs: int = 200
    learning_rate: float = 0.01
    momentum: float = 0.975
    factor: float = 0.975
    every: int = 1
    cuts: tuple[int, ...] = ()
    kinds: tuple[str, ...] = HEAD_KINDS
    views: int = 0
    views_gib: float = 2.0

    def problems(self) -> typing.Iterator[str]:
        yield from super().problems()
        for kind in self.kinds:
            yield from _among("kinds", kind, HEAD_KINDS)
        if self.views < 0 or not self.views_gib > 0:
            yield f"views, views_gib: {self.views} and {self.views_gib} given, views start at 0 and need some memory"
        if "flat" not in self.kinds:
            yield "kinds: the flat head is the one that is analysed, so it has to be among them"


@dataclass(frozen=True)
class Analysis:
    """What is made of the measurement: clip threshold (section 4), bootstrap, and the splits that are measured."""

    threshold: float = 0.3
    resamples: int = 1000
    splits: tuple[str, ...] = SPLITS

    def problems(self) -> typing.Iterator[str]:
        if not 0 < self.threshold < 1:
            yield f"threshold: {self.threshold} given, it has to lie between 0 and 1"
        if self.resamples < 100:
            yield f"resamples: {self.resamples} given, an interval needs at least 100"
        for split in self.splits:
            yield from _among("splits", split, SPLITS)
        if "train" not in self.splits:
            yield "splits: the training split is the one that is measured (section 3), so it has to be among them"


@dataclass(frozen=True)
class Profile:
    """One network on one data set, whole."""

    name: str
    purpose: str
    minutes: float
    seed: int = 1
    data: Data = field(default_factory=Data)
    network: Network = field(default_factory=Network)
    training: Recipe = field(default_factory=Recipe)
    heads: Heads = field(default_factory=Heads)
    analysis: Analysis = field(default_factory=Analysis)

    def problems(self) -> typing.Iterator[str]:
        if self.seed < 0:
            yield f"seed: {self.seed} given, it cannot be negative"


def available() -> tuple[str, ...]:
    """Names of the profiles that come with the library."""
    folder = resources.files("singlefilter") / "profiles"
    return tuple(sorted(path.name.removesuffix(".yaml") for path in folder.iterdir() if path.name.endswith(".yaml")))


def load(name: str | Path) -> Profile:
    """Profile by its name, or from a YAML file of one's own (its name is then the file's).

    Raises `ProfileError` for an unknown name, a file that cannot be read, an unknown key or an unfit value.
    """
    if name in available():
        source, text = (
            f"profile {name}",
            (resources.files("singlefilter") / "profiles" / f"{name}.yaml").read_text(encoding="utf-8"),
        )
    elif str(name).endswith((".yaml", ".yml")):
        source = str(name)
        try:
            text = Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ProfileError(f"{source}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    else:
        near = difflib.get_close_matches(str(name), available(), n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        there = f"there are {', '.join(available())}, or give a .yaml file"
        raise ProfileError(f"no profile named {name!r}: {there}{hint}")
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ProfileError(f"{source}: not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise ProfileError(f"{source}: a profile is a mapping of keys to values")
    return from_mapping({"name": Path(name).stem} | content, source)


def from_mapping(content: dict, source: str) -> Profile:
    """Profile from keys and values, as a YAML file holds them; `source` is what messages name.

    Raises `ProfileError` for an unknown key or an unfit value.
    """
    return _build(Profile, content, source, "")


def _build(cls: type, content: dict, source: str, prefix: str) -> typing.Any:
    hints = typing.get_type_hints(cls)
    for key in content:
        if key not in hints:
            near = difflib.get_close_matches(str(key), hints, n=1)
            hint = f", did you mean {near[0]}?" if near else f"; known here: {', '.join(hints)}"
            raise ProfileError(f"{source}: unknown key {prefix}{key}{hint}")
    missing = [
        item.name
        for item in dataclasses.fields(cls)
        if item.name not in content
        and item.default is dataclasses.MISSING
        and item.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ProfileError(f"{source}: missing {', '.join(prefix + key for key in missing)}")
    built = cls(**{key: _convert(hints[key], value, source, prefix + key) for key, value in content.items()})
    for problem in built.problems() if hasattr(built, "problems") else ():
        raise ProfileError(f"{source}: {prefix}{problem}")
    return built


def _convert(hint: typing.Any, value: object, source: str, key: str) -> object:
    """`value` as the type that `hint` names, or a `ProfileError`."""
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise ProfileError(f"{source}: {key} is a group of keys, not {value!r}")
        return _build(hint, value, source, key + ".")
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list | tuple):
            raise ProfileError(f"{source}: {key} is a list, not {value!r}")
        return tuple(_convert(typing.get_args(hint)[0], item, source, key) for item in value)
    allowed = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if isinstance(value, bool):
        fits = bool in allowed
    else:
        fits = isinstance(value, allowed) or (float in allowed and isinstance(value, int))
    if not fits:
        wanted = " or ".join("nothing" if kind is type(None) else kind.__name__ for kind in allowed)
        raise ProfileError(f"{source}: {key} has to be {wanted}, not {value!r}{_exponent_hint(allowed, value)}")
    return float(value) if float in allowed and not isinstance(value, bool) and value is not None else value


def _exponent_hint(allowed: tuple, value: object) -> str:
    """YAML reads 1e-3 as text; say so, since everybody meets it once."""
    if float in allowed and isinstance(value, str):
        try:
            return f" (YAML reads this as text: write {float(value)!r})"
        except ValueError:
            pass
    return ""


def _among(key: str, value: str, allowed: tuple[str, ...]) -> typing.Iterator[str]:
    if value not in allowed:
        near = difflib.get_close_matches(str(value), allowed, n=1)
        yield f"{key}: {value!r} is none of {', '.join(allowed)}" + (f"; did you mean {near[0]}?" if near else "")
