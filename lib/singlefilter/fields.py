"""Class means of the maps in one pass over the images, and field matrices from them.

The head is linear, so the mean field of a filter is the head applied to the filter's mean map:
`M[f, i, j] = sum_p W[j, f, p] * mean over images x of label i of A[f, p](x)`.  One pass that accumulates the means
`[true_label, filters, positions]` at every cut therefore gives every field matrix of every cut exactly.
Source: section 3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import nn

from singlefilter import data, heads, models, statistics, training

Array = TypeVar("Array", np.ndarray, torch.Tensor)


class NotFinite(ValueError):
    """NaN or infinity in what is measured; the message names the layer and the filter."""


@dataclass(frozen=True)
class Measurement:
    """What one pass over a split leaves behind, by the head's name.

    class_means: float32 `[true_label, filters, positions]`; correct: bool `[images]`, whether the head's largest
    logit is the true label; dprime: float32 `[images]`, the field SNR of section 6.  Images in the split's order.
    """

    class_means: dict[str, torch.Tensor]
    correct: dict[str, torch.Tensor]
    dprime: dict[str, torch.Tensor]


def field_matrices(class_means: Array, head_weights: Array) -> Array:
    """Mean field of every filter on every output: float `[filters, true_label, out_label]`.

    class_means: `[true_label, filters, positions]`; head_weights: `[out_label, filters, positions]`, of the same
    kind (both numpy or both torch).  Raises `ValueError` when their filters or positions differ.
    Source: section 3, M[f, i, j].
    """
    if class_means.ndim != 3 or head_weights.ndim != 3 or class_means.shape[1:] != head_weights.shape[1:]:
        raise ValueError(
            "class means [true_label, filters, positions] and head weights [out_label, filters, positions] have to "
            f"agree in filters and positions; they are {tuple(class_means.shape)} and {tuple(head_weights.shape)}"
        )
    if isinstance(class_means, torch.Tensor):
        return class_means.permute(1, 0, 2) @ head_weights.permute(1, 2, 0)
    return class_means.transpose(1, 0, 2) @ head_weights.transpose(1, 2, 0)


def chunks(class_means: Array, head_weights: Array, memory: int = 2**30) -> Iterator[tuple[slice, Array]]:
    """Field matrices in blocks of filters of at most `memory` bytes (one filter at the least), with their place."""
    if memory <= 0:
        raise ValueError(f"memory is the size of a block in bytes, above 0; {memory} given")
    size = len(class_means) * len(head_weights) * class_means.itemsize
    filters = max(1, int(memory // size))
    for start in range(0, class_means.shape[1], filters):
        part = slice(start, start + filters)
        yield part, field_matrices(class_means[:, part], head_weights[:, part])


@torch.no_grad()
def measure(
    model: nn.Module,
    points: Sequence[heads.HeadPoint],
    weights: Mapping[str, torch.Tensor],
    split: data.Split,
    batch: int = 500,
) -> Measurement:
    """Measure all heads in one pass over un-augmented images; the network is left as it was found.

    weights: float32 `[out_label, filters, positions]` by the head's name.  Sums are kept in float32 on the images'
    device, in full precision whatever the network computes in.  Raises `ValueError` for an empty batch or a label
    without images, `NotFinite` for NaN or infinity in weights or maps.  Source: section 3.
    """
    if batch < 1:
        raise ValueError(f"a batch has at least one image, {batch} given")
    on, labels = split.images.device, len(split.names)
    counts = torch.bincount(split.labels, minlength=labels)
    if (counts == 0).any():
        raise ValueError(f"no image of label {split.names[int((counts == 0).nonzero()[0])]!r} in the split")
    for point in points:
        _require_finite(point, "head weights", weights[point.name])
    flat = {point.name: weights[point.name].to(on).flatten(1) for point in points}
    sums = {point.name: torch.zeros(labels, point.fan_in, device=on) for point in points}
    correct = {point.name: torch.empty(len(split), dtype=torch.bool, device=on) for point in points}
    dprime = {point.name: torch.empty(len(split), device=on) for point in points}
    with models.capture(model, [point.cut.module for point in points]) as maps:
        for start in range(0, len(split), batch):
            part = slice(start, start + batch)
            truth = split.labels[part]
            with training.autocast(on):
                model(data.to_input(split.images[part]).contiguous(memory_format=torch.channels_last))
            for point in points:
                features = point.features(maps).float()
                sums[point.name].index_add_(0, truth, features)
                logits = features @ flat[point.name].T
                correct[point.name][part] = logits.argmax(1) == truth
                dprime[point.name][part] = statistics.dprime(logits, truth)
    means = {
        point.name: (sums[point.name] / counts[:, None]).reshape(labels, point.cut.filters, point.positions).cpu()
        for point in points
    }
    for point in points:
        _require_finite(point, "class means", means[point.name])
    return Measurement(means, _on_cpu(correct), _on_cpu(dprime))


def _require_finite(point: heads.HeadPoint, what: str, values: torch.Tensor) -> None:
    """Raises `NotFinite` unless all of `values[label, filters, positions]` are finite."""
    bad = ~values.isfinite().all(2).all(0)
    if bad.any():
        raise NotFinite(
            f"{what} of layer {point.cut.layer} ({point.kind} head): NaN or infinity in {int(bad.sum())} filters, "
            f"the first is filter {int(bad.nonzero()[0])}. Train again with a lower learning rate."
        )


def _on_cpu(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.cpu() for name, tensor in tensors.items()}
