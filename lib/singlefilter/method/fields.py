"""Class means of the maps in one pass over the images, and field matrices from them.

The head is linear, so the mean field of a filter is the head applied to the filter's mean map:
`M[f, i, j] = sum_p W[j, f, p] * mean over images x of label i of A[f, p](x)`.  One pass that accumulates the means
`[true_label, filters, positions]` at every cut therefore gives every field matrix of every cut exactly.
Source: section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from singlefilter import data, distributed
from singlefilter.errors import HeadError, InputError
from singlefilter.method import heads, statistics
from singlefilter.networks import layouts, training
from singlefilter.networks.batches import images_of
from singlefilter.networks.calling import Forward, prepared
from singlefilter.networks.capture import reading
from singlefilter.networks.cuts import check_steady
from singlefilter.networks.folding import folded

Array = TypeVar("Array", np.ndarray, torch.Tensor)

# From this side of a map on, a CPU applies a head faster as a convolution (oneDNN) than as a matrix product.
SIDE_TO_CONVOLVE = 8
TOO_LARGE = 1e17  # a logit: squares of it, summed over a thousand labels, are more than float32 holds


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
    device, in full precision whatever the network computes in; several ranks each take their share of the images, and
    all of them return the whole.  Raises `ValueError` for an empty batch or a label without images, `HeadError` for
    weights that do not fit, `CutError` and `ForwardError` as `heads.fit`, `NotFinite` for NaN or infinity in weights
    or maps.  Source: section 3.
    """
    data.check_batch(batch)
    on, labels = split.device, len(split.names)
    counts = torch.bincount(split.labels, minlength=labels)
    if (counts == 0).any():
        raise InputError(f"no image of label {split.names[int((counts == 0).nonzero()[0])]!r} in the split")
    for point in points:
        check_weights(point, weights[point.name], labels)
    sums = Sums(points, weights, labels, on)
    correct = torch.zeros(len(points), len(split), dtype=torch.uint8, device=on)
    dprime = torch.zeros(len(points), len(split), dtype=torch.float32, device=on)
    with maps_of(model, points, data.to_input(split.first(heads.FEW))) as maps:
        parts = list(distributed.share_in_batches(len(split), batch))
        for part, (images, truth) in zip(parts, split.taken(parts), strict=True):
            with training.autocast(on):
                seen = maps(data.to_input(images))
            correct[:, part], dprime[:, part] = sums.add(seen, truth)
    for partial in (
        *sums.sums,
        sums.images,
        sums.overflown,
        correct,
        dprime,
    ):  # an image is one rank's, and nothing at the others
        distributed.all_sum(partial)
    return Measurement(sums.class_means(), _by_head(points, correct.bool()), _by_head(points, dprime))


