"""What a profile consists of: frozen groups of keys, each with its own idea of what would be wrong in it."""

from __future__ import annotations

import difflib
import re
import typing
from dataclasses import dataclass, field

from singlefilter import store

NETWORKS = ("vgg", "efficientnet_b0")
SCHEDULES = ("step", "cosine")
PRECISIONS = ("float32", "bfloat16")
HEAD_KINDS = ("flat", "pooled")
SPLITS = ("train", "test")
VGG_DEPTHS = (8, 11, 13, 16, 19)
FILTER_SCORES = ("covered", "margin")
OWN = "own"  # the profile's own recipe, among those it is compared with
MOST_GLYPHS = 1000  # labels that `data.glyphs` can draw (its MOST, which a test compares)
FEWEST_LABELS = 3  # the claims are about 3 to 1,000 labels; d' needs two wrong outputs


@dataclass(frozen=True)
class Data:
    """Which images: `glyphs`, or the name of a folder in the data dir.

    `labels`: how many labels (None: all); `*_per_label`: images per label (None: all); `seed`: of drawn glyphs and
    of the choice of labels (None: the profile's).
    """

    name: str = "glyphs"
    labels: int | None = None
    train_per_label: int | None = None
    test_per_label: int | None = None
    image_size: int = 32
    seed: int | None = None

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
            yield f"labels: glyphs are drawn on demand, so say how many labels ({FEWEST_LABELS} to {MOST_GLYPHS})"
        if self.name == "glyphs" and (self.labels or 0) > MOST_GLYPHS:
            yield f"labels: {self.labels} given, there are {MOST_GLYPHS} glyphs"
        if self.name == "glyphs" and self.image_size != 32:
            yield f"image_size: glyphs are 32 pixels wide, {self.image_size} given"
        if self.seed is not None and self.seed < 0:
            yield f"seed: {self.seed} given, it cannot be negative"
        if self.image_size < 8:
            yield f"image_size: {self.image_size} given, at least 8 is needed"


@dataclass(frozen=True)
class Network:
    """Which network.  VGG: `depth` 8, 11, 13, 16, 19, `width` d, `hidden` fully connected layers (section 1)."""

    name: str = "vgg"
    depth: int = 16
    width: int = 64
    hidden: tuple[int, ...] = ()
    input_size: int | None = None
    weights: str | None = None

    def problems(self) -> typing.Iterator[str]:
        yield from _among("name", self.name, NETWORKS)
        if self.name == "vgg" and self.depth not in VGG_DEPTHS:
            yield f"depth: {self.depth} given, VGG comes in {_listed(VGG_DEPTHS)}"
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
    `flip` and `shift` (pixels) are the augmentation of section 1.  No epochs at all leave a network untrained, which
    is a null model of section 9.  `precision`: what a network's forward and backward passes compute in on a CPU while
    it is trained; weights are float32 in either case.  On a GPU that is bfloat16 always.
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
    precision: str = field(default="float32", metadata=store.LEFT_OUT)

    def problems(self) -> typing.Iterator[str]:
        yield from _among("schedule", self.schedule, SCHEDULES)
        yield from _among("precision", self.precision, PRECISIONS)
        for key in ("batch", "every", "learning_rate", "factor"):
            if not getattr(self, key) > 0:
                yield f"{key}: {getattr(self, key)} given, it has to be above 0"
        for key in ("momentum", "label_smoothing"):
            if not 0 <= getattr(self, key) < 1:
                yield f"{key}: {getattr(self, key)} given, it has to be from 0 up to below 1"
        for key in ("epochs", "weight_decay", "warmup_epochs", "shift"):
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
        if self.epochs == 0:
            yield "epochs: 0 given, a head is trained for at least 1"
        if self.precision != "float32":
            yield f"precision: {self.precision} given, heads are what is measured and are trained in float32"
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
class Part:
    """Which part of the data set a network sees.

    `labels` of its labels (None: all), the `draw`-th of the random choices of so many; of each label the first
    `train_per_label` training images (None: all).  Test images of the chosen labels: all, unless `held_out` of those
    training images of every label, drawn by the profile's seed, are set aside and take their place, so that choices
    are made without test images.
    """

    labels: int | None = None
    draw: int = 0
    train_per_label: int | None = None
    held_out: int = field(default=0, metadata=store.LEFT_OUT)

    def problems(self) -> typing.Iterator[str]:
        if self.labels is not None and self.labels < FEWEST_LABELS:
            yield f"labels: {self.labels} given, at least {FEWEST_LABELS} are needed"
        if self.draw < 0:
            yield f"draw: {self.draw} given, the first is number 0"
        if self.train_per_label is not None and self.train_per_label < 1:
            yield f"train_per_label: {self.train_per_label} given, at least 1 is needed"
        if self.held_out < 0:
            yield f"held_out: {self.held_out} given, it cannot be negative"


