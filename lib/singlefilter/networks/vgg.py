"""VGG with batch norm. Source: section 1."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

_CONVOLUTIONS = {
    8: (1, 1, 1, 1, 1),
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
_WIDTHS = (1, 2, 4, 8, 8)


class VGG(nn.Module):
    """VGG with batch norm: blocks of 3x3 convolutions, each block ended by a 2x2 max-pool, then linear layers.

    Between the linear layers there is neither activation nor dropout. Source: section 1.
    """

    def __init__(self, depth: int, width: int, labels: int, hidden: Sequence[int] = (), input_size: int = 32):
        super().__init__()
        if depth not in _CONVOLUTIONS:
            raise ValueError(f"VGG comes in {', '.join(map(str, _CONVOLUTIONS))} layers, {depth} given")
        if input_size < 32:
            raise ValueError(f"VGG halves its input five times, so it needs 32 pixels or more, {input_size} given")
        layers, channels, side = OrderedDict(), 3, input_size
        for factor, convolutions in zip(_WIDTHS, _CONVOLUTIONS[depth], strict=True):
            for last in [False] * (convolutions - 1) + [True]:
                layers[f"layer{len(layers) + 1}"] = _convolution(channels, factor * width, pool=last)
                channels = factor * width
            side //= 2
        self.features = nn.Sequential(layers)
        self.pool_to = min(side, 7)
        sizes = [channels * self.pool_to**2, *hidden, labels]
        linear = [nn.Linear(*pair) for pair in zip(sizes[:-1], sizes[1:], strict=True)]
        self.classifier = nn.Sequential(nn.Flatten(), *linear)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits `[images, label]` of float32 images in [-1, 1] `[images, 3, height, width]`."""
        return self.classifier(functional.adaptive_avg_pool2d(self.features(images), self.pool_to))


def _convolution(channels: int, filters: int, pool: bool) -> nn.Sequential:
    convolution = nn.Conv2d(channels, filters, 3, padding=1, bias=False)  # batch norm brings the bias
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    parts = [convolution, nn.BatchNorm2d(filters), nn.ReLU(inplace=True)]
    return nn.Sequential(*parts, nn.MaxPool2d(2)) if pool else nn.Sequential(*parts)
