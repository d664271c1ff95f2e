"""Batches as networks take them: a tensor of images, or tuples and mappings with one in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch


def images_of(batch: Any) -> torch.Tensor:
    """The first tensor in a batch, which stands for its images.  Raises `ValueError` where there is none."""
    if isinstance(batch, torch.Tensor):
        return batch
    parts = batch.values() if isinstance(batch, Mapping) else batch if isinstance(batch, tuple | list) else ()
    for part in parts:
        if isinstance(part, torch.Tensor | Mapping | tuple | list):
            return images_of(part)
    raise ValueError(f"a batch has a tensor of images in it, this {type(batch).__name__} has none")


def taken(batch: Any, part: slice) -> Any:
    """Some images of a batch: that part of every tensor in it that has as many rows as there are images."""
    count = len(images_of(batch))
    return mapped(batch, lambda tensor: tensor[part] if tensor.ndim and len(tensor) == count else tensor)


def moved(batch: Any, device: torch.device) -> Any:
    """The same batch on a device."""
    return mapped(batch, lambda tensor: tensor.to(device))


def mapped(batch: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """A batch with every tensor in it changed, everything else as it is."""
    if isinstance(batch, torch.Tensor):
        return change(batch)
    if isinstance(batch, Mapping):
        return {key: mapped(value, change) for key, value in batch.items()}
    if isinstance(batch, tuple | list):
        return type(batch)([mapped(value, change) for value in batch]) if type(batch) in (tuple, list) else batch
    return batch
