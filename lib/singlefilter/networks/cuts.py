"""Cut points of a network: found by letting a few made-up images through it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from singlefilter.errors import CutError, ForwardError
from singlefilter.networks import layouts
from singlefilter.networks.batches import images_of, taken
from singlefilter.networks.calling import Call, Forward, number_format
from singlefilter.networks.capture import Reading, random_state, reading
from singlefilter.networks.places import HEAD, INPUT, CutPoint, Place

FEW = 3  # images of a trial pass; one less in another: the axis that changes counts them
LARGER = 32  # pixels more on each side, in a pass that tells positions from filters


def cut_points_at(
    model: nn.Module,
    places: Sequence[str],
    image_size: int | tuple[int, int],
    *,
    channels: int = 3,
    layout: str = "auto",
) -> tuple[CutPoint, ...]:
    """Cut points at the named places of a network of images, in the order given (see `places` for how to write them).

    image_size: side of square images, or (height, width); layout: one of `layouts.LAYOUTS`, where the map does not
    tell its own.  Raises `CutError`, `ForwardError`: see `found`.

    Example: `cut_points_at(torchvision.models.resnet18(), ["layer1", "layer4"], image_size=64)`.
    """
    size = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    return found(model, places, noise(model, (channels, *size)), layout=layout)


def noise(model: nn.Module, shape: Sequence[int]) -> torch.Tensor:
    """Made-up images of a shape, on the network's device, from a generator of their own."""
    generator = torch.Generator().manual_seed(0)
    device = next((tensor.device for tensor in (*model.parameters(), *model.buffers())), torch.device("cpu"))
    return torch.rand(FEW, *shape, generator=generator).mul_(2).sub_(1).to(device, number_format(model))


def found(
    model: nn.Module,
    places: Sequence[str],
    example: torch.Tensor,
    *,
    forward: Forward | None = None,
    layout: str = "auto",
) -> tuple[CutPoint, ...]:
    """Cut points at the named places, by what comes there of a few images; the network is left as it was found.

    example: two images or more, as the network is given them, on its device; forward: `forward(model, batch)`, by
    default `model(batch)`.

    Raises `CutError` for a network that hooks cannot read (compiled, traced, scripted), a place that is not there, is
    not called in eval mode, is called several times, gives no tensor, or whose axes cannot be told apart;
    `ForwardError` where the network itself fails.  Source: section 10.
    """
    check_readable(model)
    if layout not in ("auto", *layouts.LAYOUTS):
        raise CutError(f"layout: {layout!r} is none of auto, {', '.join(layouts.LAYOUTS)}")
    if twice := [text for text in places if list(places).count(text) > 1]:
        raise CutError(f"{twice[0]} is named twice among the places to cut at")

    looked_at = survey(model, places, example, forward=forward, layout=layout)
    for one in looked_at.values():
        if isinstance(one, CutError):
            raise one
    return tuple(looked_at.values())


def survey(
    model: nn.Module,
    places: Sequence[str],
    example: torch.Tensor,
    *,
    forward: Forward | None = None,
    layout: str = "auto",
) -> dict[str, CutPoint | CutError]:
    """`found`, with the error of each place that is none in its place."""
    call, images = Call(model, forward), len(images_of(example))
    with reading(model, places) as read:
        read.clear()
        call.tried(example)
        whole, others = _shapes(read), dict(read.others)
        numbers = {text: maps.dtype for text, maps in read.maps.items()}
        calls = dict(read.calls)
        overwritten = {text for text, maps in read.maps.items() if maps._version != read.versions[text]}
        read.clear()
        call.tried(taken(example, slice(-1)))
        fewer = _shapes(read)
        larger = _of_larger(call, read, example)
    looked_at: dict[str, CutPoint | CutError] = {}
    for layer, text in enumerate(places, start=1):
        try:
            _check_called(model, text, calls.get(text, 0))
            if text not in whole:
                raise CutError(f"{text} gives no tensor but {_described(text, others.get(text))}")
            if not numbers[text].is_floating_point:
                raise CutError(f"{text} gives {numbers[text]}; a map is of real numbers, so cut elsewhere")
            _check_images(text, whole[text], fewer.get(text, ()), images)
            module = model.get_submodule(Place.of(text).module)
            axes = _axes(module, text, whole[text], larger.get(text), example, layout)
        except CutError as error:
            looked_at[text] = error
            continue
        shape = layouts.view(torch.empty(whole[text], device="meta"), axes).shape
        size, written = tuple(shape[2:]), text in overwritten
        looked_at[text] = CutPoint(f"layer {layer}", layer, text, shape[1], size, axes, written)
    return looked_at


