"""Images and labels of a split as tensors, and parts of one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from singlefilter.data import streams


class DataError(RuntimeError):
    """Data that are missing or cannot be used; the message says what was looked for and what to do."""


@dataclass(frozen=True)
class Split:
    """Images of one split, in memory or memory-mapped, and their labels on the device that computes.

    images: uint8 `[images, channel, height, width]`, on the labels' device where it has room for them; labels: int64
    `[images]`, in ascending order when it comes from `load`; names: one a label.
    """

    images: torch.Tensor
    labels: torch.Tensor
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.images.dtype != torch.uint8 or self.images.ndim != 4 or len(self.images) != len(self.labels):
            raise ValueError(
                f"a split has uint8 images [images, channel, height, width] and a label for each; these are "
                f"{self.images.dtype} {tuple(self.images.shape)} with {len(self.labels)} labels"
            )
        if self.images.device not in (self.labels.device, torch.device("cpu")):
            raise ValueError(
                f"images lie on the device of their labels, {self.labels.device}, or in memory; these lie on "
                f"{self.images.device}"
            )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def device(self) -> torch.device:
        """The device that computes, where `taken` yields."""
        return self.labels.device

    def to(self, device: torch.device) -> Split:
        """The same split for a device to compute with; images that it has no room for stay where they are."""
        images = self.images.to(device) if streams.fits(self.images, device) else self.images
        return Split(images, self.labels.to(device), self.names)

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


def part(split: Split, labels: tuple[int, ...], per_label: int | None = None) -> Split:
    """Images of some labels, ascending, at most the first `per_label` of each (None: all), numbered anew from 0.

    The labels of `split` are in ascending order.  Raises `DataError` when a label has fewer images.
    """
    chosen = torch.tensor(labels, device=split.labels.device)
    first = torch.searchsorted(split.labels, chosen)
    there = torch.searchsorted(split.labels, chosen, right=True) - first
    wanted = there if per_label is None else torch.full_like(there, per_label)
    if (there < wanted).any():
        label = int((there < wanted).nonzero()[0])
        raise DataError(
            f"label {split.names[labels[label]]!r} has {int(there[label])} training images, {per_label} wanted "
            "(train_per_label)"
        )
    places = torch.cat(
        [torch.arange(start, start + n) for start, n in zip(first.tolist(), wanted.tolist(), strict=True)]
    )
    return Split(
        split.images[places.to(split.images.device)],
        torch.arange(len(labels), device=split.labels.device).repeat_interleave(wanted),
        tuple(split.names[label] for label in labels),
    )


def hold_out(split: Split, per_label: int, seed: int) -> tuple[Split, Split]:
    """A split without `per_label` images of every label, and those images, which the seed alone draws.

    The labels of `split` are in ascending order, and so they are in both parts.  Raises `DataError` when a label has
    no more images than that.
    """
    rng = np.random.default_rng((seed, per_label))
    ends = np.searchsorted(split.labels.cpu().numpy(), np.arange(len(split.names) + 1))
    held = torch.zeros(len(split), dtype=torch.bool)
    for name, first, last in zip(split.names, ends[:-1], ends[1:], strict=True):
        if last - first <= per_label:
            raise DataError(
                f"label {name!r} has {last - first} training images, {per_label} of them cannot be held out: some "
                "have to be left (held_out)"
            )
        held[first + rng.choice(last - first, per_label, replace=False)] = True
    rest, out = (
        Split(split.images[which.to(split.images.device)], split.labels[which.to(split.labels.device)], split.names)
        for which in (~held, held)
    )
    return rest, out