@dataclass(frozen=True)
class Choice:
    """Recipes beside the profile's own, by name, and how many training images of every label decide among them.

    Each trains a network without the images that are `held_out` and is judged on those by its last epoch.
    """

    held_out: int = 0
    recipes: tuple[tuple[str, Recipe], ...] = ()

    def problems(self) -> typing.Iterator[str]:
        if self.held_out < 1:
            yield f"held_out: {self.held_out} given, at least 1 image of every label is needed"
        if not self.recipes:
            yield "recipes: empty, name at least one recipe beside the profile's own"
        for name, recipe in self.recipes:
            if name == OWN:
                yield f"recipes: {OWN} is what the profile's own training is called, take another name"
            if recipe.epochs == 0:
                yield f"recipes.{name}.epochs: 0 given, a recipe trains for at least 1"


@dataclass(frozen=True)
class Controls:
    """What is held against the analysis (section 9): training `seeds`, random `orders` of the labels, clip
    `thresholds`, and whether heads are trained on an `untrained` trunk too."""

    seeds: tuple[int, ...] = (1,)
    orders: int = 100
    thresholds: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    untrained: bool = True

    def problems(self) -> typing.Iterator[str]:
        yield from _seeds(self.seeds)
        if self.orders < 1:
            yield f"orders: {self.orders} given, at least 1 is needed"
        if not self.thresholds or not all(0 < threshold < 1 for threshold in self.thresholds):
            yield f"thresholds: {_listed(self.thresholds)} given, each has to lie between 0 and 1, and one is needed"


@dataclass(frozen=True)
class Sweep:
    """Many small VGG networks with one recipe: from each seed one, on `train_per_label` images of each label.

    A network that would make fewer than `steps` steps gets as many more epochs as that takes, its heads in
    proportion, so that few labels do not mean little training.
    """

    data: Data = field(default_factory=Data)
    seeds: tuple[int, ...] = (1,)
    train_per_label: int = 100
    steps: int = 0
    training: Recipe = field(default_factory=Recipe)
    heads: Heads = field(default_factory=Heads)

    def problems(self) -> typing.Iterator[str]:
        yield from _seeds(self.seeds)
        if self.train_per_label < 1:
            yield f"train_per_label: {self.train_per_label} given, at least 1 is needed"
        if self.steps < 0:
            yield f"steps: {self.steps} given, it cannot be negative"
        if "flat" not in self.heads.kinds or self.training.epochs == 0:
            yield "training.epochs has to be above 0, and flat among heads.kinds"


@dataclass(frozen=True)
class ByLabels(Sweep):
    """How results depend on the number of labels: `counts` of them, each with `subsets` random choices of labels.

    Networks of `width` d in each of `depths`, the first of which is the one that is claimed about, and the only one
    that is trained from every seed.  In a second curve of it the images are `in_all` however many labels there are
    (0: no second curve).
    """

    counts: tuple[int, ...] = ()
    subsets: int = 3
    depths: tuple[int, ...] = (16,)
    width: int = 8
    in_all: int = 0

    def problems(self) -> typing.Iterator[str]:
        yield from super().problems()
        if not self.counts:
            yield "counts: empty, name at least one number of labels"
        for count in self.counts:
            if count < FEWEST_LABELS:
                yield f"counts: {count} given, at least {FEWEST_LABELS} labels are needed"
        if len(set(self.counts)) < len(self.counts):
            yield f"counts: {_listed(self.counts)} given, each number once"
        if self.subsets < 1:
            yield f"subsets: {self.subsets} given, at least 1 is needed"
        if self.in_all < 0:
            yield f"in_all: {self.in_all} given, it cannot be negative"
        yield from _networks(self.depths, (self.width,))


@dataclass(frozen=True)
class ByWidth(Sweep):
    """How results depend on the number of filters: VGG of every width in `widths` and every depth in `depths`."""

    widths: tuple[int, ...] = ()
    depths: tuple[int, ...] = (16,)

    def problems(self) -> typing.Iterator[str]:
        yield from super().problems()
        if not self.widths:
            yield "widths: empty, name at least one width d"
        yield from _networks(self.depths, self.widths)