def check_readable(model: nn.Module) -> None:
    """Raise `CutError` for a network whose modules are not called one by one, so that hooks see nothing."""
    for name, module in model.named_modules():
        kind = type(module).__name__
        where = f"{name or 'the network'} ({kind})"
        if hasattr(module, "_orig_mod"):
            raise CutError(f"{where} is compiled, and runs past the hooks that read its maps; give its ._orig_mod")
        if isinstance(module, torch.jit.ScriptModule):
            raise CutError(
                f"{where} is traced or scripted, and runs past the hooks that read its maps; give the original"
            )


def _shapes(read: Reading) -> dict[str, tuple[int, ...]]:
    return {text: tuple(maps.shape) for text, maps in read.maps.items()}


def _check_called(model: nn.Module, text: str, calls: int) -> None:
    """Raise `CutError` unless a place is one call of a module."""
    place = Place.of(text)
    if not calls:
        name = place.module or "the network"
        raise CutError(f"{name} is not called by the network in eval mode; {_instead(model, place)}")
    if place.call is None and calls > 1:
        several = ", ".join(f"{place.module}#{call}" for call in range(1, calls + 1))
        raise CutError(f"{text} is called {calls} times in a forward pass; say which call: {several}")
    if place.call is not None and place.call > calls:
        raise CutError(f"{text}: {place.module} is called {calls} times in a forward pass")


def _instead(model: nn.Module, place: Place) -> str:
    """Where to cut instead of a module that is not called: those of a list are gone through one by one."""
    parts = [f"{place.module}.{name}" for name, _ in model.get_submodule(place.module).named_children()]
    return f"cut at one of its parts, such as {parts[-1]}" if parts else "cut elsewhere"


def _described(text: str, other: object) -> str:
    kind = type(other).__name__
    if isinstance(other, dict):
        keys = [key for key, value in other.items() if isinstance(value, torch.Tensor)]
    elif isinstance(other, tuple | list):
        keys = [number for number, value in enumerate(other) if isinstance(value, torch.Tensor)]
    else:
        return kind
    tensors = ", ".join(f"{text.partition(':')[0]}:{key}" for key in keys)
    return f"a {kind}" + (f"; name one of its tensors: {tensors}" if keys else " without one")


def _of_larger(call: Call, read: Reading, example: torch.Tensor) -> dict[str, tuple[int, ...]]:
    """Shapes for larger images, none where the network takes images of one size only."""
    if not isinstance(example, torch.Tensor) or example.ndim != 4:
        return {}
    read.clear()
    try:
        call(nn.functional.pad(example[:2], (0, LARGER, 0, LARGER)))
    except Exception:  # whatever a network says of images that it was not made for
        return {}
    return _shapes(read)


def _check_images(text: str, shape: tuple[int, ...], fewer: tuple[int, ...], images: int) -> None:
    if not shape or (shape[0], fewer[0] if fewer else None) != (images, images - 1):
        raise CutError(
            f"{text}: the first axis of its output {list(shape)} does not count the images ({images} were given); "
            "cut where it does"
        )


