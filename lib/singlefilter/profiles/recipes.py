"""How networks and heads are trained, and the recipes among which a profile chooses."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import field
from typing import Annotated, Any

from pydantic import Field, PlainValidator, TypeAdapter, ValidationInfo
from pydantic.dataclasses import dataclass

from singlefilter import store
from singlefilter.profiles.bounds import (
    CONFIG,
    AtMost,
    BelowOne,
    Epochs,
    Float,
    FromZero,
    Group,
    Int,
    NotNegative,
    Positive,
    Text,
    YesNo,
    among,
    shortened,
)

SCHEDULES = ("step", "cosine")
PRECISIONS = ("float32", "bfloat16")
HEAD_KINDS = ("flat", "pooled")
ATTENTION = "attention"  # a kind of head that only a transformer has
UNPOOLED = "unpooled"  # one that only a network has whose layers end in a pool
INSIDE = (ATTENTION, UNPOOLED)  # kinds that sit inside a layer
BY_NAME = "groups of keys by name"
OWN = "own"  # the profile's own recipe, among those it is compared with


@dataclass(config=CONFIG, frozen=True)
class Recipe(Group):
    """Stochastic gradient descent with Nesterov momentum, and the schedule of its learning rate.

    `step`: times `factor` every `every` epochs; `cosine`: down to zero.  The first `warmup_epochs` rise linearly.
    `flip` and `shift` (pixels) are the augmentation of section 1.  No epochs at all leave a network untrained, which
    is a null model of section 9.  `precision`: what a network's forward and backward passes compute in on a CPU while
    it is trained; weights are float32 in either case.  On a GPU that is bfloat16 always.
    """

    epochs: Epochs = 300
    batch: Annotated[Int, Field(gt=0, le=1_000_000)] = 100
    learning_rate: Positive = 0.028  # whatever it is: one that is too large is noticed in training
    momentum: BelowOne = 0.9175
    weight_decay: Annotated[Float, Field(ge=0, le=1000)] = 1e-3
    schedule: Annotated[Text, among(SCHEDULES)] = "step"
    factor: Annotated[Float, Field(gt=0, le=1)] = 0.6
    every: Annotated[Int, Field(gt=0, le=100_000)] = 20
    warmup_epochs: NotNegative = 0.0
    label_smoothing: BelowOne = 0.0
    flip: YesNo = True
    shift: Annotated[Int, Field(ge=0, le=1000)] = 4
    precision: Annotated[Text, among(PRECISIONS)] = field(default="float32", metadata=store.LEFT_OUT)

    def problems(self) -> Iterator[str]:
        if self.momentum == 0:
            yield "momentum: Nesterov momentum has to be above 0"
        if self.warmup_epochs > self.epochs > 0:
            yield f"warmup_epochs: {self.warmup_epochs} given, longer than the recipe, which has {self.epochs} epochs"


@dataclass(config=CONFIG, frozen=True)
class Heads(Recipe):
    """Heads on the frozen trunk (section 2).  `cuts`: layer numbers (empty: all of them).

    `kinds`: `flat` sees a layer's map as it is, `pooled` sees it at the size of the deepest one, `attention` the
    attention heads inside a transformer's block (section 10), `unpooled` the map in front of the pool that ends a
    layer of VGG.  `views`: how many augmented passes over the images are computed and kept, to be drawn from again
    in every epoch, as long as they take no more than `views_gib`; 0 computes a new one in every epoch, as the paper
    does.
    """

    epochs: Epochs = 200
    learning_rate: Positive = 0.01
    momentum: BelowOne = 0.975
    factor: Annotated[Float, Field(gt=0, le=1)] = 0.975
    every: Annotated[Int, Field(gt=0, le=100_000)] = 1
    cuts: Annotated[tuple[Annotated[Int, Field(ge=0, le=1000)], ...], AtMost] = ()  # the network says which
    kinds: Annotated[tuple[Annotated[Text, among((*HEAD_KINDS, *INSIDE))], ...], AtMost] = HEAD_KINDS
    views: Annotated[Int, Field(ge=0, le=10_000)] = 0
    views_gib: Annotated[Float, Field(gt=0, le=1_000_000)] = 2.0

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        if self.epochs == 0:
            yield "epochs: 0 given, a head is trained for at least 1"
        if self.precision != "float32":
            yield f"precision: {self.precision} given, heads are what is measured and are trained in float32"
        if "flat" not in self.kinds:
            yield "kinds: the flat head is the one that is analysed, so it has to be among them"


@functools.cache
def _recipes() -> TypeAdapter:
    return TypeAdapter(dict[str, Recipe])


def _by_name(value: Any, info: ValidationInfo) -> tuple[tuple[str, Recipe], ...]:
    """A mapping in YAML, pairs in a profile so that it hashes; `dataclasses.asdict` gives pairs, too."""
    if isinstance(value, tuple) and all(isinstance(pair, tuple) and len(pair) == 2 for pair in value):
        value = dict(value)
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise ValueError(BY_NAME)
    return tuple(_recipes().validate_python(value, context=info.context).items())


@dataclass(config=CONFIG, frozen=True)
class Choice(Group):
    """Recipes beside the profile's own, by name, and how many training images of every label decide among them.

    Each trains a network without the images that are `held_out` and is judged on those by its last epoch.
    """

    held_out: FromZero = 0
    recipes: Annotated[tuple[tuple[str, Recipe], ...], PlainValidator(_by_name)] = ()

    def problems(self) -> Iterator[str]:
        if self.held_out < 1:
            yield f"held_out: {self.held_out} given, at least 1 image of every label is needed"
        if not self.recipes:
            yield "recipes: empty, name at least one recipe beside the profile's own"
        for name, recipe in self.recipes:
            if name == OWN:
                yield f"recipes: {OWN} is what the profile's own training is called, take another name"
            if not 0 < len(name) <= 60 or not name.isprintable():
                yield f"recipes: {shortened(repr(name))} is no name, take one of 1 to 60 letters"
            elif recipe.epochs == 0:
                yield f"recipes.{name}.epochs: 0 given, a recipe trains for at least 1"
