"""Images and labels of a split as tensors, and parts of one."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from singlefilter.data import streams
from singlefilter.errors import InputError


class DataError(RuntimeError):
    """Data that are missing or cannot be used; the message says what was looked for and what to do."""


@dataclass(frozen=True)
class Split:
    """Images of one split, in memory or memory-mapped, and their labels on the device that computes.

    images: uint8 `[images, channel, height, width]`, on the labels' device where it has room for them; labels: int64
    `[images]` in any order (ascending when it comes from `load`), numbers of `names`; other integers are taken as
    int64.  Raises `InputError` for what is no split.
    """

    images: torch.Tensor
    labels: torch.Tensor
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.ndim != 4:
            raise InputError(
                f"a split has uint8 images [images, channel, height, width]; these are {self.images.dtype} "
                f"{list(self.images.shape)}"
            )
        if self.labels.ndim != 1 or len(self.images) != len(self.labels):
            raise InputError(
                f"a split has a label for each of its {len(self.images)} images; these are {list(self.labels.shape)}"
            )
        if self.images.device not in (self.labels.device, torch.device("cpu")):
            raise InputError(
                f"images lie on the device of their labels, {self.labels.device}, or in memory; these lie on "
                f"{self.images.device}"
            )
        object.__setattr__(self, "labels", checked_labels(self.labels, len(self.names)))

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def device(self) -> torch.device:
        """The device that computes, where `taken` yields."""
        return self.labels.device

    def to(self, device: torch.device) -> Split:
        """The same split for a device to compute with; images that it has no room for stay where they are."""
        moved = copy.copy(self)  # what is known to be a split need not be looked at again, which a GPU would wait for
        if streams.fits(self.images, device):
            object.__setattr__(moved, "images", self.images.to(device))
        object.__setattr__(moved, "labels", self.labels.to(device))
        return moved

    def first(self, count: int) -> torch.Tensor:
        """The first images, on the device that computes, to try how a network is called: uint8."""
        return self.images[:count].to(self.device)

    def taken(
        self, parts: Iterable[slice], order: torch.Tensor | None = None
    ) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Images and labels at the places of each part in turn, on the device that computes.

        order: int64 `[images]`, the order that places count in; None: as they lie.
        """
        parts = list(parts)
        of_images, of_labels = (
            parts if order is None else map(order.to(device).__getitem__, parts)
            for device in (self.images.device, self.device)
        )
        images = streams.taken(self.images, of_images, self.device)
        return zip(images, map(self.labels.__getitem__, of_labels), strict=True)

    def in_batches(self, batch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """All images and labels as they lie, `batch` at a time, on the device that computes."""
        check_batch(batch)
        return self.taken(slice(start, start + batch) for start in range(0, len(self), batch))


def check_batch(batch: int) -> None:
    """Raises `ValueError` unless a batch has at least one image."""
    if batch < 1:
        raise ValueError(f"a batch has at least one image, {batch} given")


def drawn_labels(labels: int, count: int, draw: int) -> tuple[int, ...]:
    """The `draw`-th random choice of `count` among `labels` labels, ascending; no two draws are the same choice.

    Raises `DataError` when there are fewer labels, or fewer different choices.
    """
    if not 1 <= count <= labels:
        raise DataError(f"{count} labels asked for, the data set has {labels}")
    if not 0 <= draw < math.comb(labels, count):
        raise DataError(
            f"draw {draw} of {count} among {labels} labels asked for: there are {math.comb(labels, count)}"
        )
    rng = np.random.default_rng((labels, count))
    seen: dict[tuple[int, ...], None] = {}  # a set that keeps its order
    while len(seen) <= draw:
        seen[tuple(sorted(rng.choice(labels, count, replace=False).tolist()))] = None
    return list(seen)[draw]


def checked_labels(labels: torch.Tensor, names: int) -> torch.Tensor:
    """Labels as int64, known to be numbers of so many names, from 0.

    labels: integers `[images]`.  Raises `InputError` that says what they are else: real numbers, below 0, counted
    from 1, or more than there are names.
    """
    if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool:
        raise InputError(f"labels are whole numbers, one an image; these are {labels.dtype}")
    labels = labels.to(torch.int64)
    if not len(labels):
        return labels
    lowest, highest = (int(end) for end in labels.aminmax())
    if (lowest, highest) == (1, names):
        raise InputError(f"labels count from 0, these from 1 to {names}; give labels - 1")
    if lowest < 0:
        raise InputError(
            f"labels count from 0; {int((labels < 0).sum())} of these are below, such as {lowest}; "
            "leave their images out"
        )
    if highest >= names:
        raise InputError(f"there are names for labels 0 to {names - 1}, and a label {highest}; name every label")
    return labels


def part(split: Split, labels: tuple[int, ...], per_label: int | None = None) -> Split:
    """Images of some labels, one after the other, at most the first `per_label` of each (None: all).

    They are numbered anew from 0, in the order given.  Raises `InputError` for a label that is not there or there
    twice, `DataError` when a label has fewer images.
    """
    if wrong := [label for label in labels if not 0 <= label < len(split.names)]:
        raise InputError(f"the split has labels 0 to {len(split.names) - 1}, {wrong[0]} asked for")
    if len(set(labels)) < len(labels):
        raise InputError(f"each label once; asked for: {', '.join(map(str, labels))}")
    found = places_by_label(split)
    if short := [label for label in labels if per_label is not None and len(found[label]) < per_label]:
        raise DataError(
            f"label {split.names[short[0]]!r} has {len(found[short[0]])} training images, {per_label} wanted "
            "(train_per_label)"
        )
    places = [found[label][:per_label] for label in labels]
    return Split(
        split.images[torch.cat(places).to(split.images.device)],
        torch.cat([torch.full_like(of_label, number) for number, of_label in enumerate(places)]),
        tuple(split.names[label] for label in labels),
    )


def places_by_label(split: Split) -> tuple[torch.Tensor, ...]:
    """Where the images of each label lie, int64 `[images of it]`, ascending."""
    there = torch.bincount(split.labels, minlength=len(split.names)).tolist()
    return split.labels.argsort(stable=True).split(there)


def hold_out(split: Split, per_label: int, seed: int) -> tuple[Split, Split]:
    """A split without `per_label` images of every label, and those images, which the seed alone draws.

    Both keep the order of the images.  Raises `DataError` when a label has no more images than that.
    """
    rng = np.random.default_rng((seed, per_label))
    held = torch.zeros(len(split), dtype=torch.bool)
    for name, places in zip(split.names, places_by_label(split), strict=True):
        if len(places) <= per_label:
            raise DataError(
                f"label {name!r} has {len(places)} training images, {per_label} of them cannot be held out: some "
                "have to be left (held_out)"
            )
        held[places.cpu()[rng.choice(len(places), per_label, replace=False)]] = True
    rest, out = (
        Split(split.images[which.to(split.images.device)], split.labels[which.to(split.labels.device)], split.names)
        for which in (~held, held)
    )
    return rest, out
