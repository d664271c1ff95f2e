"""One call from a network and images to clusters, noise and SNR of every cut."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from singlefilter import profiles
from singlefilter import progress as progress_
from singlefilter.analysis import heads as heads_
from singlefilter.analysis.choosing import automatic, possible
from singlefilter.analysis.result import Measured, Result
from singlefilter.analysis.sources import Reading, Source, source
from singlefilter.errors import CutError, HeadError, InputError
from singlefilter.method import fields
from singlefilter.method.clusters import THRESHOLD
from singlefilter.method.heads import FEW
from singlefilter.networks.batches import images_of, mapped, taken
from singlefilter.networks.calling import Forward
from singlefilter.networks.cuts import found
from singlefilter.networks.places import CutPoint

MOST = 500  # images at a time
MAPS_MIB = 100  # what a batch's maps at the cuts may take


class _NoImage(InputError):
    """A label without an image."""


def analyze(
    model: nn.Module,
    train: Any,
    test: Any = None,
    *,
    at: str | nn.Module | Sequence[str | nn.Module] = "auto",
    progress: bool = True,
    heads: Any = "train",
    recipe: profiles.Heads = heads_.RECIPE,
    preprocess: Callable[[torch.Tensor], torch.Tensor] | None = None,
    forward: Forward | None = None,
    layout: str = "auto",
    labels: Sequence[str] | int | None = None,
    outputs: Sequence[int] | Mapping[str, int] | None = None,
    threshold: float = THRESHOLD,
    batch: int | None = None,
    image_size: int | None = None,
    device: str | torch.device | None = None,
    seed: int = 1,
    checkpoint: str | Path | None = None,
) -> Result:
    """What single filters of a network recognise, at every cut; the network is left as it was found.

    Heads are trained on `train`, class means and so field matrices come from it too; accuracy and d' come from `test`
    (None: from `train`, and the result says so).  Source: sections 2 to 6 and 10.

    - train, test: a `DataLoader`, a `Dataset`, `(images, labels)` of tensors or arrays, a `data.Split`, or a folder
      with a folder of images for each label.
    - at: "auto" (see `cuts`), or places: a module or its name, `relu#2`, `fc:input`, `inner:1`, `attn:head`.
    - heads: "train" by `recipe`; "own", the network's own linear layer behind each cut, bias included; or linear
      layers (or weights `[labels, filters, positions]`) by the place of the cut.
    - preprocess: from a batch of images to what the network is given; None: real numbers as they are, uint8 by
      2x - 1.  forward: `forward(model, batch)`; None: `model(images)`.
    - layout: of every map, where that cannot be told ("NCHW", "NHWC", "NTC", "NCT", "NC").
    - outputs: of heads that have more outputs than there are labels, the one that each label is, in the order of the
      labels or by their names; the other outputs are left out, of fields and answers and d'.
    - labels: their names, or how many; threshold: of the clip; batch: images at a time (None: by the size of maps);
      device: None for the network's own; checkpoint: a file that training of heads goes on from.

    Raises `CutError`, `HeadError`, `InputError`, `ForwardError`, `fields.NotFinite`, `epochs.Diverged`.

    Example: `analyze(torchvision.models.resnet18(), (images, labels), at=["layer3", "layer4"]).layers`.
    """
    _check_asked(threshold, batch, seed)
    model, prefix = _unwrapped(model)
    quietly = contextlib.nullcontext() if progress else progress_.silent()
    with torch.inference_mode(False), torch.random.fork_rng(), quietly:
        on = _device(model, device)
        how = Reading(on, batch or 32, preprocess, image_size, whole_batches=forward is not None)
        images = source(train, how)
        few = _few(images)
        cuts = _cuts(model, at, few, forward, layout, prefix)
        how = Reading(on, batch or _batch(cuts, few), preprocess, image_size, whole_batches=forward is not None)
        images, tested = source(train, how), None if test is None else source(test, how)
        names = _names(labels, images, tested)
        notes = {
            "pixels": images.note,
            "tested": "train" if test is None else "test",
            "network": type(model).__name__,
        }
        train_heads = isinstance(heads, str) and heads == "train"
        points = heads_.points_of(cuts, whole=not train_heads)
        if train_heads:
            if outputs is not None:
                raise HeadError("outputs: heads that are trained have one for each label; leave outputs out")
            of_cuts, count = heads_.trained(
                model, points, images, len(names) if names else None, recipe,
                seed=seed, few=few, forward=forward, checkpoint=None if checkpoint is None else Path(checkpoint),
            )  # fmt: skip
        elif isinstance(heads, str) and heads != "own":
            raise HeadError(f"heads: {heads!r} is none of 'train', 'own', or linear layers by the place of their cut")
        else:
            of_cuts = heads_.given(heads, model, cuts)
            if outputs is not None:
                there = len(next(iter(of_cuts.values())).weight)
                of_cuts = heads_.chosen(of_cuts, outputs, names)
                notes["outputs"] = f"{len(outputs)} of {there}"
            count = heads_.outputs_of(of_cuts, None if names is None else len(names))
        if count < 2:
            raise InputError(f"there is {count} label; what filters recognise is told from at least one other")
        names = names or tuple(map(str, range(count)))
        try:
            measured = _measured(model, points, of_cuts, names, images, tested, few, forward)
        except _NoImage as error:
            raise error if train_heads else HeadError(f"{error}; {heads_.WHICH_OUTPUTS}") from None
        return Result(tuple(cuts), of_cuts, measured, names, threshold, seed, notes, model)


def _measured(
    model: nn.Module,
    points: Sequence,
    of_cuts: dict[str, heads_.Head],
    names: tuple[str, ...],
    train: Source,
    test: Source | None,
    few: Any,
    forward: Forward | None,
) -> dict[str, Measured]:
    """Class means from the training images, answers and d' from the test images, in one pass over each."""
    on = images_of(few).device
    weights = {point.name: of_cuts[point.cut.module].weight for point in points}
    biases = {
        point.name: of_cuts[point.cut.module].bias for point in points if of_cuts[point.cut.module].bias is not None
    }
    sums = fields.Sums(points, weights, len(names), on, biases)
    with torch.no_grad(), fields.maps_of(model, points, few, forward) as maps:
        answers = _walk(train, sums, maps, names, "measuring")
        missing = (sums.images == 0).nonzero()[:, 0].tolist()
        if missing:
            raise _NoImage(
                f"label {names[missing[0]]!r} (number {missing[0]}) has no image; labels count from 0 without gaps"
            )
        means = sums.class_means()
        if test is not None:
            again = fields.Sums(points, weights, len(names), on, biases)
            answers = _walk(test, again, maps, names, "testing")
    return {
        point.cut.module: Measured(
            means[point.name], answers[0][number], answers[1][number], point.size, int(sums.images.sum())
        )
        for number, point in enumerate(points)
    }


