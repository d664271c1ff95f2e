"""What of a network could be cut, and which cuts are taken where nobody names any."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

import pandas as pd
import torch
from torch import nn

from singlefilter.errors import CutError
from singlefilter.networks.calling import Call, Forward
from singlefilter.networks.capture import reading
from singlefilter.networks.cuts import check_readable, survey
from singlefilter.networks.places import INPUT, CutPoint, Place

FEWEST = 3  # cuts that are worth a look at depth
_WEIGHTS = (nn.modules.conv._ConvNd, nn.Linear, nn.MultiheadAttention)


@dataclass(frozen=True)
class Possible:
    """A module that is called: how often, and the cut point there where it can be cut."""

    module: str
    calls: int
    cut: CutPoint | None


def cuts(model: nn.Module, example: torch.Tensor, forward: Forward | None = None) -> pd.DataFrame:
    """Every place where a network could be cut, in the order in which they are computed.

    example: two images or more as the network is given them, float `[images, channel, height, width]`.  Columns:
    module (as it is written), layout, filters, size (of the positions), positions, calls, chosen (whether `at="auto"`
    takes it).  What cannot be cut has no layout; `networks.cuts.found` says why.

    Example: `cuts(torchvision.models.resnet18(), torch.randn(2, 3, 64, 64))`.
    """
    there = possible(model, example, forward)
    chosen = automatic(model, there)
    if unlisted := set(chosen) - {one.module for one in there}:  # what a layer is given
        inputs = survey(model, list(unlisted), example, forward=forward)
        there += [Possible(place, 1, None if isinstance(one, CutError) else one) for place, one in inputs.items()]
    rows = [
        {
            "module": one.module,
            "layout": one.cut.layout if one.cut else "",
            "filters": one.cut.filters if one.cut else 0,
            "size": one.cut.size if one.cut else (),
            "positions": one.cut.positions if one.cut else 0,
            "calls": one.calls,
            "chosen": one.module in chosen,
        }
        for one in there
    ]
    return pd.DataFrame(rows, columns=["module", "layout", "filters", "size", "positions", "calls", "chosen"])


def possible(model: nn.Module, example: torch.Tensor, forward: Forward | None = None) -> list[Possible]:
    """Every module that is called, in the order in which they return, with its cut point where it can be cut."""
    check_readable(model)
    names = [name for name, _ in model.named_modules() if name]
    calls, order = _calls(model, names, example, forward)
    places = [
        place
        for name in order
        for place in ([name] if calls[name] == 1 else [f"{name}#{call}" for call in range(1, calls[name] + 1)])
    ]
    looked_at = survey(model, places, example, forward=forward)
    return [
        Possible(place, calls[Place.of(place).module], None if isinstance(one, CutError) else one)
        for place, one in looked_at.items()
    ]


def _calls(
    model: nn.Module, names: list[str], example: torch.Tensor, forward: Forward | None
) -> tuple[dict[str, int], list[str]]:
    """How often each module is called in a pass, and the modules in the order in which they return first."""
    order: dict[str, None] = {}
    with reading(model, names) as read, ExitStack() as stack:
        for name in names:
            hook = model.get_submodule(name).register_forward_hook(lambda *_, name=name: order.setdefault(name))
            stack.callback(hook.remove)
        Call(model, forward).tried(example)
        return dict(read.calls), list(order)


def automatic(model: nn.Module, there: list[Possible]) -> list[str]:
    """Places to cut where nobody names any: what holds weights and is called once, block by block.

    It begins with the network's parts and looks into every part that holds more than half of all layers with
    weights, until there are `FEWEST` maps.  Vectors are taken only of a network that has no maps; its answer never,
    but what the layer is given that answers, where there is nothing else.
    """
    by_name = {one.module: one for one in there if one.cut is not None and one.calls == 1}
    weights = {name for name, module in model.named_modules() if isinstance(module, _WEIGHTS)}

    def held(name: str) -> set[str]:
        return {other for other in weights if other == name or other.startswith(name + ".")}

    def parts(name: str) -> list[str]:
        module = model.get_submodule(name)
        return [f"{name}.{child}" if name else child for child, _ in module.named_children()]

    level = [name for name in parts("") if held(name)]
    for _ in range(8):
        largest = max(level, key=lambda name: len(held(name)), default=None)
        if largest is None or not parts(largest):
            break
        found_here = _maps(level, by_name)
        if len(held(largest)) * 2 <= len(weights) and len(found_here) >= FEWEST:
            break
        place = level.index(largest)
        inside = [name for name in parts(largest) if held(name)]
        if not inside:
            break
        level[place : place + 1] = inside
    places = {one.module: number for number, one in enumerate(there)}
    return sorted(_maps(level, by_name), key=lambda place: places.get(place, len(places)))


def _maps(level: list[str], by_name: dict[str, Possible]) -> list[str]:
    there = [by_name[name] for name in level if name in by_name]
    maps = [one.module for one in there if one.cut.layout != "NC"]
    if maps or not there:
        return maps
    return [one.module for one in there[:-1]] or [f"{there[-1].module}:{INPUT}"]
