"""Masks that hold through every step of an optimizer, momentum and weight decay included."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import nn

from singlefilter.afcc import masks as masks_
from singlefilter.afcc import ownership


@torch.no_grad()
def apply(model: nn.Module, masks: Mapping[str, torch.Tensor]) -> None:
    """Set the weights that masks drop to zero, in place: masks by the names of layers, or of single parameters.

    Raises `MaskError` for a name that is not there, weights that are tied or computed and a mask that does not fit,
    `CutThrough` for an empty one; nothing is changed then.
    """
    for weight, dropped in _dropped(model, masks):
        weight.masked_fill_(dropped, 0)


@contextmanager
def enforced(steps: torch.optim.Optimizer, model: nn.Module, masks: Mapping[str, torch.Tensor]) -> Iterator[None]:
    """Inside, the weights that masks drop are exactly zero after every step of the optimizer, and from the start.

    Before a step their gradients are zeroed, after it the weights and whatever the optimizer remembers of them
    (momentum): weight decay and Nesterov's look-ahead have nothing to act on.  Raises as `apply`.
    """
    pairs = _dropped(model, masks)
    apply(model, masks)

    def before(*_) -> None:
        for weight, dropped in pairs:
            if weight.grad is not None:
                weight.grad.masked_fill_(dropped, 0)  # filled, not multiplied: zero times infinity is no zero

    @torch.no_grad()
    def after(*_) -> None:
        for weight, dropped in pairs:
            weight.masked_fill_(dropped, 0)
            for remembered in steps.state.get(weight, {}).values():
                if isinstance(remembered, torch.Tensor) and remembered.shape == weight.shape:
                    remembered.masked_fill_(dropped, 0)

    hooks = steps.register_step_pre_hook(before), steps.register_step_post_hook(after)
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _dropped(model: nn.Module, masks: Mapping[str, torch.Tensor]) -> list[tuple[nn.Parameter, torch.Tensor]]:
    modules = dict(model.named_modules(remove_duplicate=False))
    parameters = dict(model.named_parameters(remove_duplicate=False))
    tied = ownership.shared(model)
    pairs = []
    for layer, mask in masks.items():
        name = layer if layer in parameters else f"{layer}.weight"
        weight = parameters.get(name)
        if layer in modules and (how := ownership.computed(modules[layer])):
            raise masks_.MaskError(f"{layer}: its weight is {how}; a mask would not hold")
        if name in tied:
            raise masks_.MaskError(
                f"{name} is tied to {tied[name]}, where the mask would act too; untie them, by a copy"
            )
        if weight is None:
            raise masks_.MaskError(f"the network has no weights named {layer!r}, for which there is a mask")
        pairs.append((weight, ~masks_.expand(mask.to(weight.device), weight.shape, layer)))
    return pairs
