"""Following a filter through a network: what reads it, and what lies between.

Works on any `nn.Module` that torch.fx can trace, as long as the named convolutions lie in a chain: convolution, batch
norm, activation and pooling, then the next convolution or, flattened, a linear layer.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import fx, nn
from torch.nn import functional

# What changes each filter's map by itself, so that filters may be taken out in front of it.
_PASSING = (
    nn.Identity, nn.Dropout, nn.Dropout2d, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Mish,
    nn.Hardswish, nn.Hardtanh, nn.Sigmoid, nn.Tanh, nn.Softplus,
    nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d,
)  # fmt: skip
_PASSING_FUNCTIONS = {
    functional.relu, functional.relu6, functional.leaky_relu, functional.elu, functional.gelu, functional.silu,
    functional.hardswish, functional.dropout, functional.max_pool2d, functional.avg_pool2d,
    functional.adaptive_avg_pool2d, functional.adaptive_max_pool2d,
    torch.relu, torch.relu_, torch.sigmoid, torch.tanh,
}  # fmt: skip
_PASSING_METHODS = {"relu", "relu_", "sigmoid", "tanh", "contiguous"}


class ChainError(ValueError):
    """A layer that cannot be followed; the message names it, and what is in the way."""


@dataclass(frozen=True)
class Link:
    """A convolution `layer`, the batch norms `norms` behind it, and `reader`: the one layer that takes its filters.

    All by their dotted names.  `positions`: inputs that a linear reader has for each filter; 1 for a convolution.
    """

    layer: str
    norms: tuple[str, ...]
    reader: str
    positions: int


def convolution_in(model: nn.Module, name: str) -> str:
    """Name of the convolution that a name means: itself, or the only one inside the module of that name.

    Raises `ChainError` when the network has no such module, or none or several convolutions are in it.
    """
    known = dict(model.named_modules())
    if name not in known:
        raise ChainError(f"the network has no module {name!r}; it has, among others, {', '.join(list(known)[1:8])}")
    inside = [key for key, module in known[name].named_modules(prefix=name) if _is_conv(module)]
    if len(inside) != 1:
        raise ChainError(f"{name} contains {len(inside)} convolutions; name the one you mean")
    return inside[0]


def convolutions(model: nn.Module) -> list[str]:
    """Names of all convolutions of a network, in the order in which they are registered."""
    return [name for name, module in model.named_modules() if _is_conv(module)]


def trace(model: nn.Module) -> fx.Graph:
    """The network as a graph of calls.  Raises `ChainError` where its forward pass depends on its data."""
    try:
        return fx.Tracer().trace(model)
    except Exception as error:  # a tracer runs the network's own code, which may raise anything
        reason = str(error).strip().partition("\n")[0]
        raise ChainError(f"{type(model).__name__} cannot be followed: {type(error).__name__}: {reason}") from error


def follow(model: nn.Module, layers: Sequence[str]) -> dict[str, Link]:
    """The links of the named convolutions (see `convolution_in`), by the convolution's name, in the order given.

    Raises `ChainError`, naming layer and obstacle, for branches, layers or weights that are used more than once,
    grouped convolutions, weights that are computed, and operations that mix filters.
    """
    graph = trace(model)
    modules = dict(model.named_modules())
    calls = Counter(node.target for node in graph.nodes if node.op in ("call_module", "get_attr"))
    owners = Counter(id(parameter) for _, parameter in model.named_parameters(remove_duplicate=False))
    called = {node.target: node for node in graph.nodes if node.op == "call_module"}

    def check(layer: str, name: str) -> None:
        """Refuse a module that is used elsewhere too."""
        if calls[name] > 1:
            raise ChainError(f"{layer}: {name} is called {calls[name]} times, its weights are shared; leave it out")
        for kind, parameter in modules[name].named_parameters(recurse=False):
            if owners[id(parameter)] > 1 or calls[f"{name}.{kind}"]:
                raise ChainError(f"{layer}: {name}.{kind} is used by another module too, shared; leave it out")
        if "weight" not in modules[name]._parameters:
            raise ChainError(f"{layer}: the weight of {name} is computed (a parametrisation); make it permanent")
        if _is_conv(modules[name]) and modules[name].groups > 1:
            raise ChainError(f"{layer}: {name} is a grouped convolution, which cannot be followed; leave it out")

    def link(layer: str) -> Link:
        if layer not in called:
            raise ChainError(f"{layer} is never called in the forward pass")
        check(layer, layer)
        node, norms, flat = called[layer], [], False
        while True:
            node = _only_user(layer, node)
            module = modules.get(node.target) if node.op == "call_module" else None
            if isinstance(module, nn.BatchNorm2d) and not flat and module.affine and module.track_running_stats:
                check(layer, node.target)
                norms.append(node.target)
            elif _flattens(node, module):
                flat = True
            elif isinstance(module, nn.Linear) and flat:
                check(layer, node.target)
                positions, rest = divmod(module.in_features, modules[layer].out_channels)
                if rest:
                    raise ChainError(f"{layer}: {node.target} does not have as many inputs for each filter")
                return Link(layer, tuple(norms), node.target, positions)
            elif module is not None and _is_conv(module) and not flat:
                check(layer, node.target)
                return Link(layer, tuple(norms), node.target, 1)
            elif not _passes(node, module):
                raise ChainError(
                    f"{layer}: its filters go into {_described(node, module)}, through which they cannot be followed"
                )

    names = [convolution_in(model, layer) for layer in layers]
    if twice := [name for name, times in Counter(names).items() if times > 1]:
        raise ChainError(f"{twice[0]} is named more than once, as itself or as what contains it")
    return {name: link(name) for name in names}


def neighbours(links: Mapping[str, Link], head: str | None = None) -> list[tuple[str, str]]:
    """Pairs of layers of which the second reads the first, in the order of the links; the head may be a second.

    Raises `ChainError` for a layer that is in no pair.
    """
    pairs = [(name, link.reader) for name, link in links.items() if link.reader in links or link.reader == head]
    paired = {name for pair in pairs for name in pair}
    if alone := [name for name in links if name not in paired]:
        reader = links[alone[0]].reader
        raise ChainError(f"{alone[0]} is read by {reader}, and no neighbour of it is named; name both of a pair")
    return pairs


def _only_user(layer: str, node: fx.Node) -> fx.Node:
    users = list(node.users)
    if len(users) > 1:
        raise ChainError(f"{layer}: branches behind {node.name}, into {', '.join(user.name for user in users)}")
    if not users or users[0].op == "output":
        raise ChainError(f"{layer}: its filters are the output of the network, no layer reads them")
    return users[0]


def _flattens(node: fx.Node, module: nn.Module | None) -> bool:
    if isinstance(module, nn.Flatten):
        return (module.start_dim, module.end_dim) == (1, -1)
    named = node.target is torch.flatten or (node.op == "call_method" and node.target == "flatten")
    return named and (node.args[1:] in ((1,), (1, -1)) or (node.args[1:] == () and node.kwargs == {"start_dim": 1}))


def _passes(node: fx.Node, module: nn.Module | None) -> bool:
    if node.op == "call_module":
        return isinstance(module, _PASSING)
    if node.op == "call_method":
        return node.target in _PASSING_METHODS
    return node.op == "call_function" and node.target in _PASSING_FUNCTIONS


def _described(node: fx.Node, module: nn.Module | None) -> str:
    if module is not None:
        return f"{node.target} ({type(module).__name__})"
    if node.target in (operator.add, operator.iadd, torch.add, "add", "add_", torch.cat):
        return f"{node.name}, where branches meet"
    return node.name


def _is_conv(module: nn.Module) -> bool:
    return type(module) is nn.Conv2d
