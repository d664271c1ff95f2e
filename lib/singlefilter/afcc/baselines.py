"""Whole-filter pruning as others do it, at a given number of multiply-adds, to compare with. Source: section 8."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import nn

from singlefilter import data
from singlefilter.afcc import chain
from singlefilter.afcc.costs import costs
from singlefilter.afcc.optional import optional
from singlefilter.afcc.ownership import copied
from singlefilter.afcc.smaller import remove_filters

STEPS = 8  # of the search for the fraction of filters: 1/256 of a layer


def by_score(
    model: nn.Module, scores: Mapping[str, torch.Tensor], images: torch.Tensor, multiply_adds: int
) -> nn.Module:
    """A copy without the filters of lowest score, the same fraction of each layer.

    scores: real `[filters]` by the layer's name (see `chain.convolution_in`); images: `[images, channels, height,
    width]` of the size in use.  As many filters stay as cost at most `multiply_adds` an image.  Not retrained.
    Raises `ValueError` when one filter a layer still costs more, `MaskError` for scores of another number of filters,
    `ChainError` for a layer that cannot be followed.
    """
    return _largest(lambda fraction: remove_filters(model, _best(scores, fraction)), images, multiply_adds)


def by_l1(model: nn.Module, layers: Sequence[str], images: torch.Tensor, multiply_adds: int) -> nn.Module:
    """A copy without the filters of smallest L1 norm.  layers: their names; the rest as in `by_score`."""
    names = chain.follow(model, layers)
    scores = {name: model.get_submodule(name).weight.detach().abs().sum((1, 2, 3)) for name in names}
    return by_score(model, scores, images, multiply_adds)


def at_random(
    model: nn.Module, layers: Sequence[str], images: torch.Tensor, multiply_adds: int, seed: int
) -> nn.Module:
    """A copy without filters drawn at random.  layers: their names; the rest as in `by_score`."""
    scores = {}
    for number, name in enumerate(chain.follow(model, layers)):
        generator = torch.Generator().manual_seed(data.mix(seed, number))
        scores[name] = torch.rand(model.get_submodule(name).out_channels, generator=generator)
    return by_score(model, scores, images, multiply_adds)


def by_group_norm(model: nn.Module, layers: Sequence[str], images: torch.Tensor, multiply_adds: int) -> nn.Module:
    """A copy without the filters that torch-pruning finds least important by its group norm (L2).

    The library sees what depends on a filter, its kernels in the next layer included, and removes it everywhere.
    Otherwise as `by_score`, but layers need not be in a chain.  Raises `ImportError` without torch-pruning.
    """
    pruning = optional("torch_pruning", "prune", "the group norm baseline")
    names = [chain.convolution_in(model, layer) for layer in layers]

    def pruned(fraction: float) -> nn.Module:
        small = copied(model)
        chosen = [small.get_submodule(name) for name in names]
        ignored = [part for part in small.modules() if isinstance(part, nn.Conv2d | nn.Linear) and part not in chosen]
        modes = {part: part.training for part in small.modules()}
        pruner = pruning.pruner.BasePruner(
            small,
            images[:1].to(next(small.parameters()).device),
            importance=pruning.importance.GroupMagnitudeImportance(p=2),
            pruning_ratio=1 - fraction,
            ignored_layers=ignored,
        )
        pruner.step()
        for part, mode in modes.items():
            part.training = mode
        for parameter in small.parameters():
            parameter.grad = None
        return small

    return _largest(pruned, images, multiply_adds)


def _best(scores: Mapping[str, torch.Tensor], fraction: float) -> dict[str, torch.Tensor]:
    """Bool `[filters]` a layer: this fraction of its filters, those of the highest score, one at least."""
    keep = {}
    for name, score in scores.items():
        chosen = score.argsort(descending=True, stable=True)[: max(1, round(fraction * len(score)))]
        keep[name] = torch.zeros(len(score), dtype=torch.bool, device=score.device)
        keep[name][chosen] = True
    return keep


def _largest(prune: Callable[[float], nn.Module], images: torch.Tensor, multiply_adds: int) -> nn.Module:
    """The network of the largest fraction of filters, found by bisection, that costs no more."""
    whole = prune(1.0)
    if costs(whole, images).multiply_adds <= multiply_adds:
        return whole
    low, high, found = 0.0, 1.0, None
    for _ in range(STEPS):
        fraction = (low + high) / 2
        small = prune(fraction)
        cost = costs(small, images).multiply_adds
        if cost <= multiply_adds:
            low, found = fraction, small
        else:
            high = fraction
    if found is None:
        raise ValueError(
            f"with hardly a filter left in each layer the network still costs {cost:,} multiply-adds an image, "
            f"{multiply_adds:,} asked for; name more layers"
        )
    return found
