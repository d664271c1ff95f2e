"""The network of a profile, ready to be trained."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn
from torch.nn import functional

from singlefilter import profiles
from singlefilter.networks import ready, torchvisions
from singlefilter.networks.lite import efficientnet_lite0
from singlefilter.networks.transformer import CCT
from singlefilter.networks.vgg import VGG


def build(config: profiles.Network, labels: int, image_size: int, seed: int, frozen: bool = False) -> nn.Module:
    """The network of a profile, initialised from a seed (its ready weights, where it names any, are loaded).

    frozen: it is not trained here, so its pixels are on the scale that ImageNet's weights were trained with.  Raises
    `ready.WeightsError` where weights cannot be had or do not fit.
    """
    of_imagenet = config.weights if config.weights == profiles.IMAGENET else None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if config.name == "vgg":
            model = VGG(config.depth, config.width, labels, config.hidden, config.input_size or image_size)
        elif config.name == "cct":
            size = config.input_size or image_size
            model = CCT(config.depth, config.width, config.attention_heads, labels, size, config.halvings)
        elif config.name == "efficientnet_lite0":
            model = efficientnet_lite0(labels, of_imagenet)  # it has the scale in itself
        else:
            model = torchvisions.network(config.name, labels, of_imagenet, rescaled=frozen)
    if config.weights and not of_imagenet:
        ready.load(model, config.weights)
    return Resized(model, config.input_size) if config.input_size else model


@torch.no_grad()
def settle_norms(model: nn.Module, batches: Iterable[torch.Tensor]) -> None:
    """Give the batch norms of a network that is not trained the statistics of some images.

    With those it starts from, maps may vanish within a few layers, and nothing could be read from them.  batches:
    float32 `[images, 3, height, width]`, on the network's device.  It is in eval mode afterwards.
    """
    norms = [module for module in model.eval().modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a mean over all batches
        norm.train()
    for images in batches:
        model(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()


class Resized(nn.Module):
    """A network that scales its input images to its own size first, on their device."""

    def __init__(self, model: nn.Module, size: int):
        super().__init__()
        self.model = model
        self.size = size

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        scaled = functional.interpolate(images, self.size, mode="bilinear", antialias=True)
        return self.model(scaled)