def _walk(
    images: Source, sums: fields.Sums, maps: Callable, names: tuple[str, ...], title: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """One pass: whether each head is right, bool `[heads, images]`, and d', float32 `[heads, images]`."""
    correct, dprime = [], []
    batches = images.walk()
    if images.steps is not None:
        batches = progress_.bar(batches, title, "step", total=images.steps)
    for inputs, truth in batches:
        heads_.check_labels(int(truth.min()), int(truth.max()) + 1, len(names))
        right, snr = sums.add(maps(inputs), truth)
        correct.append(right.cpu())
        dprime.append(snr.cpu())
    if not correct:
        raise InputError(f"{title}: there are no images")
    return torch.cat(correct, 1), torch.cat(dprime, 1)


def _unwrapped(model: nn.Module) -> tuple[nn.Module, str]:
    """The network inside torch's wrappers for several devices, and what its names begin with there."""
    if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
        return model.module, "module."
    if not isinstance(model, nn.Module):
        raise InputError(f"a network is a torch.nn.Module, this is a {type(model).__name__}")
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if tensor.is_meta:
            raise InputError(f"{name} lies on the meta device, where weights have shapes and no numbers; load them")
        if tensor.is_inference():
            raise InputError(
                f"{name} was made under torch.inference_mode, and torch lets nobody lay it out anew; copy it"
            )
    return model, ""


def _check_asked(threshold: float, batch: int | None, seed: int) -> None:
    """Raise `InputError` for numbers that would fail, or mean nothing, after all the work."""
    if not 0 < threshold < 1:  # nor NaN
        raise InputError(f"threshold: {threshold} given, it lies between 0 and 1, both excluded (the paper: 0.3)")
    if batch is not None and batch < 1:
        raise InputError(f"batch: {batch} given, at least 1 image at a time is needed")
    if seed < 0:
        raise InputError(f"seed: {seed} given, seeds count from 0")


def _device(model: nn.Module, asked: str | torch.device | None) -> torch.device:
    """The device that was asked for, once it has held a number; the network's own where none was."""
    if asked is None:
        tensors = (*model.parameters(), *model.buffers())
        return next((tensor.device for tensor in tensors), torch.device("cpu"))
    try:
        return torch.zeros(1, device=asked).device
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device: {asked} cannot be used here: {str(error).splitlines()[0]}") from error


def _few(images: Source) -> Any:
    """A few images, two at least, as the network is given them."""
    inputs, _ = images.first()
    few = taken(inputs, slice(FEW))
    if len(images_of(few)) > 1:
        return few
    return mapped(few, lambda tensor: torch.cat([tensor, tensor]))  # one image does not tell which axis is theirs


def _cuts(
    model: nn.Module,
    at: str | nn.Module | Sequence[str | nn.Module],
    few: Any,
    forward: Forward | None,
    layout: str,
    prefix: str,
) -> tuple[CutPoint, ...]:
    if isinstance(at, str) and at == "auto":
        places = automatic(model, possible(model, few, forward))
        if not places:
            raise CutError("no module of this network gives a map whose axes can be told; name places to cut at")
    else:
        known = dict(model.named_modules())
        places = [_written(place, known) for place in ([at] if isinstance(at, str | nn.Module) else at)]
        places = [
            place.removeprefix(prefix) if place.partition(":")[0].partition("#")[0] not in known else place
            for place in places
        ]
    if not places:
        raise CutError("at: no place to cut at is named")
    return found(model, places, few, forward=forward, layout=layout)


def _written(place: str | nn.Module, known: dict[str, nn.Module]) -> str:
    """The name of a place, which may be given as the module itself."""
    if isinstance(place, str):
        return place
    name = next((name for name, module in known.items() if module is place), None)
    if name is None:
        raise CutError(f"at: a place is a module of the network, or its name; this {type(place).__name__} is neither")
    return name


def _batch(cuts: Sequence[CutPoint], few: Any) -> int:
    """Images at a time: as many as their maps and pixels leave within a bound of memory."""
    bytes_ = 4 * (sum(cut.filters * cut.positions for cut in cuts) + 16 * images_of(few)[0].numel())
    return max(1, min(MOST, MAPS_MIB * 2**20 // bytes_))


def _names(labels: Sequence[str] | int | None, train: Source, test: Source | None) -> tuple[str, ...] | None:
    if isinstance(labels, int):
        return tuple(map(str, range(labels)))
    if isinstance(labels, str):
        raise InputError(f"labels: a name for each, or how many there are; {labels[:60]!r} is one name")
    if labels is not None:
        return tuple(map(str, labels))
    if test is not None and test.names and train.names and test.names != train.names:
        raise InputError(
            "training and test images have labels of different names; the first that differ: "
            + _first(train.names, test.names)
        )
    return train.names or (test.names if test is not None else None)


def _first(one: tuple[str, ...], other: tuple[str, ...]) -> str:
    pairs = [(a, b) for a, b in zip(one, other, strict=False) if a != b] or [(f"{len(one)} names", f"{len(other)}")]
    return " and ".join(pairs[0])
