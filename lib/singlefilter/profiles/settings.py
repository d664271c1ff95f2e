"""What a profile consists of, whole: its groups, and the rules between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass

from singlefilter import store
from singlefilter.profiles.bounds import (
    CONFIG,
    Float,
    Group,
    Int,
    Pixels,
    Seed,
    Text,
    Width,
    among,
    inside,
    listed,
)
from singlefilter.profiles.images import Data, Part
from singlefilter.profiles.recipes import ATTENTION, HEAD_KINDS, Choice, Heads, Recipe
from singlefilter.profiles.studies import VGG_DEPTHS, Afcc, Analysis, ByLabels, ByWidth, Controls

NETWORKS = ("vgg", "efficientnet_b0", "cct")
MOST_BLOCKS = 100  # of a transformer
IMAGENET = "imagenet"  # torchvision's weights
WEIGHTS_ENDINGS = (".safetensors", ".pt", ".pth")
Minutes = Annotated[Float, Field(gt=0, le=1_000_000)]
Hidden = Annotated[tuple[Annotated[Int, Field(ge=1, le=65_536)], ...], Field(max_length=10)]


@dataclass(config=CONFIG, frozen=True)
class Network(Group):
    """Which network.  VGG: `depth` 8, 11, 13, 16, 19, `width` d, `hidden` fully connected layers (section 1).  cct, a
    compact convolutional transformer: `depth` blocks of `width` nodes and `attention_heads`, on the tokens that
    convolutions make of an image, whose side they halve `halvings` times (section 10).

    `weights` it starts from: `imagenet` (EfficientNet-B0), or a file of one's own, .safetensors, .pt or .pth.
    """

    name: Annotated[Text, among(NETWORKS)] = "vgg"
    depth: Annotated[Int, Field(ge=1, le=1000)] = 16
    width: Width = 64
    hidden: Hidden = ()
    input_size: Pixels | None = None
    weights: Text | None = None
    attention_heads: Annotated[Int, Field(ge=1, le=1024)] = field(default=4, metadata=store.LEFT_OUT)
    halvings: Annotated[Int, Field(ge=1, le=10)] = field(default=2, metadata=store.LEFT_OUT)

    def problems(self) -> Iterator[str]:
        if self.name == "vgg" and self.depth not in VGG_DEPTHS:
            yield f"depth: {self.depth} given, VGG comes in {listed(VGG_DEPTHS)}"
        if self.name == "cct" and self.depth > MOST_BLOCKS:
            yield f"depth: {self.depth} given, a transformer has 1 to {MOST_BLOCKS} blocks"
        if self.name == "cct" and self.width % self.attention_heads:
            yield f"attention_heads: {self.attention_heads} given, they have to divide the width, {self.width} nodes"
        for key in ("attention_heads", "halvings"):
            if self.name != "cct" and getattr(self, key) != getattr(Network, key):
                yield f"{key}: {getattr(self, key)} given, it is a key of the network cct alone"
        if self.name == "cct" and self.hidden:
            yield f"hidden: {listed(self.hidden)} given, a transformer ends in one linear layer"
        ready = (self.name, self.weights) == ("efficientnet_b0", IMAGENET)
        if self.weights is not None and not ready and not self.weights.endswith(WEIGHTS_ENDINGS):
            of_file = "" if self.weights == IMAGENET else f", which is no file either ({', '.join(WEIGHTS_ENDINGS)})"
            given = f"{self.weights[:60]!r} given{of_file}"
            yield f"weights: only efficientnet_b0 has ready weights, named imagenet; {given}"

    @property
    def title(self) -> str:
        """What it is called in figures."""
        if self.name == "cct":
            return f"CCT, {self.depth} block{'s' * (self.depth > 1)}, d = {self.width}"
        return f"VGG-{self.depth}, d = {self.width}" if self.name == "vgg" else "EfficientNet-B0"


@dataclass(config=CONFIG, frozen=True)
class Transformer(Group):
    """A transformer on the profile's images, whose nodes and attention heads are held beside the filters of the
    profile's own network; it may be that network itself."""

    network: Network = field(default_factory=lambda: Network(name="cct", depth=4, width=32))
    training: Recipe = field(default_factory=Recipe)
    heads: Heads = field(default_factory=lambda: Heads(kinds=("flat", ATTENTION)))

    def problems(self) -> Iterator[str]:
        if self.network.name != "cct":
            yield f"network.name: {self.network.name} given, the transformer here is cct"
        if self.training.epochs == 0:
            yield "training.epochs has to be above 0"
        if ATTENTION not in self.heads.kinds:
            yield f"heads.kinds: {listed(self.heads.kinds)} given, {ATTENTION} has to be among them"


@dataclass(config=CONFIG, frozen=True)
class Limits(Group):
    """Minutes after which a notebook of the profile is stopped: one cell of it, and all of it.  They are there for
    what would never end, not for what takes long."""

    cell_minutes: Minutes = 1440.0
    notebook_minutes: Minutes = 2880.0


@dataclass(config=CONFIG, frozen=True)
class Profile(Group):
    """One network on one data set, whole; and the sweeps that go with it, where there are any."""

    name: Text
    purpose: Annotated[Text, Field(max_length=1000)]
    minutes: Annotated[Float, Field(gt=0, le=10_000_000)]
    seed: Seed = 1
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
    transformer: Transformer | None = None
    limits: Limits = field(default=Limits(), metadata=store.LEFT_OUT)

    def problems(self) -> Iterator[str]:
        yield from inside("data", self.data)
        recipes = {"training": self.training} | {
            f"choice.recipes.{name}": recipe for name, recipe in (self.choice.recipes if self.choice else ())
        }
        for key, recipe in recipes.items():
            if self.network.name == "efficientnet_b0" and recipe.precision == "bfloat16":
                yield (
                    f"{key}.precision: bfloat16 given, in which depthwise convolutions are slower on a CPU; "
                    f"{self.network.title} trains in float32"
                )
        if ATTENTION in self.heads.kinds and self.network.name != "cct":
            yield f"heads.kinds: {ATTENTION} given, but {self.network.name} has none; it has {listed(HEAD_KINDS)}"
        if self.afcc is not None and self.network.name == "cct":
            yield "afcc: what is pruned are convolutions in a chain and their heads, of which cct has none"
        there = self.part.train_per_label or self.data.train_per_label
        yield from _left("part.held_out", self.part.held_out, there)
        if self.choice is not None:
            yield from _left("choice.held_out", self.choice.held_out, there)
            if self.part.held_out:
                yield f"part.held_out: {self.part.held_out} given, but the group choice holds images out itself"
            if self.training.epochs == 0:
                yield "choice: the profile's own training has no epochs, so there is nothing to choose"


def _left(key: str, held_out: int, there: int | None) -> Iterator[str]:
    if there is not None and held_out >= there:
        yield f"{key}: {held_out} given, but there are {there} training images of each label and some have to be left"
