"""Which connections clusters keep, and what to compare that with: other masks that keep as many.

A mask is bool with the leading axes of the weights it belongs to: `[out_label, filters]` for a head
`[out_label, filters, positions]`, `[f, g]` for a convolution from filters g to filters f, or one value a weight.
Source: section 8.
"""

from __future__ import annotations

import math

import torch

from singlefilter import data
from singlefilter.method.clusters import Array


class MaskError(ValueError):
    """A mask or clusters that do not fit the layer; the message names the layer and both shapes."""


class CutThrough(MaskError):
    """Nothing of a layer would be left, so nothing could pass it."""


def covered(clusters: Array) -> torch.Tensor:
    """Whether a label is in a cluster of a filter: bool `[filters, label]`.

    clusters: integer `[filters, label]`, -1 where a label is in none, as `clusters.find` returns them.
    Raises `MaskError` for another shape, `TypeError` for another dtype.
    """
    clusters = torch.as_tensor(clusters)
    if clusters.dtype.is_floating_point or clusters.dtype == torch.bool:
        raise TypeError(f"clusters are integers, as clusters.find returns them; these are {clusters.dtype}")
    if clusters.ndim != 2:
        raise MaskError(f"clusters are [filters, label]; these have shape {list(clusters.shape)}")
    return clusters >= 0


def head_mask(clusters: Array) -> torch.Tensor:
    """Bool `[out_label, filters]`: `W[j, f, :]` is kept where label j is in a cluster of filter f.

    clusters: integer `[filters, label]`.  Raises as `covered`.  Source: section 8, head.
    """
    return covered(clusters).T.contiguous()


def convolution_mask(clusters_in: Array, clusters_out: Array, overlap: int = 1) -> torch.Tensor:
    """Bool `[f, g]`: the kernel from filter g to filter f is kept if both cover at least `overlap` common labels.

    clusters_in: integer `[g, label]` of the layer before; clusters_out: integer `[f, label]` of the layer itself.
    Raises `MaskError` when the two know different numbers of labels or overlap is below 1, else as `covered`.
    Source: section 8, convolution.
    """
    before, after = covered(clusters_in), covered(clusters_out)
    if before.shape[1] != after.shape[1]:
        raise MaskError(
            f"clusters of two layers know {before.shape[1]} and {after.shape[1]} labels; "
            "both have to be measured on the same labels"
        )
    if overlap < 1:
        raise MaskError(f"overlap is the number of labels that two filters share, at least 1; {overlap} given")
    return after.float() @ before.float().T >= overlap  # whole numbers below 2**24: exact in float32


def kept_fraction(mask: torch.Tensor) -> float:
    """Share of connections that a mask keeps.  Of a head mask: mean covered labels / K.  Source: section 8."""
    return mask.float().mean(dtype=torch.float64).item()


def random_afcc(counts: Array, labels: int, seed: int) -> torch.Tensor:
    """Head mask bool `[out_label, filters]` that gives each filter as many labels as AFCC does, but any labels.

    counts: integer `[filters]`, labels of each filter.  Labels are dealt like cards, so that none is used more than
    once more often than another.  Raises `MaskError` for a count below 0 or above the number of labels.
    Source: section 8, random AFCC.
    """
    counts = torch.as_tensor(counts)
    if len(counts) and not 0 <= int(counts.min()) <= int(counts.max()) <= labels:
        raise MaskError(f"a filter can have 0 to {labels} labels; {int(counts.min())} to {int(counts.max())} given")
    generator = torch.Generator().manual_seed(seed)
    mask = torch.zeros(labels, len(counts), dtype=torch.bool)
    used = torch.zeros(labels)
    for filter_, count in enumerate(counts.tolist()):  # the least used labels, ties broken at random
        chosen = (used + torch.rand(labels, generator=generator)).argsort()[:count]
        mask[chosen, filter_] = True
        used[chosen] += 1
    return mask


