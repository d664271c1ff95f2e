"""Places in a network and cut points at them: how they are written, and what a map there is like.

A place is a module's dotted name, with `#2` for its second call where it is called several times, and with `:input`
for what it is given, `:1` or `:key` for a part of a tuple or mapping that it returns, `:head` for the heads of an
attention before they are joined.  Source: section 10.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

import torch

from singlefilter.errors import CutError
from singlefilter.networks import layouts

INPUT, HEAD = "input", "head"
_WRITTEN = re.compile(r"(?P<module>[^#:]*)(#(?P<call>[1-9][0-9]*))?(:(?P<part>[^#:]+))?")


@dataclass(frozen=True)
class Place:
    """A place as it is written, taken apart: `call` counts from 1, None where the module is called once."""

    module: str
    call: int | None
    part: str | None

    @classmethod
    def of(cls, text: str) -> Place:
        """Raises `CutError` for what cannot be read as a place."""
        found = _WRITTEN.fullmatch(text)
        if found is None:
            raise CutError(
                f"{text!r} is no place in a network; write module, module#2 (its second call), module:input, "
                "module:1 (a part of what it returns) or module:head"
            )
        call = found["call"]
        return cls(found["module"], None if call is None else int(call), found["part"])


@dataclass(frozen=True)
class CutPoint:
    """A place to cut: `module` as it is written, the `layer`-th from the input.

    The map there has `filters` filters, each with positions of this `size`: (height, width), (tokens,), or (1,) of a
    vector.  `layout` says how its axes lie (`layouts.LAYOUTS`); `overwritten`, that a later layer writes over it.
    """

    name: str
    layer: int
    module: str
    filters: int
    size: tuple[int, ...]
    layout: str = "NCHW"
    overwritten: bool = False

    @property
    def positions(self) -> int:
        return math.prod(self.size)

    def view(self, maps: torch.Tensor) -> torch.Tensor:
        """The maps of a pass as `[images, filters, *size]`, uncopied.

        Raises `CutError` where they are not those of this cut, as of images of another size.
        """
        seen = layouts.view(maps, self.layout) if maps.ndim == len(self.layout) else maps
        if tuple(seen.shape[1:]) != (self.filters, *self.size):
            raise CutError(
                f"{self.module}: the cut point has {self.filters} filters with {times(self.size)} positions, the map "
                f"is {times(maps.shape[1:])} ({self.layout}); make cut points with images of the size of those that "
                "are measured"
            )
        return seen


def times(size: Iterable[int]) -> str:
    """A size as it is read: `7 x 7`."""
    return " x ".join(map(str, size))


def unknown_module(name: str, known: Iterable[str]) -> str:
    """What to say of a module that is not there: the nearest names, else some that there are."""
    names = [other for other in known if other]
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}?" if near else f"it has, among others, {', '.join(names[:7])}"
    return f"the network has no module {name!r}; {hint}"