def _axes(
    module: nn.Module,
    text: str,
    shape: tuple[int, ...],
    larger: tuple[int, ...] | None,
    example: torch.Tensor,
    asked: str,
) -> str:
    """The layout of a map: as asked for, where that has as many axes, or as everything known of it allows; `CutError`
    where it is open, or another one than asked for."""
    if Place.of(text).part == HEAD:
        return "NTHD"
    if len(shape) not in (2, 3, 4):
        raise CutError(f"{text}: its output is {list(shape)}; maps have 4 axes (NCHW, NHWC), 3 (NTC, NCT) or 2 (NC)")
    given = Place.of(text).part == INPUT  # of which the module says nothing
    evidence = [layouts.possible(nn.Identity() if given else module, shape, images_of(example).shape[-2:])]
    if larger is not None:
        evidence.append(layouts.told_by_size(shape, larger))
    left = [name for name in evidence[0] if all(name in allowed for allowed in evidence)]
    if asked != "auto" and len(asked) == len(shape):
        if left and asked not in left:
            raise CutError(f"{text}: layout {asked} was asked for, its output {list(shape)} is {' or '.join(left)}")
        return asked
    if len(left) > 1 and not given:
        left = [name for name in left if name in layouts.told_by_width(module, shape)]
    if len(left) != 1:
        of_axes = [name for name in layouts.LAYOUTS if len(name) == len(shape) and name != "NTHD"]
        raise CutError(
            f"{text}: it cannot be told which axis of its output {list(shape)} are the filters; say layout="
            f"{' or '.join(map(repr, of_axes))}"
        )
    return left[0]


def check_steady(model: nn.Module, cuts: Sequence[CutPoint], call: Call, read: Reading, inputs: torch.Tensor) -> None:
    """Raise `ForwardError` where the maps of an image are no numbers, or depend on the images beside it or on chance.

    So they do behind batch norms without running statistics, and behind dropout that stays on in eval mode: mean maps
    would be those of batches and orders, not of labels.  inputs: a few images as the network is given them.
    """
    _check_not_drawn(cuts, call, read, inputs)
    count = min(4, len(images_of(inputs)))
    both = _maps(cuts, call, read, taken(inputs, slice(count)))
    alone = _maps(cuts, call, read, taken(inputs, slice(max(1, count // 2))))
    for cut, seen, again in zip(cuts, both, alone, strict=True):
        if not (finite := seen.isfinite()).all():
            bad = int((~finite).transpose(0, 1).flatten(1).any(1).nonzero()[0])
            raise ForwardError(
                f"{cut.module}: its map has values that are NaN or infinite, first in filter {bad}; look at the "
                f"network's weights, its number format ({seen.dtype}) and the scale of its images"
            )
        seen, again = seen[: len(again)].double(), again.double()
        apart = (seen - again).abs().max() / seen.abs().max().clamp(min=1e-30)
        if apart > (1e-3 if both[0].dtype in (torch.float32, torch.float64) else 5e-2):
            raise ForwardError(
                f"{cut.module}: the map of an image is another one when other images are beside it in the batch, or "
                f"when it is asked for again (by {apart:.0%} of its largest value): {_culprit(model)}"
            )


def _check_not_drawn(cuts: Sequence[CutPoint], call: Call, read: Reading, inputs: torch.Tensor) -> None:
    """Raise `ForwardError` where random numbers are drawn before a map is there: what is drawn seldom, or changes
    little, is seen in no two passes."""
    start, read.random = random_state(), {}
    try:
        _maps(cuts, call, read, taken(inputs, slice(2)))
        drawn = next((cut.module for cut in cuts if read.random[cut.module] != start), None)
    finally:
        read.random = None
    if drawn is not None:
        raise ForwardError(
            f"{drawn}: the network draws random numbers before this map, in eval mode too, so it is another one each "
            "time; take out what draws them (dropout with training=True, random depth, noise on images), or cut "
            "before it"
        )


def _maps(cuts: Sequence[CutPoint], call: Call, read: Reading, inputs: torch.Tensor) -> list[torch.Tensor]:
    read.clear()
    call(inputs)
    return [cut.view(read.maps[cut.module]).clone() for cut in cuts]


def _culprit(model: nn.Module) -> str:
    for name, module in model.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is None:
            return (
                f"{name} ({type(module).__name__}) has no running statistics and norms by the batch; give it some "
                "(track_running_stats=True) and settle them on training images, or use another norm"
            )
        if module.training:
            return f"{name} ({type(module).__name__}) stays in train mode"
    return "its forward pass draws random numbers (dropout with training=True?) or norms by the batch"
