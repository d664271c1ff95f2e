"""Following a filter through a network: what reads it, and what lies between.

Works on any `nn.Module` that torch.fx can trace.  Between a convolution and the layer that reads it, another
convolution or a linear one, there may be batch norm, activations, pooling, and what makes maps flat (`axes`).  Only
that way has to be a chain: inside a residual block one convolution reads another, though branches meet behind both.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import fx, nn
from torch.nn import functional
from torch.nn.utils import parametrize

from singlefilter.afcc import axes as axes_
from singlefilter.afcc import ownership

# What changes each number of a map by itself, so that filters may be taken out in front of it.
_PASSING = (
    nn.Identity, nn.Dropout, nn.Dropout2d, nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Mish,
    nn.Hardswish, nn.Hardtanh, nn.Sigmoid, nn.Tanh, nn.Softplus,
)  # fmt: skip
_PASSING_FUNCTIONS = {
    functional.relu, functional.relu6, functional.leaky_relu, functional.elu, functional.gelu, functional.silu,
    functional.hardswish, functional.dropout, torch.relu, torch.relu_, torch.sigmoid, torch.tanh,
}  # fmt: skip
_PASSING_METHODS = {"relu", "relu_", "sigmoid", "tanh", "contiguous"}


class ChainError(ValueError):
    """A layer that cannot be followed; the message names it, and what is in the way."""


@dataclass(frozen=True)
class Link:
    """A convolution `layer`, the `norms` behind it, and `reader`: the one layer that takes its filters.

    All by their dotted names.  `norms`: batch norms, and PReLUs that have a slope for each filter.  `positions`:
    inputs that a linear reader has for each filter; 1 for a convolution.  Of a layer that is itself the reader of
    another one, `reader` may be None: `obstacle` says what is in the way.  `squeezed`: whether all axes of size 1 are
    dropped behind it, so that two filters at least have to stay.
    """

    layer: str
    norms: tuple[str, ...]
    reader: str | None
    positions: int
    obstacle: str = ""
    squeezed: bool = False


def convolution_in(model: nn.Module, name: str) -> str:
    """Name of the convolution that a name means: itself, or the only one inside the module of that name.

    Raises `ChainError` when the network has no such module, or none or several convolutions are in it.
    """
    known = dict(model.named_modules(remove_duplicate=False))
    if name not in known:
        raise ChainError(f"the network has no module {name!r}; it has, among others, {', '.join(list(known)[1:8])}")
    inside = [module for module in known[name].modules() if _is_conv(module)]
    if len(inside) != 1:
        raise ChainError(f"{name} contains {len(inside)} convolutions; name the one you mean")
    return next(key for key, module in model.named_modules() if module is inside[0])


def convolutions(model: nn.Module) -> list[str]:
    """Names of all convolutions of a network, in the order in which they are registered."""
    return [name for name, module in model.named_modules() if _is_conv(module)]


def trace(model: nn.Module) -> fx.Graph:
    """The network as a graph of calls.  Raises `ChainError` where its forward pass depends on its data."""
    try:
        with _attributes_kept(model):
            return fx.Tracer().trace(model)
    except Exception as error:  # a tracer runs the network's own code, which may raise anything
        reason = str(error).strip().partition("\n")[0]
        raise ChainError(f"{type(model).__name__} cannot be followed: {type(error).__name__}: {reason}") from error


def follow(model: nn.Module, layers: Sequence[str]) -> dict[str, Link]:
    """The links of the named convolutions (see `convolution_in`), by the convolution's name, in the order given.

    A convolution that another one of them is read by needs no reader that can be followed: its kernels may be masked
    all the same.  `closed` leaves out such a one.

    Raises `ChainError`, naming layer and obstacle, for branches, layers or weights that are used more than once,
    grouped convolutions, weights that are computed, and operations that mix filters.
    """
    names = [convolution_in(model, layer) for layer in layers]
    if twice := [name for name, times in Counter(names).items() if times > 1]:
        raise ChainError(f"{twice[0]} is named more than once, as itself or as what contains it")
    way = _Way(model)
    for name in names:
        way.check(name, name)
    links = {name: way.link(name) for name in names}
    read = {link.reader for link in links.values()}
    for name, link in links.items():
        if link.reader is None and name not in read:
            raise ChainError(link.obstacle)
    return links


def closed(links: Mapping[str, Link]) -> dict[str, Link]:
    """The links whose layers have a reader, so that filters may be removed from them."""
    return {name: link for name, link in links.items() if link.reader is not None}


def all_closed(model: nn.Module) -> dict[str, Link]:
    """The links of every convolution that can be followed, those left out that cannot.

    Raises `ChainError` where none can, naming the first.
    """
    way, links, obstacles = _Way(model), {}, []
    for name in convolutions(model):
        try:
            way.check(name, name)
            link = way.link(name)
        except ChainError as error:
            obstacles.append(str(error))
            continue
        if link.reader is None:
            obstacles.append(link.obstacle)
        else:
            links[name] = link
    if not links:
        raise ChainError(obstacles[0] if obstacles else f"{type(model).__name__} has no convolution")
    return links


def neighbours(links: Mapping[str, Link], head: str | None = None) -> list[tuple[str, str]]:
    """Pairs of layers of which the second reads the first, in the order of the links; the head may be a second.

    Raises `ChainError` for a layer that is in no pair.
    """
    pairs = [(name, link.reader) for name, link in closed(links).items() if link.reader in (*links, head)]
    paired = {name for pair in pairs for name in pair}
    if alone := [name for name in links if name not in paired]:
        reader = links[alone[0]].reader
        if reader is None:
            raise ChainError(links[alone[0]].obstacle)
        raise ChainError(f"{alone[0]} is read by {reader}, and no neighbour of it is named; name both of a pair")
    return pairs


class _Way:
    """A network's graph, and what is called and owned in it, to follow several layers."""

    def __init__(self, model: nn.Module):
        graph = trace(model)
        self.modules = dict(model.named_modules())
        self.calls = Counter(node.target for node in graph.nodes if node.op in ("call_module", "get_attr"))
        self.called = {node.target: node for node in graph.nodes if node.op == "call_module"}
        self.tied = ownership.shared(model)

    def check(self, layer: str, name: str) -> None:
        """Raises `ChainError` for a module, on the way from a layer, that is used elsewhere too or not its own."""
        module = self.modules[name]
        if self.calls[name] > 1:
            raise ChainError(
                f"{layer}: {name} is called {self.calls[name]} times, its weights are shared; leave it out"
            )
        for kind, _ in module.named_parameters(recurse=False):
            full = f"{name}.{kind}"
            if full in self.tied or self.calls[full]:
                other = self.tied.get(full, "the forward pass reads it")
                raise ChainError(f"{layer}: {full} is used by another module too ({other}), shared; leave it out")
        if how := ownership.computed(module):
            if parametrize.is_parametrized(module) and name != layer:
                raise ChainError(
                    f"{layer}: its filters go into {_described(self.called[name], module)}, whose weight is {how}"
                )
            raise ChainError(f"{layer}: the weight of {name} is {how}")
        if _is_conv(module) and module.groups > 1:
            kind = "depthwise, " if module.groups == module.in_channels else ""
            raise ChainError(
                f"{layer}: {name} is a grouped convolution ({kind}{module.groups} groups), which cannot be followed; "
                "leave it out"
            )

    def link(self, layer: str) -> Link:
        """The link of a layer; with an `obstacle` and without a reader where it cannot be followed."""
        if layer not in self.called:
            raise ChainError(f"{layer} is never called in the forward pass")
        try:
            return self._followed(layer)
        except ChainError as error:
            return Link(layer, (), None, 1, str(error))

    def _followed(self, layer: str) -> Link:
        filters, norms, squeezed = self.modules[layer].out_channels, [], False
        node, axes = self.called[layer], axes_.MAPS
        seen = {node: axes}
        while True:
            node = _only_user(layer, node)
            module = self.modules.get(node.target) if node.op == "call_module" else None
            if isinstance(module, nn.Linear) and len(axes) == 2:
                break
            if _is_conv(module) and len(axes) == 4 and axes[1] == axes_.FILTERS:
                break
            if _for_each_filter(module):
                self.check(layer, node.target)
                _shared_out(layer, node.target, _width(module), filters, axes)
                norms.append(node.target)
            elif not _passes(node, module):
                described = f"{layer}: its filters go into {_described(node, module)}"
                try:
                    changed = axes_.changed(node, module, axes, seen)
                except axes_.Lost as lost:
                    raise ChainError(f"{described}, {lost}") from None
                if changed is None:
                    raise ChainError(f"{described}, through which they cannot be followed")
                axes = changed
                squeezed |= axes_.squeezes_all(node, module)
            seen[node] = axes
        if counting := axes_.uses_the_number_of_filters(seen):
            raise ChainError(
                f"{layer}: the number of its filters goes into {counting.name}, which would change with it"
            )
        self.check(layer, node.target)
        if isinstance(module, nn.Linear):
            positions = _shared_out(layer, node.target, module.in_features, filters, axes)
            return Link(layer, tuple(norms), node.target, positions, squeezed=squeezed)
        return Link(layer, tuple(norms), node.target, 1, squeezed=squeezed)


