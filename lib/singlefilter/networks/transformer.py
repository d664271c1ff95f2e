"""A compact convolutional transformer (CCT), of torch's own encoder layers.

Hassani et al., "Escaping the Big Data Paradigm with Compact Transformers", arXiv 2104.05704: convolutions cut an
image into tokens, and what all tokens say is pooled by weights that are learnt, so that small images and few of them
do.
"""

from __future__ import annotations

import torch
from torch import nn

WIDENING = 2  # hidden nodes of a block's two linear layers, for each of its own


class CCT(nn.Module):
    """Tokens of convolutions, `depth` encoder blocks with norms first, sequence pooling, and a linear layer.

    Every block has `width` nodes, whose attention is split into `attention_heads`.  The tokenizer has `halvings`
    convolutions, each of which halves the side of the image: 2 make 8 x 8 tokens of 32 pixels.  Tokens have learnt
    positions, so images have one size.  Nothing is dropped out, which on a CPU would cost as much as the blocks.
    Raises `ValueError` for a width that the heads do not divide, and for images that are too small.
    """

    def __init__(
        self,
        depth: int,
        width: int,
        attention_heads: int,
        labels: int,
        input_size: int = 32,
        halvings: int = 2,
    ):
        super().__init__()
        if width % attention_heads:
            raise ValueError(f"{attention_heads} attention heads do not divide {width} nodes")
        side = input_size // 2**halvings
        if side < 2:
            raise ValueError(f"{halvings} halvings of {input_size} pixels leave fewer than 2 x 2 tokens")
        channels = [3, *(max(1, width // 2**later) for later in reversed(range(halvings)))]
        stages = [_halving(*pair) for pair in zip(channels[:-1], channels[1:], strict=True)]
        self.tokenizer = nn.Sequential(*stages, nn.Flatten(2))
        self.place = nn.Parameter(torch.empty(1, side**2, width).normal_(std=0.02))
        self.blocks = nn.Sequential(*(_block(width, attention_heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.share = nn.Linear(width, 1, bias=False)  # one would change no softmax
        self.classifier = nn.Linear(width, labels)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits `[images, label]` of float32 images in [-1, 1] `[images, 3, height, width]`."""
        tokens = self.norm(self.blocks(self.tokenizer(images).transpose(1, 2) + self.place))
        shares = self.share(tokens).softmax(1)  # [images, tokens, 1]
        return self.classifier((shares * tokens).sum(1))


def _halving(channels: int, filters: int) -> nn.Sequential:
    convolution = nn.Conv2d(channels, filters, 3, padding=1, bias=False)
    nn.init.kaiming_normal_(convolution.weight)
    return nn.Sequential(convolution, nn.BatchNorm2d(filters), nn.ReLU(inplace=True), nn.MaxPool2d(2))


def _block(width: int, heads: int) -> nn.TransformerEncoderLayer:
    """An encoder layer that returns tokens `[images, tokens, nodes]`."""
    return nn.TransformerEncoderLayer(
        width, heads, WIDENING * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )
