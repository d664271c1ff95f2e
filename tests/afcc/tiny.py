"""A tiny VGG to be made smaller, images for it, and clusters of its filters."""

import numpy as np
import torch
from torch import nn

from singlefilter import networks, profiles
from singlefilter.afcc import chain

LAYERS = [f"features.layer{layer}" for layer in range(1, 9)]


def network(seed: int = 0, size: int = 32, hidden: tuple[int, ...] = ()) -> nn.Module:
    """A tiny VGG whose batch norms have statistics, slopes and biases of all signs."""
    model = networks.build(profiles.Network(depth=11, width=4, hidden=hidden), 6, size, seed).eval()
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight.data, module.bias.data, module.running_mean):
                tensor.copy_(torch.randn(tensor.shape, generator=generator))
            module.running_var.copy_(torch.rand(module.running_var.shape, generator=generator) + 0.5)
    return model


def images(size: int = 32) -> torch.Tensor:
    return torch.randn(5, 3, size, size, generator=torch.Generator().manual_seed(9))


def outputs(model: nn.Module, size: int = 32) -> torch.Tensor:
    with torch.no_grad():
        return model(images(size))


def filters(model: nn.Module) -> list[int]:
    return [model.get_submodule(name).out_channels for name in chain.convolutions(model)]


def copies(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def clusters_of(model: nn.Module, share: float, seed: int = 0) -> dict[str, np.ndarray]:
    """Random clusters for every layer; about `share` of the filters have any."""
    rng = np.random.default_rng(seed)
    found = {}
    for layer, count in zip(LAYERS, filters(model), strict=True):
        found[layer] = np.where(rng.random((count, 6)) < 0.3, 0, -1)
        found[layer][rng.random(count) > share] = -1
        found[layer][0, 0] = 0  # a way through
    return found
