"""Networks of torchvision, from scratch or with ImageNet weights: EfficientNet-B0, VGG-16, a vision transformer."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from singlefilter import profiles
from singlefilter.networks import ready


class Rescaled(nn.Module):
    """A network that takes pixels on the scale its ready weights were trained with, behind images in [-1, 1].

    mean, deviation: of each channel, for pixels in [0, 1].
    """

    def __init__(self, model: nn.Module, mean: list[float], deviation: list[float]):
        super().__init__()
        self.model = model
        # From [-1, 1] in one step; buffers go where the network goes, and are no part of its state.
        deviation, mean = (torch.tensor(values).view(-1, 1, 1) for values in (deviation, mean))
        self.register_buffer("factor", 0.5 / deviation, persistent=False)
        self.register_buffer("offset", (0.5 - mean) / deviation, persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.model(images * self.factor + self.offset)


def network(name: str, labels: int, weights: str | None, rescaled: bool = False) -> nn.Module:
    """A network of torchvision by its name there, with so many outputs.

    weights: whether those of ImageNet, downloaded where they are not there; rescaled: whether its pixels are on their
    scale.  Raises `ready.WeightsError`, which says where to put the file, when they cannot be had.
    """
    import torchvision

    model, of_imagenet = getattr(torchvision.models, name)(weights=None), _weights(name)
    if weights:
        model.load_state_dict(ready.imagenet(of_imagenet.url, profiles.Network(name).title))
    last = [key for key, module in model.named_modules() if isinstance(module, nn.Linear)][-1]
    if labels != (old := model.get_submodule(last)).out_features:
        model.set_submodule(last, nn.Linear(old.in_features, labels))
    if not rescaled:
        return model
    scale = of_imagenet.transforms()
    return Rescaled(model, scale.mean, scale.std)


def _weights(name: str) -> Any:
    import torchvision

    return torchvision.models.get_model_weights(name).IMAGENET1K_V1
