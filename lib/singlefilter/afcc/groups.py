"""Masked convolutions as grouped ones, since hardware skips groups but not single kernels.

Labels are divided into groups that filters tend to recognise together.  Each filter of a layer goes to the group
with which it shares most, equally many to each, in every layer by the same groups of labels: so the kernels that AFCC
keeps gather inside groups, and layers that follow one another need no reordering between them.  The filters of the
layer before that share most with other groups are hubs: a small dense convolution reads them for all groups.
Source: section 8; the groups are an addition of the companion.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from scipy.cluster.vq import kmeans2
from scipy.optimize import linear_sum_assignment
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from singlefilter.afcc import chain
from singlefilter.afcc.masks import MaskError, check_clusters, convolution_mask, covered
from singlefilter.afcc.smaller import select_filters
from singlefilter.method.clusters import Array


class GroupedConvolution(nn.Module):
    """A grouped convolution, plus a dense one that reads `hubs`, some of the filters, for all groups.

    Takes and gives maps as the convolution does whose place it takes.  hubs: int64 `[hubs]`, none for no shared part.
    """

    def __init__(self, grouped: nn.Conv2d, shared: nn.Conv2d | None, hubs: torch.Tensor):
        super().__init__()
        self.grouped, self.shared = grouped, shared
        self.register_buffer("hubs", hubs)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps `[images, filters out, height, width]` of maps `[images, filters in, height, width]`."""
        out = self.grouped(maps)
        return out if self.shared is None else out + self.shared(maps.index_select(1, self.hubs))

    @torch.no_grad()
    def followed_by(self, norm: nn.BatchNorm2d) -> GroupedConvolution:
        """This convolution and the batch norm that reads it as one, both in eval mode; neither is changed."""
        shared = copy.deepcopy(self.shared)
        if shared is not None:
            shared.weight.mul_((norm.weight * (norm.running_var + norm.eps).rsqrt())[:, None, None, None])
        return GroupedConvolution(fuse_conv_bn_eval(self.grouped, norm), shared, self.hubs).eval()


def label_groups(clusters: Sequence[Array], groups: int, seed: int) -> np.ndarray:
    """Group of every label, int64 `[label]`: labels that filters cover together, equally many a group (within one).

    clusters: integer `[filters, label]` of each layer concerned.  Spectral clustering: the graph in which labels are
    tied by the filters that cover both, its leading eigenvectors, k-means, and then the cheapest balanced assignment.
    Raises `MaskError` when layers know different numbers of labels, or there are more groups than labels.
    """
    by_layer = [covered(each).double().cpu().numpy() for each in clusters]
    sizes = sorted({each.shape[1] for each in by_layer})
    if len(sizes) != 1:
        raise MaskError(f"clusters of these layers know {' and '.join(map(str, sizes))} labels; they have to agree")
    if not 1 <= groups <= sizes[0]:
        raise MaskError(f"{sizes[0]} labels can be divided into 1 to {sizes[0]} groups, not {groups}")
    every = np.concatenate(by_layer)
    tie = every.T @ every
    strength = np.sqrt(np.maximum(tie.sum(1), 1))
    _, vectors = np.linalg.eigh(tie / np.outer(strength, strength))
    leading = vectors[:, -groups:]
    leading = leading / np.maximum(np.linalg.norm(leading, axis=1, keepdims=True), 1e-12)
    centres, _ = kmeans2(leading, groups, minit="++", rng=np.random.default_rng(seed), missing="warn")
    return _balanced(-((leading[:, None] - centres) ** 2).sum(2))


def filter_groups(clusters: Array, groups_of_labels: np.ndarray, layer: str) -> np.ndarray:
    """Group of every filter, int64 `[filters]`: equally many in each, and as large a share of their labels in it as
    can be.

    clusters: integer `[filters, label]`; groups_of_labels: int64 `[label]`.  Raises `MaskError` when the filters
    cannot be divided evenly.
    """
    labels = covered(clusters).double().cpu().numpy()
    groups = int(groups_of_labels.max()) + 1
    if len(labels) % groups:
        raise MaskError(f"{layer} has {len(labels)} filters, which {groups} groups cannot share evenly")
    in_group = labels @ np.eye(groups)[groups_of_labels]
    return _balanced(in_group / np.maximum(labels.sum(1, keepdims=True), 1))


