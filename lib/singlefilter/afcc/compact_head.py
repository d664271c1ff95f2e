"""A head as compact rows: the kept weights alone, and the same logits."""

from __future__ import annotations

import torch
from torch import nn

from singlefilter.afcc import masks as masks_


class CompactHead(nn.Module):
    """A linear layer that stores only the kept pairs of output and filter, with their weights over the positions.

    weights: float `[out_label, filters, positions]`; mask: bool `[out_label, filters]`; bias: float `[out_label]` or
    None.  Takes what the linear layer takes, `[images, filters * positions]`.  To keep single weights, give
    `[out_label, filters * positions, 1]` and a mask like it.  Raises as `masks.expand`.

    Its multiply-adds fall to the kept fraction; its time need not, since what it reads is gathered first.
    """

    def __init__(self, weights: torch.Tensor, mask: torch.Tensor, bias: torch.Tensor | None = None):
        super().__init__()
        if weights.ndim != 3 or mask.shape != weights.shape[:2]:
            raise masks_.MaskError(
                f"weights are [out_label, filters, positions] and their mask [out_label, filters]; they are "
                f"{list(weights.shape)} and {list(mask.shape)}"
            )
        masks_.expand(mask, weights.shape, "the head")
        outputs, filters = mask.nonzero(as_tuple=True)
        self.weights = nn.Parameter(weights.detach()[outputs, filters].clone())
        self.bias = None if bias is None else nn.Parameter(bias.detach().clone())
        self.register_buffer("outputs", outputs.clone())
        self.register_buffer("filters", filters.clone())
        self.labels, self.positions = len(weights), weights.shape[2]

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Logits `[images, out_label]` of float `[images, filters * positions]`."""
        read = features.unflatten(1, (-1, self.positions)).index_select(1, self.filters)
        source = (read * self.weights).sum(2)  # under autocast not of the features' number format
        logits = source.new_zeros(features.shape[0], self.labels).index_add(1, self.outputs, source)
        return logits if self.bias is None else logits + self.bias


def compacted(linear: nn.Linear, filters: int) -> CompactHead:
    """The compact head of a masked linear layer, `[out_label, filters * positions]`: pairs that are not all zero.

    Raises `MaskError` when its inputs are not the same number for each filter, `CutThrough` when all is zero.
    """
    if linear.in_features % filters:
        raise masks_.MaskError(f"{linear.in_features} inputs are not the same number for each of {filters} filters")
    weights = linear.weight.detach().unflatten(1, (filters, -1))
    return CompactHead(weights, weights.ne(0).any(2), linear.bias)