@dataclass(frozen=True)
class Afcc:
    """What is pruned, held against what, from each of several training `seeds` (section 8).

    Heads at `cuts` (empty: all that the profile has), at every one of `thresholds` at the last cut, retrained for
    `head_fraction` of the epochs of heads.  Convolutions from each of `first_layers` to the last one, in which two
    filters have to share 1, 2, ... labels (`overlaps`), retrained for `convolution_fraction` of the network's epochs.
    Smaller networks: cut after each of `truncations`; of those filters that come first by `scores`, or by the
    baselines, what fits in `budgets` (parts of the dense network's multiply-adds); deep convolutions in `groups`
    with `hubs`; all retrained for `network_fraction` of the network's epochs.  Convolutions and networks are
    retrained from `learning_rate`.  `rounds`: how often each network's latency is taken.
    """

    seeds: tuple[int, ...] = (1,)
    cuts: tuple[int, ...] = ()
    thresholds: tuple[float, ...] = (0.1, 0.2, 0.3, 0.5)
    head_fraction: float = 0.1
    first_layers: tuple[int, ...] = (12,)
    overlaps: tuple[int, ...] = (1, 2, 3)
    convolution_fraction: float = 0.05
    learning_rate: float = 0.01
    level_off: float = 0.005
    truncations: tuple[int, ...] = ()
    scores: tuple[str, ...] = FILTER_SCORES
    budgets: tuple[float, ...] = (0.5, 0.25)
    groups: tuple[int, ...] = ()
    hubs: int = 8
    network_fraction: float = 0.1
    rounds: int = 20

    def problems(self) -> typing.Iterator[str]:
        yield from _seeds(self.seeds)
        for key in ("thresholds", "budgets"):
            if not all(0 < value < 1 for value in getattr(self, key)):
                yield f"{key}: {_listed(getattr(self, key))} given, each has to lie between 0 and 1"
        for key in ("head_fraction", "convolution_fraction", "network_fraction", "learning_rate"):
            if not getattr(self, key) > 0:
                yield f"{key}: {getattr(self, key)} given, it has to be above 0"
        lowest = {"cuts": 1, "first_layers": 2, "overlaps": 1, "truncations": 1, "groups": 2}
        for key, low in lowest.items():
            values = getattr(self, key)
            if min(values, default=low) < low or len(set(values)) < len(values):
                yield f"{key}: {_listed(values)} given, each is at least {low} and there once"
        for score in self.scores:
            yield from _among("scores", score, FILTER_SCORES)
        if not self.first_layers or not self.overlaps:
            yield "first_layers, overlaps: at least one of each is needed"
        elif 1 not in self.overlaps:
            yield f"overlaps: {_listed(self.overlaps)} given, 1 has to be among them: claim C10 is about it"
        if self.hubs < 0 or self.rounds < 1 or not self.level_off >= 0:
            yield "hubs, rounds, level_off: hubs and level_off start at 0, rounds at 1"


@dataclass(frozen=True)
class Profile:
    """One network on one data set, whole; and the sweeps that go with it, where there are any."""

    name: str
    purpose: str
    minutes: float
    seed: int = 1
    data: Data = field(default_factory=Data)
    part: Part = field(default_factory=Part)
    network: Network = field(default_factory=Network)
    training: Recipe = field(default_factory=Recipe)
    heads: Heads = field(default_factory=Heads)
    analysis: Analysis = field(default_factory=Analysis)
    controls: Controls = field(default_factory=Controls)
    choice: Choice | None = None
    by_labels: ByLabels | None = None
    by_width: ByWidth | None = None
    afcc: Afcc | None = None

    def problems(self) -> typing.Iterator[str]:
        if self.seed < 0:
            yield f"seed: {self.seed} given, it cannot be negative"
        recipes = {"training": self.training} | {
            f"choice.recipes.{name}": recipe for name, recipe in (self.choice.recipes if self.choice else ())
        }
        for key, recipe in recipes.items():
            if self.network.name == "efficientnet_b0" and recipe.precision == "bfloat16":
                yield (
                    f"{key}.precision: bfloat16 given, in which depthwise convolutions are slower on a CPU; "
                    f"{self.network.title} trains in float32"
                )
        there = self.part.train_per_label or self.data.train_per_label
        yield from _left("part.held_out", self.part.held_out, there)
        if self.choice is not None:
            yield from _left("choice.held_out", self.choice.held_out, there)
            if self.part.held_out:
                yield f"part.held_out: {self.part.held_out} given, but the group choice holds images out itself"
            if self.training.epochs == 0:
                yield "choice: the profile's own training has no epochs, so there is nothing to choose"


def _left(key: str, held_out: int, there: int | None) -> typing.Iterator[str]:
    if there is not None and held_out >= there:
        yield f"{key}: {held_out} given, but there are {there} training images of each label and some have to be left"


def _seeds(seeds: tuple[int, ...]) -> typing.Iterator[str]:
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        yield f"seeds: {_listed(seeds)} given, at least one is needed, each once, none negative"


def _networks(depths: tuple[int, ...], widths: tuple[int, ...]) -> typing.Iterator[str]:
    if not depths or not set(depths) <= set(VGG_DEPTHS):
        yield f"depths: {_listed(depths)} given, VGG comes in {_listed(VGG_DEPTHS)}"
    if min(widths, default=1) < 1:
        yield f"widths: {_listed(widths)} given, widths are at least 1"


def _listed(values: tuple) -> str:
    return ", ".join(map(str, values)) or "nothing"


def _among(key: str, value: str, allowed: tuple[str, ...]) -> typing.Iterator[str]:
    if value not in allowed:
        near = difflib.get_close_matches(str(value), allowed, n=1)
        yield f"{key}: {value!r} is none of {', '.join(allowed)}" + (f"; did you mean {near[0]}?" if near else "")
