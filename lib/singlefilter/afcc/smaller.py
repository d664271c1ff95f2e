"""Really smaller networks: filters taken out of the tensors, with batch norm and the layer that reads them.

A filter that nobody reads can go.  A filter that reads nothing still has a constant map: batch norm and ReLU make one
out of zeros.  At the borders of the next convolution, where zeros are padded, such a map is no mere bias, so it
cannot simply be folded into one.  But constant maps are multiples of each other: one of them, its kernels adjusted,
stands for all of a layer, exactly, borders included.  `compact` leaves at most that one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from singlefilter import networks
from singlefilter.afcc import chain
from singlefilter.afcc.chain import ChainError, Link
from singlefilter.afcc.masks import CutThrough, MaskError, covered
from singlefilter.afcc.ownership import copied
from singlefilter.method.clusters import Array

SAME = 1e-6  # maps whose values differ by no more than this part of them are constant


def without_clusters(clusters: Array) -> torch.Tensor:
    """Filters that recognise nothing: bool `[filters]` of clusters, integer `[filters, label]`."""
    return ~covered(clusters).any(1)


def remove_filters(model: nn.Module, keep: Mapping[str, torch.Tensor]) -> nn.Module:
    """A copy of the network that has only some of its filters, in each of some layers.

    keep: bool `[filters]` by the layer's name (see `chain.convolution_in`).  The convolution loses the other filters,
    its batch norm and PReLU their channels, and the layer that reads them their kernels or columns; the rest is
    unchanged, and the modules are of the classes that they were.  What the removed filters contributed is lost;
    `compact` removes only what contributes nothing.

    Raises `ChainError` for a layer that cannot be followed, `MaskError` for a mask that does not fit and `CutThrough`
    for one that keeps no filter.
    """
    links = chain.follow(model, list(keep))
    places = {}
    for name, mask in zip(links, keep.values(), strict=True):
        filters = model.get_submodule(name).out_channels
        if mask.dtype != torch.bool or mask.shape != (filters,):
            raise MaskError(
                f"{name}: which filters to keep is bool [{filters}]; {list(mask.shape)}, {mask.dtype} given"
            )
        if not mask.any():
            raise CutThrough(f"{name}: no filter would be left, so nothing could pass this layer")
        places[name] = mask.nonzero().flatten()
    return select_filters(model, links, places)


@torch.no_grad()
def select_filters(model: nn.Module, links: Mapping[str, Link], places: Mapping[str, torch.Tensor]) -> nn.Module:
    """A copy of the network with these filters in this order: int64 `[filters]` by the convolution's name.

    Raises `ChainError` for a layer that is read where it cannot be followed.
    """
    model = copied(model)
    for name, chosen in places.items():
        link, convolution = links[name], model.get_submodule(name)
        if link.reader is None:
            raise ChainError(link.obstacle)
        if link.squeezed and len(chosen) == 1:
            raise ChainError(
                f"{name}: one filter would be left, whose axis squeeze() would drop; write flatten(1) there"
            )
        chosen = chosen.to(convolution.weight.device)
        for part in ("weight", "bias"):
            _replace(convolution, part, lambda tensor, chosen=chosen: tensor[chosen])
        filters, convolution.out_channels = convolution.out_channels, len(chosen)
        for norm in map(model.get_submodule, link.norms):
            width = "num_parameters" if isinstance(norm, nn.PReLU) else "num_features"
            theirs = _spread(chosen, getattr(norm, width) // filters)
            for part in ("weight", "bias", "running_mean", "running_var"):
                _replace(norm, part, lambda tensor, theirs=theirs: tensor[theirs])
            setattr(norm, width, len(theirs))
        reader = model.get_submodule(link.reader)
        if isinstance(reader, nn.Linear):
            columns = _spread(chosen, link.positions)
            _replace(reader, "weight", lambda tensor, columns=columns: tensor[:, columns])
            reader.in_features = len(columns)
        else:
            _replace(reader, "weight", lambda tensor, chosen=chosen: tensor[:, chosen])
            reader.in_channels = len(chosen)
    return model


def compact(model: nn.Module, images: torch.Tensor, layers: Sequence[str] | None = None) -> nn.Module:
    """A smaller copy of a masked network that gives the same outputs in eval mode, to float error.

    Filters that no layer reads (their kernels or columns there are all zero) are removed; filters that read nothing,
    and so have the same constant map for every image, are merged into one a layer, or removed where the constant is
    zero.  That is repeated until nothing is left to remove.

    images: `[images, channels, height, width]` of the size that the network is used on; one is looked at.
    layers: names (see `chain.convolution_in`), None for every convolution that can be followed.  One of them that is
    read where it cannot be followed, as the last of a residual block, keeps its filters.
    Raises `ChainError` for a layer that cannot be followed, `CutThrough` where a layer has no filter left that is
    read.
    """
    links = chain.all_closed(model) if layers is None else chain.closed(chain.follow(model, layers))
    small = copied(model)
    while True:
        _merge_constants(small, links, images)
        keep = {name: _columns(small, link).ne(0).transpose(0, 1).flatten(1).any(1) for name, link in links.items()}
        for name, mask in keep.items():
            if not mask.any():
                raise CutThrough(f"{name}: nothing of this layer reaches the next one, so the masks cut it through")
        if all(mask.all() for mask in keep.values()):
            return small
        small = select_filters(small, links, {name: mask.nonzero().flatten() for name, mask in keep.items()})


@torch.no_grad()
def _merge_constants(model: nn.Module, links: Mapping[str, Link], images: torch.Tensor) -> None:
    """In place: of the filters of a layer that read nothing, one at most is read by the next layer."""
    maps = _maps_read(model, links, images[:1])
    for name, link in links.items():
        weight = model.get_submodule(name).weight
        seen = maps[name]
        value = seen[:, 0]
        spread = seen.amax(1) - seen.amin(1)
        silent = weight.eq(0).flatten(1).all(1) & (spread <= SAME * value.abs())
        columns = _columns(model, link)
        columns[:, silent & (value == 0)] = 0
        constant = (silent & (value != 0)).nonzero().flatten()
        if len(constant) > 1:
            stays = constant[value[constant].abs().argmax()]
            shares = value[constant] / value[stays]
            merged = torch.einsum("of...,f->o...", columns[:, constant], shares)
            columns[:, constant] = 0
            columns[:, stays] = merged


def _spread(chosen: torch.Tensor, times: int) -> torch.Tensor:
    """Places, int64 `[filters * times]`, where each filter has so many, one behind the other."""
    return (chosen[:, None] * times + torch.arange(times, device=chosen.device)).flatten()


def _maps_read(model: nn.Module, links: Mapping[str, Link], image: torch.Tensor) -> dict[str, torch.Tensor]:
    """What the reader of each layer sees of one image: `[filters, positions]` by the layer's name."""
    maps = {}
    with networks.capture(model, []):  # for its eval mode, and for putting every mode back
        hooks = [
            model.get_submodule(link.reader).register_forward_pre_hook(
                lambda _, inputs, name=name: maps.update({name: inputs[0][0].clone()})
            )
            for name, link in links.items()
        ]
        try:
            model(
                image.to(next(model.parameters()).device).repeat(2, 1, 1, 1)
            )  # squeeze() drops an axis of one image
        finally:
            for hook in hooks:
                hook.remove()
    return {name: seen.reshape(model.get_submodule(name).out_channels, -1) for name, seen in maps.items()}


def _columns(model: nn.Module, link: Link) -> torch.Tensor:
    """View of the reader's weights in which axis 1 counts the layer's filters."""
    weight = model.get_submodule(link.reader).weight.detach()
    return weight if weight.ndim == 4 else weight.unflatten(1, (-1, link.positions))


def _replace(module: nn.Module, name: str, change) -> None:
    """A parameter or buffer of a module, where it has one, becomes what `change` makes of it."""
    tensor = getattr(module, name, None)
    if tensor is None:
        return
    changed = change(tensor.detach()).contiguous(
        memory_format=torch.channels_last
        if tensor.ndim == 4 and tensor.is_contiguous(memory_format=torch.channels_last)
        else torch.contiguous_format
    )
    if isinstance(tensor, nn.Parameter):
        changed = nn.Parameter(changed, requires_grad=tensor.requires_grad)
    setattr(module, name, changed)
