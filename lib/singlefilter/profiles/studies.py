"""What is made of a measurement, and what it is held against: controls, series of networks, pruning."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic.dataclasses import dataclass

from singlefilter import store
from singlefilter.profiles.bounds import (
    CONFIG,
    AtMost,
    Count,
    Float,
    Fraction,
    Fractions,
    FromZero,
    Group,
    Int,
    Labels,
    Layer,
    Layers,
    Once,
    Positive,
    Seeds,
    Some,
    Text,
    Width,
    YesNo,
    among,
    inside,
    listed,
)
from singlefilter.profiles.images import SPLITS, Data
from singlefilter.profiles.recipes import ATTENTION, HEAD_KINDS, Heads, Recipe

VGG_DEPTHS = (8, 11, 13, 16, 19)
FILTER_SCORES = ("covered", "margin")
AFCC_PARTS = ("heads", "convolutions", "networks")


def _depths(depths: tuple[int, ...]) -> tuple[int, ...]:
    if not depths or not set(depths) <= set(VGG_DEPTHS):
        raise ValueError(f"{listed(depths)} given, VGG comes in {listed(VGG_DEPTHS)}")
    return depths


OfEpochs = Annotated[Float, Field(gt=0, le=1000)]
Depths = Annotated[tuple[Int, ...], AtMost, AfterValidator(_depths)]


@dataclass(config=CONFIG, frozen=True)
class Analysis(Group):
    """What is made of the measurement: clip threshold (section 4), bootstrap, and the splits that are measured."""

    threshold: Fraction = 0.3
    resamples: Annotated[Int, Field(ge=100, le=1_000_000)] = 1000
    splits: Annotated[tuple[Annotated[Text, among(SPLITS)], ...], AtMost] = SPLITS

    def problems(self) -> Iterator[str]:
        if "train" not in self.splits:
            yield "splits: the training split is the one that is measured (section 3), so it has to be among them"


@dataclass(config=CONFIG, frozen=True)
class Controls(Group):
    """What is held against the analysis (section 9): training `seeds`, random `orders` of the labels, clip
    `thresholds`, and whether heads are trained on an `untrained` trunk too."""

    seeds: Seeds = (1,)
    orders: Annotated[Int, Field(ge=1, le=1_000_000)] = 100
    thresholds: Annotated[Fractions, Some] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    untrained: YesNo = True


@dataclass(config=CONFIG, frozen=True)
class Sweep(Group):
    """Many small VGG networks with one recipe: from each seed one, on `train_per_label` images of each label.

    A network that would make fewer than `steps` steps gets as many more epochs as that takes, its heads in
    proportion, so that few labels do not mean little training.
    """

    data: Data = field(default_factory=Data)
    seeds: Seeds = (1,)
    train_per_label: Count = 100
    steps: FromZero = 0
    training: Recipe = field(default_factory=Recipe)
    heads: Heads = field(default_factory=Heads)

    def problems(self) -> Iterator[str]:
        yield from inside("data", self.data)
        if self.training.epochs == 0:
            yield "training.epochs has to be above 0"
        if ATTENTION in self.heads.kinds:
            yield f"heads.kinds: {ATTENTION} given, but vgg has none; it has {listed(HEAD_KINDS)}"


@dataclass(config=CONFIG, frozen=True)
class ByLabels(Sweep):
    """How results depend on the number of labels: `counts` of them, each with `subsets` random choices of labels.

    Networks of `width` d in each of `depths`, the first of which is the one that is claimed about, and the only one
    that is trained from every seed.  In a second curve of it the images are `in_all` however many labels there are
    (0: no second curve).

    `frozen`: instead of these, heads on the profile's own network, which stays as it is, one set of them for each
    subset; `depths`, `width`, `training`, `seeds` and `in_all` then have no say.
    """

    counts: Annotated[tuple[Labels, ...], AtMost, Once] = ()
    subsets: Annotated[Int, Field(ge=1, le=100_000)] = 3
    depths: Depths = (16,)
    width: Width = 8
    in_all: FromZero = 0
    frozen: YesNo = field(default=False, metadata=store.LEFT_OUT)

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        if not self.counts:
            yield "counts: empty, name at least one number of labels"
        if self.frozen and (self.heads.flip or self.heads.shift):
            yield "frozen: maps are computed once, as images are, so heads.flip has to be false and heads.shift 0"
        if self.frozen and set(self.heads.kinds) != {"flat"}:
            yield f"frozen: heads.kinds {listed(self.heads.kinds)} given, on a frozen network they are flat"


@dataclass(config=CONFIG, frozen=True)
class ByWidth(Sweep):
    """How results depend on the number of filters: VGG of every width in `widths` and every depth in `depths`."""

    widths: Annotated[tuple[Width, ...], AtMost] = ()
    depths: Depths = (16,)

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        if not self.widths:
            yield "widths: empty, name at least one width d"


@dataclass(config=CONFIG, frozen=True)
class Afcc(Group):
    """What is pruned, held against what, from each of several training `seeds` (section 8).

    Heads at `cuts` (empty: all that the profile has), at every one of `thresholds` at the last cut, retrained for
    `head_fraction` of the epochs of heads.  Convolutions from each of `first_layers` to the last one, in which two
    filters have to share 1, 2, ... labels (`overlaps`), retrained for `convolution_fraction` of the network's epochs.
    Smaller networks: cut after each of `truncations`; of those filters that come first by `scores`, or by the
    baselines, what fits in `budgets` (parts of the dense network's multiply-adds); deep convolutions in `groups`
    with `hubs`; all retrained for `network_fraction` of the network's epochs.  Convolutions and networks are
    retrained from `learning_rate`.  `rounds`: how often each network's latency is taken.  `parts`: which of the three
    are done.
    """

    parts: Annotated[tuple[Annotated[Text, among(AFCC_PARTS)], ...], Once, Some] = field(
        default=AFCC_PARTS, metadata=store.LEFT_OUT
    )
    seeds: Seeds = (1,)
    cuts: Layers = ()
    thresholds: Fractions = (0.1, 0.2, 0.3, 0.5)
    head_fraction: OfEpochs = 0.1
    first_layers: Annotated[tuple[Annotated[Layer, Field(ge=2)], ...], AtMost, Once, Some] = (12,)
    overlaps: Annotated[tuple[Count, ...], AtMost, Once, Some] = (1, 2, 3)
    convolution_fraction: OfEpochs = 0.05
    learning_rate: Positive = 0.01
    level_off: Annotated[Float, Field(ge=0, le=1000)] = 0.005
    truncations: Layers = ()
    scores: Annotated[tuple[Annotated[Text, among(FILTER_SCORES)], ...], AtMost] = FILTER_SCORES
    budgets: Fractions = (0.5, 0.25)
    groups: Annotated[tuple[Annotated[Int, Field(ge=2, le=100_000)], ...], AtMost, Once] = ()
    hubs: Annotated[Int, Field(ge=0, le=100_000)] = 8
    network_fraction: OfEpochs = 0.1
    rounds: Annotated[Int, Field(ge=1, le=100_000)] = 20

    def problems(self) -> Iterator[str]:
        if 1 not in self.overlaps:
            yield f"overlaps: {listed(self.overlaps)} given, 1 has to be among them: claim C10 is about it"
