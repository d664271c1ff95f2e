"""AFCC on a network of one's own: masks for a chain of convolutions, and for the linear layer at its end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from singlefilter.afcc import chain
from singlefilter.afcc.enforcement import apply
from singlefilter.afcc.masks import (
    MaskError,
    check_clusters,
    convolution_mask,
    covered,
    head_mask,
    kept_fraction,
    over_positions,
)
from singlefilter.afcc.ownership import copied
from singlefilter.method.clusters import Array


@dataclass(frozen=True)
class Pruned:
    """A masked copy of a network, its masks by the layer's name, and the share of connections that each keeps.

    masks: bool `[f, g]` of a convolution, `[out_label, filters * positions]` of a linear layer.
    """

    model: nn.Module
    masks: dict[str, torch.Tensor]
    kept_fraction: dict[str, float]


def prune(model: nn.Module, clusters: Mapping[str, Array], *, overlap: int = 1, head: str | None = None) -> Pruned:
    """Keep the connections between filters that share labels; the given network is left as it is.

    clusters: integer `[filters, label]`, as `clusters.find` returns them, by the name of a convolution or of a module
    that contains one.  Masked is every convolution among them that reads another one of them, directly but for batch
    norm, activations and pooling; what reads the second one of a pair does not matter, so the two convolutions of a
    residual block are a pair.  See `convolution_mask` for `overlap`.  head: the name of a linear layer with one
    output a label that reads one of them, to be masked too (`head_mask`).

    Then `retrain(pruned.model, [...], pruned.masks, ...)` and `compact(pruned.model, images)`.

    Raises `ChainError`, naming the layer, for what cannot be followed: branches, shared weights, grouped
    convolutions, a layer whose neighbours are not named; `MaskError` for clusters of another network; `CutThrough`
    for a layer of which nothing would be kept.  Source: section 8.
    """
    links = chain.follow(model, list(clusters))
    by_name = dict(zip(links, clusters.values(), strict=True))
    labels = covered(next(iter(by_name.values()))).shape[1] if by_name else 0
    for name, each in by_name.items():
        check_clusters(each, model.get_submodule(name).out_channels, name, labels)
    if head is not None and all(link.reader != head for link in links.values()):
        raise chain.ChainError(f"{head} reads none of the named layers ({', '.join(links)}), so it cannot be masked")
    masks = {}
    for before, after in chain.neighbours(links, head):
        if after in links:
            masks[after] = convolution_mask(by_name[before], by_name[after], overlap)
        else:
            outputs = model.get_submodule(head).out_features
            if outputs != labels:
                raise MaskError(f"{head} has {outputs} outputs, clusters know {labels} labels; they have to agree")
            masks[head] = over_positions(head_mask(by_name[before]), links[before].positions)
    masked = copied(model)
    apply(masked, masks)
    return Pruned(masked, masks, {name: kept_fraction(mask) for name, mask in masks.items()})