def group_convolutions(
    model: nn.Module, clusters: Mapping[str, Array], groups: int, hubs: int = 0, overlap: int = 1, seed: int = 0
) -> nn.Module:
    """A copy of the network in which convolutions between layers with clusters are `GroupedConvolution`s.

    clusters: integer `[filters, label]` by the layer's name (see `chain.convolution_in`), in the order of the chain;
    rewritten is every layer whose predecessor is among them, and the filters of each are put in the order of their
    groups.  hubs: how many filters of the layer before the shared part reads, those of which AFCC with this `overlap`
    (see `convolution_mask`) keeps most kernels to other groups.  Kernels that have a place in the new layers keep
    their weights; the others are gone, so retrain briefly.

    Raises `ChainError` for a layer that cannot be followed, the last one included, or names without a pair of
    neighbours, `MaskError` where clusters do not fit or filters cannot be divided evenly.
    """
    links = chain.follow(model, list(clusters))
    by_name = dict(zip(links, clusters.values(), strict=True))
    for name, each in by_name.items():
        check_clusters(each, model.get_submodule(name).out_channels, name)
    pairs = chain.neighbours(links)
    of_labels = label_groups(list(by_name.values()), groups, seed)
    of_filters = {name: filter_groups(each, of_labels, name) for name, each in by_name.items()}
    order = {name: np.argsort(of, kind="stable") for name, of in of_filters.items()}
    places = {name: torch.from_numpy(each) for name, each in order.items()}
    model = select_filters(model, links, places)
    for before, after in pairs:
        mask = convolution_mask(by_name[before], by_name[after], overlap).cpu().numpy()
        outside = mask & (of_filters[after][:, None] != of_filters[before])
        busiest = np.argsort(-outside.sum(0)[order[before]], kind="stable")[:hubs]
        new = _rewritten(model.get_submodule(after), groups, torch.from_numpy(np.sort(busiest)), after)
        model.set_submodule(after, new)
    return model


@torch.no_grad()
def _rewritten(dense: nn.Conv2d, groups: int, hubs: torch.Tensor, layer: str) -> GroupedConvolution:
    """The convolution without its kernels between groups, but for those from hubs."""
    if dense.in_channels % groups or dense.out_channels % groups:
        raise MaskError(f"{layer}: {dense.in_channels} to {dense.out_channels} filters do not divide by {groups}")
    weight, hubs = dense.weight, hubs.to(dense.weight.device)
    settings = {
        name: getattr(dense, name) for name in ("kernel_size", "stride", "padding", "dilation", "padding_mode")
    } | {"device": weight.device, "dtype": weight.dtype}
    size_in, size_out = dense.in_channels // groups, dense.out_channels // groups
    grouped = nn.Conv2d(dense.in_channels, dense.out_channels, groups=groups, bias=dense.bias is not None, **settings)
    grouped.weight.copy_(torch.cat([
        weight[group * size_out : (group + 1) * size_out, group * size_in : (group + 1) * size_in]
        for group in range(groups)
    ]))  # fmt: skip
    if dense.bias is not None:
        grouped.bias.copy_(dense.bias)
    if not len(hubs):
        return GroupedConvolution(grouped, None, hubs).train(dense.training)
    shared = nn.Conv2d(len(hubs), dense.out_channels, bias=False, **settings)
    own_group = (torch.arange(dense.out_channels, device=hubs.device) // size_out)[:, None] == hubs // size_in
    shared.weight.copy_(weight[:, hubs].masked_fill(own_group[:, :, None, None], 0))
    return GroupedConvolution(grouped, shared, hubs).train(dense.training)


def _balanced(affinity: np.ndarray) -> np.ndarray:
    """Group of each item, `affinity[items, groups]` largest in sum, as many items in each group as in any (or one
    more)."""
    items, groups = affinity.shape
    slots = np.arange(items) % groups  # the first groups have one more where it does not come out even
    _, slot = linear_sum_assignment(affinity[:, slots], maximize=True)
    return slots[slot]
