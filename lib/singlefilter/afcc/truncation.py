"""Truncation: where accuracy has levelled off, the layers behind are dropped; the trained head takes their place."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import fx, nn

from singlefilter.afcc import chain
from singlefilter.afcc.masks import MaskError
from singlefilter.afcc.ownership import copied
from singlefilter.method import heads


def truncate(model: nn.Module, point: heads.HeadPoint, weights: torch.Tensor) -> nn.Sequential:
    """The network up to a head's cut, with that head: `nn.Sequential` of `trunk`, `pool`, `flatten` and `head`.

    weights: float `[out_label, filters, positions]`; the head is a linear layer without bias.  The layers in front
    keep their names, behind `trunk.`; `pool` is there where the head averages its maps.  Nothing is shared with the
    given network.  Raises `MaskError` when the weights are not of this cut, `ChainError` when torch.fx cannot trace
    the network.  Source: claim C1 and section 2.
    """
    expected = (point.cut.filters, point.positions)
    if weights.ndim != 3 or tuple(weights.shape[1:]) != expected:
        raise MaskError(
            f"{point.name}: head weights are [out_label, {expected[0]}, {expected[1]}]; {list(weights.shape)} given"
        )
    head = nn.Linear(point.fan_in, len(weights), bias=False)
    head.weight = nn.Parameter(weights.detach().flatten(1).clone())
    parts = OrderedDict(trunk=upto(model, point.cut.module))
    if point.size != point.cut.size:
        parts["pool"] = nn.AdaptiveAvgPool2d(point.size)
    parts |= {"flatten": nn.Flatten(), "head": head.to(next(model.parameters()).device)}
    return nn.Sequential(parts).train(model.training)


def upto(model: nn.Module, module: str) -> nn.Module:
    """A copy of the network that ends with the output of one of its modules; what lies behind is gone.

    Raises `ChainError` when there is no such module in its forward pass, or torch.fx cannot trace it.
    """
    graph = chain.trace(model)
    inside = [node for node in graph.nodes if module in node.meta.get("nn_module_stack", {})]
    if not inside:
        raise chain.ChainError(f"the network calls no module {module!r}, so it cannot be cut there")
    last, *_, output = list(graph.nodes)[list(graph.nodes).index(inside[-1]) :]
    output.args = (last,)
    while output.prev is not last:
        graph.erase_node(output.prev)
    return fx.GraphModule(copied(model), graph, type(model).__name__)