class Sums:
    """Sums of maps by label, for class means, while batches of images go by.

    weights: float32 `[out_label, filters, positions]` by the head's name; biases: float32 `[out_label]`, of heads
    that have one: they count in the answers and in no field.  Raises `HeadError` for weights that do not fit,
    `NotFinite` for NaN.  Source: section 3.
    """

    def __init__(
        self,
        points: Sequence[heads.HeadPoint],
        weights: Mapping[str, torch.Tensor],
        labels: int,
        on: torch.device,
        biases: Mapping[str, torch.Tensor] | None = None,
    ):
        for point in points:
            check_weights(point, weights[point.name], labels)
        self.points, self.labels = points, labels
        self.kernels = [_kernel(point, weights[point.name], on) for point in points]
        self.biases = [
            (biases or {}).get(point.name, torch.zeros((), dtype=torch.float32)).to(on) for point in points
        ]
        self.sums = [torch.zeros(labels, point.fan_in, dtype=torch.float32, device=on) for point in points]
        self.images = torch.zeros(labels, dtype=torch.int64, device=on)
        self.overflown = torch.zeros(len(points), dtype=torch.int64, device=on)  # images, by head

    def add(self, maps: Sequence[torch.Tensor], truth: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Add the maps that each head sees of some images, `[images, filters, *size]`, with their labels int64.

        Returns whether each head is right, bool `[heads, images]`, and d', float32 `[heads, images]`.
        """
        logits = torch.empty(len(self.points), len(truth), self.labels, dtype=torch.float32, device=truth.device)
        for head, seen in enumerate(maps):
            seen = seen.float()
            self.sums[head].index_add_(0, truth, layouts.filters_last(seen))
            logits[head] = _logits(seen, self.kernels[head]) + self.biases[head]
        self.images += torch.bincount(truth, minlength=self.labels)
        snr = statistics.dprime_unchecked(logits.flatten(0, 1), truth.repeat(len(self.points)))
        self.overflown += (~(logits.abs().amax(2) < TOO_LARGE)).sum(1)  # NaN is not below it either
        return logits.argmax(2) == truth, snr.view(len(self.points), -1)

    def class_means(self) -> dict[str, torch.Tensor]:
        """Mean maps, float32 `[true_label, filters, positions]` on the CPU, by head.

        Raises `NotFinite` for NaN or infinity in them, or logits whose squares float32 does not hold.
        """
        means = {}
        for point, total in zip(self.points, self.sums, strict=True):
            mean = (total / self.images[:, None]).view(self.labels, point.positions, -1)
            means[point.name] = mean.transpose(1, 2).contiguous().cpu()
            _require_finite(point, "class means", means[point.name])
        for point, images in zip(self.points, self.overflown.tolist(), strict=True):
            if images:
                raise NotFinite(
                    f"logits of layer {point.cut.layer} ({point.kind} head): not below {TOO_LARGE:g} in {images} "
                    "images, where float32 ends. Train its head again with a lower learning rate."
                )
        return means


@contextmanager
def maps_of(
    model: nn.Module, points: Sequence[heads.HeadPoint], few: torch.Tensor, forward: Forward | None = None
) -> Iterator[Callable[[torch.Tensor], list[torch.Tensor]]]:
    """Inside, what gives the map that each head sees, `[images, filters, *size]`, of a batch of images.

    few: some images as the network is given them, on the device that computes; forward: see `networks.calling.Call`.
    Raises `ForwardError` as `heads.frozen_trunk`; the network is left as it was found.
    """
    cuts = [point.cut for point in points]
    with reading(model, cuts) as read, prepared(model, few, forward) as call, ExitStack() as stack:
        check_steady(model, cuts, call, read, few)

        def maps(images: torch.Tensor) -> list[torch.Tensor]:
            read.clear()
            call(images)
            return [point.seen(read.maps) for point in points]

        if (
            images_of(few).device.type == "cpu"
        ):  # in half precision, on a GPU, folded weights would round to other maps
            stack.enter_context(folded(model, lambda: maps(few)))
        yield maps


def check_weights(point: heads.HeadPoint, weights: torch.Tensor, labels: int) -> None:
    """Raises `HeadError` for weights of another shape than `[out_label, filters, positions]`, `NotFinite` for NaN."""
    expected = (labels, point.cut.filters, point.positions)
    if tuple(weights.shape) != expected:
        raise HeadError(
            f"{point.name} ({point.cut.module}): head weights [out_label, filters, positions] have to be "
            f"{list(expected)}, these are {list(weights.shape)}"
        )
    _require_finite(point, "head weights", weights)


def _kernel(point: heads.HeadPoint, weights: torch.Tensor, on: torch.device) -> torch.Tensor:
    """A head as a convolution as large as the map: `[out_label, filters, *size]`, filters last in memory."""
    shaped = weights.to(on).reshape(len(weights), point.cut.filters, *point.size)
    return shaped.movedim(1, -1).contiguous().movedim(-1, 1)


def _logits(maps: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """Logits `[images, out_label]` of a head on its maps, by whichever of two equal ways is faster."""
    if maps.device.type == "cpu" and maps.ndim == 4 and min(maps.shape[2:]) >= SIDE_TO_CONVOLVE:
        return functional.conv2d(maps, kernel).flatten(1)
    return layouts.filters_last(maps) @ layouts.filters_last(kernel).T


def _require_finite(point: heads.HeadPoint, what: str, values: torch.Tensor) -> None:
    """Raises `NotFinite` unless all of `values[label, filters, positions]` are finite."""
    if values.sum().isfinite():  # much cheaper than to look at each, and no NaN or infinity escapes a sum
        return
    bad = ~values.isfinite().all(2).all(0)
    if bad.any():
        raise NotFinite(
            f"{what} of layer {point.cut.layer} ({point.kind} head): NaN or infinity in {int(bad.sum())} filters, "
            f"the first is filter {int(bad.nonzero()[0])}. Train again with a lower learning rate."
        )


def _by_head(points: Sequence[heads.HeadPoint], values: torch.Tensor) -> dict[str, torch.Tensor]:
    """Rows of `values[head, images]` by the head's name, on the CPU."""
    return {point.name: row.clone() for point, row in zip(points, values.cpu(), strict=True)}