def _only_user(layer: str, node: fx.Node) -> fx.Node:
    users = [user for user in node.users if not axes_.asks(user)]
    if len(users) > 1:
        raise ChainError(f"{layer}: branches behind {node.name}, into {', '.join(user.name for user in users)}")
    if not users or users[0].op == "output":
        raise ChainError(f"{layer}: its filters are the output of the network, no layer reads them")
    if node not in (users[0].args[:1] or (users[0].kwargs.get("input"),)):
        raise ChainError(f"{layer}: its filters go into {users[0].name}, but not as what it computes on")
    return users[0]


def _shared_out(layer: str, name: str, width: int, filters: int, axes: axes_.Axes) -> int:
    """How many of the inputs of a module belong to each filter.  Raises `ChainError` unless equally many do."""
    each, rest = divmod(width, filters)
    if rest or (axes[1] == axes_.FILTERS and each != 1):
        raise ChainError(f"{layer}: {name} does not have as many inputs for each filter ({width} for {filters})")
    return each


def _for_each_filter(module: nn.Module | None) -> bool:
    """Whether a module has numbers of its own for each filter, to be cut with them."""
    if isinstance(module, nn.PReLU):
        return module.num_parameters > 1
    return isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and module.track_running_stats


def _width(module: nn.Module) -> int:
    return module.num_parameters if isinstance(module, nn.PReLU) else module.num_features


def _passes(node: fx.Node, module: nn.Module | None) -> bool:
    if node.op == "call_module":
        return isinstance(module, (*_PASSING, nn.PReLU)) and not parametrize.is_parametrized(module)
    if node.op == "call_method":
        return node.target in _PASSING_METHODS
    return node.op == "call_function" and node.target in _PASSING_FUNCTIONS


def _described(node: fx.Node, module: nn.Module | None) -> str:
    if module is not None:
        return f"{node.target} ({type(module).__name__})"
    if node.target in (operator.add, operator.iadd, torch.add, "add", "add_", torch.cat):
        return f"{node.name}, where branches meet"
    return node.name


def _is_conv(module: nn.Module | None) -> bool:
    return module is not None and parametrize.type_before_parametrizations(module) is nn.Conv2d


@contextmanager
def _attributes_kept(model: nn.Module) -> Iterator[None]:
    """Inside, the network's code may run on what a tracer gives it; what it notes in its modules is undone."""
    tables = [vars(module) for module in model.modules()]
    tables += [table[name] for table in tables for name in ("_parameters", "_buffers", "_modules") if name in table]
    found = [(table, dict(table)) for table in tables]
    try:
        yield
    finally:
        for table, before in found:
            table.clear()
            table.update(before)
