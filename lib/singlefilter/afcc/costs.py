"""What a network costs: parameters and multiply-adds."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from singlefilter.afcc.compact_head import CompactHead


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
    image = images[:1].to(next(model.parameters()).device)
    still = copy.deepcopy(model).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:  # two operations a multiply-add
        still(image)
    compact = sum(part.weights.numel() for part in still.modules() if isinstance(part, CompactHead))
    parameters = list(model.parameters())
    return Costs(
        sum(parameter.numel() for parameter in parameters),
        sum(int(parameter.count_nonzero()) for parameter in parameters),
        counter.get_total_flops() // 2 + compact,
    )