def random_mask(shape: tuple[int, ...], kept: int, seed: int) -> torch.Tensor:
    """Bool mask of this shape that keeps exactly `kept` connections, every choice equally likely.

    Raises `MaskError` when `kept` is not within the shape.
    """
    order = torch.randperm(math.prod(shape), generator=torch.Generator().manual_seed(seed))
    return _first(order, kept, shape)


def magnitude_mask(weights: torch.Tensor, kept: int) -> torch.Tensor:
    """Bool mask, as the weights (or `kernel_norms`) are shaped, that keeps exactly the `kept` largest in size.

    Of equal ones the first are kept.  Raises `MaskError` when `kept` is not within the shape.
    """
    order = weights.detach().abs().flatten().argsort(descending=True, stable=True)
    return _first(order, kept, tuple(weights.shape))


def kernel_norms(weights: torch.Tensor, p: float = 1) -> torch.Tensor:
    """Norm of every kernel: `[f, g]` of the weights `[f, g, height, width]` of a convolution; p = 1: L1, 2: L2."""
    return weights.detach().flatten(2).norm(p, dim=2)


def fresh_weights(mask: torch.Tensor, positions: int, seed: int) -> torch.Tensor:
    """Weights float32 `[out_label, filters, positions]`, uniform in +-1/sqrt(kept inputs of the output), else 0.

    mask: bool `[out_label, filters]`.  What random AFCC starts its training from.  Source: section 8.
    """
    generator = torch.Generator().manual_seed(data.mix(seed, *mask.shape, positions))
    uniform = torch.rand(*mask.shape, positions, generator=generator) * 2 - 1
    kept_inputs = (mask.sum(1) * positions).clamp(min=1)
    return uniform * mask[:, :, None] / kept_inputs[:, None, None].sqrt()


def over_positions(mask: torch.Tensor, positions: int) -> torch.Tensor:
    """Mask `[out_label, filters * positions]` of a linear layer behind a flattening, from `[out_label, filters]`."""
    return mask.repeat_interleave(positions, dim=1)


def expand(mask: torch.Tensor, shape: torch.Size, layer: str) -> torch.Tensor:
    """The mask of a layer, one value for each of its weights; its axes are the first ones of `shape`.

    Raises `MaskError` where they are not, `CutThrough` where it keeps nothing, `TypeError` where it is not bool.
    """
    if mask.dtype != torch.bool:
        raise TypeError(f"{layer}: a mask is bool, True where a connection is kept; this one is {mask.dtype}")
    if mask.ndim == 0 or mask.shape != shape[: mask.ndim]:
        raise MaskError(
            f"{layer}: a mask of shape {list(mask.shape)} does not fit weights of shape {list(shape)}; "
            "was it made for another layer or another network?"
        )
    if not mask.any():
        raise CutThrough(
            f"{layer}: the mask keeps no connection, so nothing could pass this layer. Lower the threshold of the "
            "clusters or the overlap, or leave the layer out."
        )
    return mask.reshape(mask.shape + (1,) * (len(shape) - mask.ndim)).expand(shape)


def check_clusters(clusters: Array, filters: int, layer: str, labels: int | None = None) -> None:
    """Raises `MaskError` unless the clusters are of a layer with so many filters (and labels, where given)."""
    found = covered(clusters).shape
    if found[0] != filters:
        raise MaskError(
            f"{layer} has {filters} filters, its clusters are of {found[0]}: they belong to another layer or network"
        )
    if labels is not None and found[1] != labels:
        raise MaskError(
            f"{layer}: clusters know {found[1]} labels where {labels} are expected: they belong to another network"
        )


def _first(order: torch.Tensor, kept: int, shape: tuple[int, ...]) -> torch.Tensor:
    if not 0 <= kept <= len(order):
        raise MaskError(f"{kept} connections cannot be kept of the {len(order)} that there are")
    mask = torch.zeros(len(order), dtype=torch.bool, device=order.device)
    mask[order[:kept]] = True
    return mask.reshape(shape)
