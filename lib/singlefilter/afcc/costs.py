"""What a network costs: parameters and multiply-adds."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from singlefilter.afcc.compact_head import CompactHead
from singlefilter.afcc.ownership import copied


@dataclass(frozen=True)
class Costs:
    """`parameters` as stored; `nonzero` of them, fewer under masks; `multiply_adds` for one image.

    Multiply-adds are those of convolutions and of linear layers, each product with its addition counted once, zeros
    included; batch norm, activations and pooling are not counted.
    """

    parameters: int
    nonzero: int
    multiply_adds: int


def costs(model: nn.Module, images: torch.Tensor) -> Costs:
    """Costs of a network on images of this size, float `[images, channels, height, width]`; it is left as it is."""
    two = images[:1].to(next(model.parameters()).device).repeat(2, 1, 1, 1)  # squeeze() drops an axis of one image
    still = copied(model).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:  # two operations a multiply-add, of two images
        still(two)
    compact = sum(part.weights.numel() for part in still.modules() if isinstance(part, CompactHead))
    parameters = list(model.parameters())
    return Costs(
        sum(parameter.numel() for parameter in parameters),
        sum(int(parameter.count_nonzero()) for parameter in parameters),
        counter.get_total_flops() // 4 + compact,
    )
