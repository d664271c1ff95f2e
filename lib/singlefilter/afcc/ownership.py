"""Whether the weights of a layer are its own: stored as they are, and read by nothing else; copies of them."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn.utils import parametrize

_REMEDIES = {
    "WeightNorm": "torch.nn.utils.remove_weight_norm",
    "SpectralNorm": "torch.nn.utils.remove_spectral_norm",
}


def shared(model: nn.Module) -> dict[str, str]:
    """Tied parameters: the name of another one in the same memory, by the name of each that there is.

    A module that has several names is one module: its parameters are its own.
    """
    places: dict[object, list[str]] = {}
    for prefix, module in model.named_modules():
        for kind, parameter in module._parameters.items():
            if parameter is not None:
                key = parameter.data_ptr() or id(parameter)  # there is no address where there is no number
                places.setdefault(key, []).append(f"{prefix}.{kind}" if prefix else kind)
    tied = {}
    for names in places.values():
        tied |= {name: next(other for other in names if other != name) for name in names if len(names) > 1}
    return tied


def computed(module: nn.Module) -> str | None:
    """How the weight or bias of a module is computed each time, and how to make it stay; None where it is stored."""
    if parametrize.is_parametrized(module):
        part = next(iter(module.parametrizations))
        by = type(module.parametrizations[part][0]).__name__.strip("_")
        return f"computed ({by}); make it permanent by torch.nn.utils.parametrize.remove_parametrizations({part!r})"
    for part in ("weight", "bias"):
        if part not in module._parameters and hasattr(module, part):
            hooks = [type(hook).__name__ for hook in module._forward_pre_hooks.values()]
            by = next((hook for hook in hooks if hook in _REMEDIES), next(iter(hooks), "no parameter"))
            return f"computed ({by}); make it permanent by {_REMEDIES.get(by, 'torch.nn.utils.prune.remove')}"
    return None


def copied(model: nn.Module) -> nn.Module:
    """A copy of a network that shares nothing with it, also where its modules hold tensors that were computed.

    Those, as weights under torch.nn.utils.weight_norm, `copy.deepcopy` alone refuses.
    """
    held = [value for module in model.modules() for value in vars(module).values() if isinstance(value, torch.Tensor)]
    return copy.deepcopy(model, {id(value): value.detach().clone() for value in held if not value.is_leaf})
