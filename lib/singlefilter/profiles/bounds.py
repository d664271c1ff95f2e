"""What every group of a profile is made of: strict types, bounds no sane machine exceeds, and rules between keys.

Types and bounds hold whenever a group is made, by `dataclasses.replace` too.  Rules between keys hold for what is
read from a file or a mapping alone: code that takes a profile apart, as a null model does, makes groups that nobody
would write.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field, Strict, ValidationInfo, model_validator
from pydantic.dataclasses import dataclass

CONFIG = ConfigDict(extra="forbid", allow_inf_nan=False)
READ = "read"  # context of validation: from a file or a mapping, not by code
MOST_VALUES = 1000  # in a list
FEWEST_LABELS = 3  # the claims are about 3 to 1,000 labels; d' needs two wrong outputs

# Values are strict, a whole number for a float apart; a mapping becomes a group, and a list a tuple.
Int = Annotated[int, Strict()]
Float = Annotated[float, Strict()]
Text = Annotated[str, Strict()]
YesNo = Annotated[bool, Strict()]

Count = Annotated[Int, Field(ge=1, le=10_000_000)]  # images, labels, steps, rounds
FromZero = Annotated[Int, Field(ge=0, le=10_000_000)]
Epochs = Annotated[Int, Field(ge=0, le=100_000)]
Seed = Annotated[Int, Field(ge=0, lt=2**32)]
Pixels = Annotated[Int, Field(ge=8, le=4096)]
Width = Annotated[Int, Field(ge=1, le=4096)]  # d: the last convolutions have 8 d filters, and 64 d^2 kernels
Layer = Annotated[Int, Field(ge=1, le=1000)]
Positive = Annotated[Float, Field(gt=0)]
NotNegative = Annotated[Float, Field(ge=0)]
BelowOne = Annotated[Float, Field(ge=0, lt=1)]


class Problems(ValueError):
    """Several things that are wrong in one group; each begins with its key, or with nothing but words of its own."""


@dataclass(config=CONFIG, frozen=True)
class Group:
    """A group of keys of a profile: frozen, its values checked; `problems` are its rules between keys."""

    @model_validator(mode="after")
    def _rules(self, info: ValidationInfo) -> Group:
        if info.context == READ and (found := list(self.problems())):
            raise Problems(*found)
        return self

    def problems(self) -> Iterator[str]:
        """What is wrong between keys, each as `key: words`; none where all is well."""
        return iter(())


def among(allowed: tuple[str, ...]) -> AfterValidator:
    """A text that is one of those allowed; the message names the nearest."""

    def check(value: str) -> str:
        if value not in allowed:
            near = difflib.get_close_matches(value[:100], allowed, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ValueError(f"{shortened(repr(value))} is none of {', '.join(allowed)}{hint}")
        return value

    return AfterValidator(check)


def _between(value: float) -> float:
    if not 0 < value < 1:
        raise ValueError(f"{value} given, it has to lie between 0 and 1")
    return value


def _all_between(values: tuple[float, ...]) -> tuple[float, ...]:
    if not all(0 < value < 1 for value in values):
        raise ValueError(f"{listed(values)} given, each has to lie between 0 and 1")
    return values


def _once(values: tuple) -> tuple:
    if len(set(values)) < len(values):
        raise ValueError(f"{listed(values)} given, each number once")
    return values


def _some(values: tuple) -> tuple:
    if not values:
        raise ValueError("nothing given, at least one is needed")
    return values


def _enough(labels: int) -> int:
    if labels < FEWEST_LABELS:
        raise ValueError(f"{labels} given, at least {FEWEST_LABELS} labels are needed")
    return labels


AtMost = Field(max_length=MOST_VALUES)
Once = AfterValidator(_once)
Some = AfterValidator(_some)
Labels = Annotated[Int, Field(le=1_000_000), AfterValidator(_enough)]
Fraction = Annotated[Float, AfterValidator(_between)]
Fractions = Annotated[tuple[Float, ...], AtMost, AfterValidator(_all_between)]
Layers = Annotated[tuple[Layer, ...], AtMost, Once]
Seeds = Annotated[tuple[Seed, ...], AtMost, Once, Some]


def inside(key: str, group: Group) -> Iterator[str]:
    """Problems of a group that is made when it is not given; one that is given says them itself."""
    return (f"{key}.{problem}" for problem in group.problems())


def listed(values: tuple) -> str:
    """Values as people list them, the first ten of many."""
    more = f", ... ({len(values)} in all)" if len(values) > 10 else ""
    return (", ".join(map(str, values[:10])) or "nothing") + more


def shortened(text: str, most: int = 80) -> str:
    """A text of at most so many characters."""
    return text if len(text) <= most else f"{text[: most - 3]}..."
