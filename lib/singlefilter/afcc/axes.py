"""What the axes of a map stand for, and what becomes of them: flattening, averaging, squeezing, pooling.

A convolution gives maps whose second axis counts its filters.  As long as it is known which numbers belong to which
filter, filters may be taken out in front: an operation is followed only where it stays known, whatever their number.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping

import torch
from torch import fx, nn
from torch.nn import functional

Axes = tuple[str, ...]
IMAGES, FILTERS, PLACES, ONE_PLACE, FLAT = "images", "filters", "places", "one place", "filters and places"
MAPS = (IMAGES, FILTERS, PLACES, PLACES)
Seen = Mapping[fx.Node, Axes]  # the axes of the tensors on the way from a convolution

_FUNCTIONS = {
    torch.flatten: "flatten", torch.reshape: "reshape", torch.squeeze: "squeeze",
    torch.mean: "mean", torch.sum: "sum", torch.amax: "amax", torch.amin: "amin",
    functional.adaptive_avg_pool2d: "adaptive", functional.adaptive_max_pool2d: "adaptive",
    functional.avg_pool2d: "pool", functional.max_pool2d: "pool",
}  # fmt: skip
_MODULES = {
    nn.Flatten: "flatten",
    nn.AdaptiveAvgPool2d: "adaptive",
    nn.AdaptiveMaxPool2d: "adaptive",
    nn.AvgPool2d: "pool",
    nn.MaxPool2d: "pool",
}
_METHODS = {"flatten", "reshape", "view", "squeeze", "mean", "sum", "amax", "amin"}
_ARGUMENTS = {"flatten": ("start_dim", "end_dim"), "adaptive": ("output_size",), "squeeze": ("dim",)}
_ATTRIBUTES = {"shape", "ndim", "dtype", "device", "is_cuda", "requires_grad"}  # what a tensor may be asked for
_BY_HAND = "write flatten(1), whatever the number of filters"


class Lost(ValueError):
    """An operation behind which filters cannot be told apart; the message says what it does."""


def changed(node: fx.Node, module: nn.Module | None, axes: Axes, seen: Seen) -> Axes | None:
    """The axes of what a call gives, from those of what it reads; None for a call of a kind not known here.

    Raises `Lost` where numbers of different filters or images meet in a call of a known kind, or where it is right
    for this number of filters only.
    """
    kind = _kind(node, module)
    if kind is None:
        return None
    if kind in ("view", "reshape"):
        return _reshaped(node, axes, seen)
    given = _given(node, module, kind)
    if kind == "flatten":
        return _flattened(axes, given.get("start_dim", 0), given.get("end_dim", -1))
    if kind == "squeeze":
        return _squeezed(axes, given.get("dim"))
    if kind in ("adaptive", "pool"):
        if len(axes) != 4:
            raise Lost(f"which pools a map of {len(axes)} axes")
        sizes = given.get("output_size") if kind == "adaptive" else None
        sizes = sizes if isinstance(sizes, list | tuple) else (sizes, sizes)
        return axes[:2] + tuple(ONE_PLACE if size == 1 else PLACES for size in sizes)
    return _reduced(axes, given.get("dim", given.get("axis")), bool(given.get("keepdim", False)))


def squeezes_all(node: fx.Node, module: nn.Module | None) -> bool:
    """Whether a call drops every axis of size 1, so that of the filters too, were there one filter left."""
    return _kind(node, module) == "squeeze" and _given(node, module, "squeeze").get("dim") is None


def asks(node: fx.Node) -> bool:
    """Whether a call only asks a tensor for its shape and the like."""
    return (node.op == "call_method" and node.target in ("size", "dim", "ndimension")) or (
        node.op == "call_function" and node.target is getattr and node.args[1] in _ATTRIBUTES
    )


def uses_the_number_of_filters(seen: Seen) -> fx.Node | None:
    """The first call that computes with the number of filters, other than to flatten them; None without any."""
    for tensor, axes in seen.items():
        for asked in filter(asks, tensor.users):
            parts = asked.users if _is_shape(asked) else [asked] if asked.target == "size" else []
            for part in parts:
                axis = _axis_asked(part)
                if axis is None and _is_shape(asked):
                    if not _of_places(part, axes):
                        return part
                elif axis is None or axes[axis] in (FILTERS, FLAT):
                    for reader in _through_products(part):
                        if reader not in seen or _kind(reader, None) not in ("view", "reshape"):
                            return reader
    return None


def _kind(node: fx.Node, module: nn.Module | None) -> str | None:
    if node.op == "call_module":
        return _MODULES.get(type(module))
    if node.op == "call_method":
        return node.target if node.target in _METHODS else None
    return _FUNCTIONS.get(node.target) if node.op == "call_function" else None


def _given(node: fx.Node, module: nn.Module | None, kind: str) -> dict[str, object]:
    """Arguments of a call by their names, without the tensor."""
    names = _ARGUMENTS.get(kind, ("dim", "keepdim"))
    if node.op == "call_module":
        given = {name: getattr(module, name) for name in names if hasattr(module, name)}
    else:
        given = dict(zip(names, node.args[1:], strict=False)) | node.kwargs
    if kind != "pool" and any(isinstance(given.get(name), fx.Node) for name in (*names, "axis")):
        raise Lost("whose axes or sizes are computed")
    return given


def _flattened(axes: Axes, start: int, end: int) -> Axes:
    first, last = range(len(axes))[start], range(len(axes))[end]
    inside = axes[first : last + 1]
    if IMAGES in inside and len(inside) > 1:
        raise Lost("which flattens the images too; write flatten(1)")
    if len(inside) <= 1:
        return axes
    rest = PLACES if set(inside) - {FILTERS, ONE_PLACE} else ONE_PLACE
    if not {FILTERS, FLAT} & set(inside):
        return (*axes[:first], rest, *axes[last + 1 :])
    return (*axes[:first], FILTERS if rest == ONE_PLACE else FLAT, *axes[last + 1 :])


def _squeezed(axes: Axes, dim: int | tuple[int, ...] | None) -> Axes:
    if dim is None:
        if {PLACES, FLAT} & set(axes):
            raise Lost("which drops axes whose size is not known to be 1; write flatten(1)")
        return tuple(axis for axis in axes if axis != ONE_PLACE)
    chosen = _axes_named(axes, dim)
    for place in chosen:
        if axes[place] != ONE_PLACE:
            raise Lost(f"which drops the axis of {axes[place]} if its size is 1; write flatten(1)")
    return tuple(axis for place, axis in enumerate(axes) if place not in chosen)


def _reduced(axes: Axes, dim: int | tuple[int, ...] | None, keep: bool) -> Axes:
    if dim is None or dim in ((), []):
        raise Lost("which takes images and filters together; name the axes, as in mean((2, 3))")
    chosen = _axes_named(axes, dim)
    for place in chosen:
        if axes[place] not in (PLACES, ONE_PLACE):
            raise Lost(f"which takes {axes[place]} together")
    kept = [ONE_PLACE if place in chosen else axis for place, axis in enumerate(axes)]
    return tuple(axis for place, axis in enumerate(kept) if keep or place not in chosen)


def _axes_named(axes: Axes, dim: int | tuple[int, ...]) -> set[int]:
    return {range(len(axes))[each] for each in ((dim,) if isinstance(dim, int) else dim)}


def _reshaped(node: fx.Node, axes: Axes, seen: Seen) -> Axes:
    """Axes behind `view` and `reshape`, to sizes that hold for any number of filters."""
    sizes = node.args[1:] or (node.kwargs.get("shape", node.kwargs.get("size")),)
    if len(sizes) == 1 and isinstance(sizes[0], list | tuple):
        sizes = tuple(sizes[0])
    written = [size for size in sizes if isinstance(size, int) and size not in (-1, 1)]
    if written:
        raise Lost(f"in which the size {written[0]} is written; {_BY_HAND}")
    parts = [size if isinstance(size, int) else _extent(size, seen) for size in sizes]
    if len(parts) < 2 or None in parts:
        raise Lost(f"to sizes that cannot be followed; {_BY_HAND}")
    rest = parts[1:]
    if parts[0] != (IMAGES,):  # -1 here may put places where images were, and nothing would fail
        raise Lost(f"whose first size is not known to be the number of images; {_BY_HAND}")
    if len(rest) == 1 and (rest[0] == -1 or _counts_filters(rest[0])):
        return _flattened(axes, 1, -1) if len(axes) > 2 else axes
    one_by_one = not {PLACES, FLAT} & set(axes)
    if rest[1:] == [1, 1] and one_by_one and (rest[0] == -1 or _counts_filters(rest[0])):
        return (IMAGES, FILTERS, ONE_PLACE, ONE_PLACE)
    places = len(rest) == 2 and (
        rest[1] == -1 or (isinstance(rest[1], tuple) and set(rest[1]) <= {PLACES, ONE_PLACE})
    )
    if places and rest[0] == (FILTERS,) and axes[1] == FILTERS and len(axes) > 2:
        return _flattened(axes, 2, -1)
    raise Lost(f"to sizes that cannot be followed; {_BY_HAND}")


def _counts_filters(size: int | Axes) -> bool:
    return isinstance(size, tuple) and sum(axis in (FILTERS, FLAT) for axis in size) == 1 and IMAGES not in size


def _extent(value: object, seen: Seen) -> Axes | None:
    """The axes whose sizes are multiplied in a number; None where that is not known."""
    if not isinstance(value, fx.Node):
        return None
    if value.op == "call_function" and value.target is operator.mul:
        both = [_extent(each, seen) for each in value.args]
        return None if None in both else both[0] + both[1]
    axis = _axis_asked(value)
    if axis is None:
        return None
    tensor = value.args[0].args[0] if value.target is operator.getitem else value.args[0]
    if tensor in seen:
        return (seen[tensor][axis],) if -len(seen[tensor]) <= axis < len(seen[tensor]) else None
    return (IMAGES,) if axis == 0 and tensor.op in ("placeholder", "call_module") else None


def _axis_asked(node: fx.Node) -> int | None:
    """The axis in `size(axis)`, `size()[axis]` or `shape[axis]`; None in any other call."""
    if node.op == "call_method" and node.target == "size":
        axis = node.args[1] if len(node.args) > 1 else node.kwargs.get("dim")
    elif node.target is operator.getitem and isinstance(node.args[0], fx.Node) and _is_shape(node.args[0]):
        axis = node.args[1]
    else:
        return None
    return axis if isinstance(axis, int) else None


def _is_shape(node: fx.Node) -> bool:
    if node.op == "call_method" and node.target == "size":
        return len(node.args) == 1 and not node.kwargs
    return node.op == "call_function" and node.target is getattr and node.args[1] == "shape"


def _of_places(node: fx.Node, axes: Axes) -> bool:
    """Whether a call takes a part of a shape in which there is no number of filters, as `shape[2:]`."""
    part = node.args[1] if node.target is operator.getitem else None
    numbers = isinstance(part, slice) and all(
        isinstance(end, int | None) for end in (part.start, part.stop, part.step)
    )
    return numbers and not {FILTERS, FLAT} & set(axes[part])


def _through_products(number: fx.Node) -> list[fx.Node]:
    """What reads a number, in the end: products are looked through."""
    readers: list[fx.Node] = []
    for user in number.users:
        readers += _through_products(user) if user.target is operator.mul else [user]
    return readers
