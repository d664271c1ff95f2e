"""Heads of an analysis: trained on the frozen trunk, or the network's own classifier, or given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import index
from typing import Any

import torch
from torch import nn

from singlefilter import profiles
from singlefilter.analysis.sources import Source
from singlefilter.errors import HeadError, InputError
from singlefilter.method import heads as heads_
from singlefilter.networks import checkpoints
from singlefilter.networks.batches import images_of
from singlefilter.networks.calling import Forward
from singlefilter.networks.places import INPUT, CutPoint, Place

RECIPE = profiles.Heads(epochs=20, factor=0.776, kinds=("flat",), shift=0, flip=False)
WHICH_OUTPUTS = (
    "where a head has more outputs than there are labels, number labels from 0 and say which output each of them is: "
    "outputs=[...], one a label"
)
KEPT_GIB = 2.0  # of features that are kept, so that the trunk is run once


@dataclass(frozen=True)
class Head:
    """A linear head: weight, float32 `[out_label, filters, positions]`; bias, float32 `[out_label]`, or None."""

    weight: torch.Tensor
    bias: torch.Tensor | None = None


def points_of(cuts: Sequence[CutPoint], whole: bool) -> tuple[heads_.HeadPoint, ...]:
    """A flat head on each cut; on the map as it is, however large, where `whole`."""
    return tuple(heads_.HeadPoint(cut, "flat", cut.size if whole else heads_.flat_size(cut)) for cut in cuts)


def given(heads: Any, model: nn.Module, cuts: Sequence[CutPoint]) -> dict[str, Head]:
    """Heads by the cut's place: `"own"`, the network's own linear layer behind each cut, or linear layers by place.

    Raises `HeadError` for a cut without a head, or with one that is not linear or does not fit the cut's map.
    """
    found = {}
    for cut in cuts:
        if isinstance(heads, str):
            layer = _own(model, cut)
        elif isinstance(heads, Mapping) and cut.module in heads:
            layer = heads[cut.module]
        else:
            raise HeadError(f"{cut.module}: no head is given for this cut; heads has {_listed(heads)}")
        found[cut.module] = _shaped(layer, cut)
    return found


def chosen(
    of_cuts: Mapping[str, Head], outputs: Sequence[int] | Mapping[str, int], names: Sequence[str] | None
) -> dict[str, Head]:
    """Heads with an output for each label, of those with more: `outputs` says which, in the order of the labels or by
    their names.

    Raises `HeadError` for outputs that are not there, are there twice, or are not one for each label.
    """
    if isinstance(outputs, Mapping):
        if names is None:
            raise HeadError("outputs are given by names of labels, and labels have none; give labels=[...] too")
        if missing := [name for name in names if name not in outputs]:
            raise HeadError(f"outputs: none is given for label {missing[0]!r}")
        if unknown := [name for name in outputs if name not in names]:
            raise HeadError(f"outputs: there is no label {unknown[0]!r}; labels are {', '.join(names[:10])}")
        outputs = [outputs[name] for name in names]
    try:
        wanted = [index(output) for output in outputs]
    except TypeError as error:
        raise HeadError(f"outputs: whole numbers, one a label; {error}") from error
    if names is not None and len(wanted) != len(names):
        raise HeadError(f"outputs: {len(wanted)} given, there are {len(names)} labels; give one for each")
    if twice := [output for output in wanted if wanted.count(output) > 1]:
        raise HeadError(f"outputs: {twice[0]} is given twice; labels that share an output cannot be told apart")
    for place, head in of_cuts.items():
        if wrong := [output for output in wanted if not 0 <= output < len(head.weight)]:
            raise HeadError(f"outputs: {wrong[0]} given, the head of {place} has 0 to {len(head.weight) - 1}")
    return {
        place: Head(head.weight[wanted], None if head.bias is None else head.bias[wanted])
        for place, head in of_cuts.items()
    }


def outputs_of(of_cuts: Mapping[str, Head], labels: int | None) -> int:
    """How many outputs all heads have.  Raises `HeadError` where they differ, or are not one for each label."""
    counts = {place: len(head.weight) for place, head in of_cuts.items()}
    (first, count), *others = counts.items()
    for place, other in others:
        if other != count:
            raise HeadError(f"the head of {first} has {count} outputs, that of {place} {other}; they have to agree")
    if labels is not None and labels != count:
        raise HeadError(f"{first}: its head has {count} outputs, there are {labels} labels; {WHICH_OUTPUTS}")
    return count


def _own(model: nn.Module, cut: CutPoint) -> nn.Module:
    """The linear layer whose input a cut is: written `fc:input`."""
    place = Place.of(cut.module)
    layer = model.get_submodule(place.module)
    if place.part == INPUT and isinstance(layer, nn.Linear):
        return layer
    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    hint = f"such as {linear[-1]}:input" if linear else "of which this network has none"
    raise HeadError(
        f"{cut.module}: what follows this cut is not known to be linear in its map; heads='own' takes cuts at the "
        f"input of a linear layer, {hint}, or give heads='train'"
    )


def _shaped(layer: Any, cut: CutPoint) -> Head:
    weight, bias = layer, None
    if isinstance(layer, nn.Module):
        if not isinstance(layer, nn.Linear):
            raise HeadError(f"{cut.module}: a head is a linear layer, this is a {type(layer).__name__}")
        weight, bias = layer.weight, layer.bias
    if isinstance(layer, Head):
        weight, bias = layer.weight, layer.bias
    weight = torch.as_tensor(weight).detach().float().cpu()
    inputs = cut.filters * cut.positions
    if weight.ndim == 2 and weight.shape[1] == inputs:
        weight = weight.unflatten(1, (cut.filters, cut.positions))
    if tuple(weight.shape[1:]) != (cut.filters, cut.positions):
        raise HeadError(
            f"{cut.module}: a head of this cut has weights [labels, {inputs}] or [labels, {cut.filters}, "
            f"{cut.positions}] (filters, positions), this one has {list(weight.shape)}"
        )
    return Head(weight, None if bias is None else bias.detach().float().cpu())


def trained(
    model: nn.Module,
    points: Sequence[heads_.HeadPoint],
    train: Source,
    labels: int | None,
    recipe: profiles.Heads,
    *,
    seed: int,
    few: Any,
    forward: Forward | None,
    checkpoint,
) -> tuple[dict[str, Head], int]:
    """Heads trained on what the frozen trunk gives (`method.heads`), by the cut's place, and the number of labels.

    Features of one pass are kept where they take no more than `KEPT_GIB`, else the trunk is run in every epoch.
    Raises `InputError` for labels that are none, `Diverged`.
    """
    on = images_of(few).device
    with heads_.frozen_trunk(model, points, few, forward) as features:

        def walk() -> Iterator[tuple[list[torch.Tensor], torch.Tensor]]:
            for inputs, truth in train.walk():
                yield [feature.float() for feature in features(inputs)], truth

        images, kept = _look(walk(), points)
        if labels is None:
            labels = images.labels
        check_labels(images.lowest, images.labels, labels)

        def batches(epoch: int) -> Iterator[tuple[list[torch.Tensor], torch.Tensor]]:
            if kept is None:
                yield from walk()
                return
            generator = torch.Generator().manual_seed(heads_.data.mix(seed, epoch))
            order = torch.randperm(len(kept[1]), generator=generator).to(on)
            for chosen in order.split(recipe.batch):
                yield [feature[chosen] for feature in kept[0]], kept[1][chosen]

        of = "" if checkpoint is None else checkpoints.fingerprint(model.state_dict())
        weights, _ = heads_.fit_features(
            batches, images.count, points, labels, recipe, on=on, seed=seed, checkpoint=checkpoint, of=of
        )
    return {point.cut.module: Head(weights[point.name]) for point in points}, labels


@dataclass(frozen=True)
class _Seen:
    count: int
    lowest: int
    labels: int


def _look(batches: Iterator, points: Sequence[heads_.HeadPoint]) -> tuple[_Seen, tuple | None]:
    """A first pass: how many images and labels there are, and the features where there is room for them."""
    room = KEPT_GIB * 2**30
    features, truths, count, lowest, highest = [], [], 0, 0, -1
    per_image = 4 * sum(point.fan_in for point in points)
    for batch, truth in batches:
        count += len(truth)
        lowest, highest = min(lowest, int(truth.min())), max(highest, int(truth.max()))
        if features is not None and count * per_image <= room:
            features.append([feature.clone() for feature in batch])
            truths.append(truth)
        else:
            features = None
    if not count:
        raise InputError("there are no images to train heads on")
    kept = None
    if features is not None:
        kept = [torch.cat(parts) for parts in zip(*features, strict=True)], torch.cat(truths)
    return _Seen(count, lowest, highest + 1), kept


def check_labels(lowest: int, seen: int, labels: int) -> None:
    """Raise `InputError` for labels below 0 or above those that are named."""
    if lowest < 0:
        raise InputError(f"labels count from 0, {lowest} is among them; leave those images out or number labels anew")
    if seen > labels:
        raise InputError(f"there are {labels} labels, and a label {seen - 1}; labels count from 0, name every one")


def _listed(heads: Any) -> str:
    return ", ".join(map(str, heads)) if isinstance(heads, Mapping) else repr(heads)
