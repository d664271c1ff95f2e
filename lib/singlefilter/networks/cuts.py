"""Where a network may be cut.

A network is an ordinary `nn.Module`; a `CutPoint` names the module after which it is cut.  `capture` reads the maps
at the cuts while the network runs, and leaves the network as it was found.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from singlefilter.networks.building import Resized


@dataclass(frozen=True)
class CutPoint:
    """A place to cut: after `module` (its dotted name), the `layer`-th from the input.

    The map there has `filters` filters of `side * side` positions.
    """

    name: str
    layer: int
    module: str
    filters: int
    side: int

    @property
    def positions(self) -> int:
        return self.side**2


def cut_points(model: nn.Module, image_size: int) -> tuple[CutPoint, ...]:
    """Every place where this network may be cut, from input to output.

    VGG: after each convolution layer, its batch norm, ReLU and max-pool included. EfficientNet-B0: after each of
    its nine stages.  For another network make `CutPoint`s by hand, or with `cut_points_at`.
    """
    inner, prefix = (model.model, "model.") if isinstance(model, Resized) else (model, "")
    if not isinstance(getattr(inner, "features", None), nn.Sequential):
        raise ValueError(f"{type(inner).__name__} has no `features`; name the modules yourself with cut_points_at")
    names = [f"{prefix}features.{name}" for name, _ in inner.features.named_children()]
    return cut_points_at(model, names, image_size)


def cut_points_at(model: nn.Module, modules: Sequence[str], image_size: int) -> tuple[CutPoint, ...]:
    """Cut points after the named modules of any network, their maps measured on one black image.

    Raises `ValueError` for a name that is not there, a module whose output is not a map
    `[images, filters, side, side]`, or one whose output the next module overwrites.
    """
    known = dict(model.named_modules())
    for name in modules:
        if name not in known:
            raise ValueError(
                f"the network has no module {name!r}; it has, among others, {', '.join(list(known)[1:8])}"
            )
    example = next(iter(model.parameters()))
    image = torch.zeros(1, 3, image_size, image_size, device=example.device, dtype=example.dtype)
    with capture(model, modules) as maps, ExitStack() as stack:
        writes: dict[str, int] = {}  # how often each output had been written to when its module returned it
        for name in modules:
            hook = known[name].register_forward_hook(
                lambda _, __, output, name=name: writes.update({name: getattr(output, "_version", 0)})
            )
            stack.callback(hook.remove)
        model(image)
    points = []
    for layer, name in enumerate(modules, start=1):
        shape = getattr(maps.get(name), "shape", ())
        if len(shape) != 4 or shape[2] != shape[3]:
            raise ValueError(f"the output of {name} is {list(shape)}, not a square map [images, filters, side, side]")
        if maps[name]._version != writes[name]:
            raise ValueError(
                f"the output of {name} is overwritten by what follows it, such as an in-place ReLU; cut after that"
            )
        points.append(CutPoint(f"layer {layer}", layer, name, shape[1], shape[2]))
    return tuple(points)


@contextmanager
def capture(model: nn.Module, modules: Sequence[str]) -> Iterator[dict[str, torch.Tensor]]:
    """Freeze a network and read the outputs of some of its modules: a mapping that each forward pass fills anew.

    Inside, the network is in eval mode and no graph is recorded; afterwards, also after an exception, every module
    is in the mode it was found in and the hooks are gone.
    """
    maps: dict[str, torch.Tensor] = {}
    modes = {module: module.training for module in model.modules()}
    known = dict(model.named_modules())
    with ExitStack() as stack:
        stack.callback(lambda: [setattr(module, "training", mode) for module, mode in modes.items()])
        for name in modules:
            hook = known[name].register_forward_hook(lambda _, __, output, name=name: maps.update({name: output}))
            stack.callback(hook.remove)
        model.eval()
        stack.enter_context(torch.no_grad())
        yield maps
