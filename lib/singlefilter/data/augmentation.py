"""Batches in random order, shifted and mirrored, for one epoch after another."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import torch
from torch.nn import functional

from singlefilter.data.splits import Split, check_batch


def to_input(images: torch.Tensor) -> torch.Tensor:
    """Pixels from 0..255 to [-1, 1] by 2x - 1: uint8 to float32, any shape. Source: section 1."""
    return images.float().mul_(2 / 255).sub_(1)


def augment(
    images: torch.Tensor, down: torch.Tensor, right: torch.Tensor, mirror: torch.Tensor, margin: int
) -> torch.Tensor:
    """Shift each image with black fill and mirror some, all of a batch at once, on the images' device.

    images: uint8 `[images, channel, height, width]`; down, right: int64 `[images]`, pixels from -margin to margin;
    mirror: bool `[images]`, applied before the shift.  Returns the same shape, channels last in memory.
    Source: section 1.
    """
    height, width = images.shape[-2:]
    padded = functional.pad(images, (margin,) * 4).permute(0, 2, 3, 1)
    device = images.device
    rows = torch.arange(height, device=device) + margin - down[:, None]
    columns = torch.arange(width, device=device) + margin - right[:, None]
    columns = torch.where(mirror[:, None], width + 2 * margin - 1 - columns, columns)
    index = torch.arange(len(images), device=device)[:, None, None]
    return padded[index, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def batches(
    split: Split,
    batch: int,
    *,
    seed: int,
    epoch: int,
    shift: int = 0,
    flip: bool = False,
    share: Callable[[int], slice | None] = slice,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """One epoch in random order: float32 images in [-1, 1] `[batch, channel, height, width]` and labels int64.

    Everything random is drawn beforehand from (seed, epoch) on the CPU, so an epoch is the same on every device and
    after a resume.  A last batch of a single image is left out: batch norm cannot train on it.

    share: which places of a batch of so many images are wanted, by default all; None leaves the batch out.
    """
    check_batch(batch)
    count = len(split)
    generator = torch.Generator().manual_seed(mix(seed, epoch))
    order = torch.randperm(count, generator=generator)
    down, right = torch.randint(-shift, shift + 1, (2, count), generator=generator)
    mirror = torch.rand(count, generator=generator) < (0.5 if flip else 0.0)
    down, right, mirror = (tensor.to(split.device) for tensor in (down, right, mirror))
    parts = []
    for start in range(0, count - 1 if count > 1 else 1, batch):
        places = range(start, min(start + batch, count))
        if (wanted := share(len(places))) is not None:
            own = places[wanted]
            parts.append(slice(own.start, own.stop))
    for part, (images, labels) in zip(parts, split.taken(parts, order), strict=True):
        if shift or flip:
            images = augment(images, down[part], right[part], mirror[part], shift)
        yield to_input(images), labels


def mix(*numbers: int) -> int:
    """A 63-bit seed from several numbers, the same on every machine."""
    return int.from_bytes(hashlib.sha256(repr(numbers).encode()).digest()[:8], "big") >> 1
