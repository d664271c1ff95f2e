"""Which axis of a map are its filters, and a view in which they always come second.

Whatever a module returns, the method needs `[images, filters, positions]`.  Which axis the filters lie on is told by
what is known of the module and by how the shape goes with that of the images; where that leaves a choice, the user
is asked (`CutError`), never guessed for.  Source: section 10.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

LAYOUTS = {
    "NCHW": "[images, filters, height, width]",
    "NHWC": "[images, height, width, filters]",
    "NTC": "[images, tokens, filters]",
    "NCT": "[images, filters, positions]",
    "NC": "[images, filters]",
    "NTHD": "[images, tokens, attention heads, inside a head]",
}
_OF_ORDER = {4: ("NCHW", "NHWC"), 3: ("NTC", "NCT"), 2: ("NC",)}  # by the number of axes
_FILTERS_FIRST = (
    nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.BatchNorm1d, nn.BatchNorm2d, nn.SyncBatchNorm,
    nn.GroupNorm, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.LocalResponseNorm,
    nn.MaxPool1d, nn.MaxPool2d, nn.AvgPool1d, nn.AvgPool2d, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d,
    nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.Upsample, nn.PixelShuffle,
)  # fmt: skip
_FILTERS_LAST = (nn.Linear, nn.LayerNorm, nn.Embedding, nn.RMSNorm)
_BATCH_FIRST = (nn.MultiheadAttention, nn.TransformerEncoderLayer, nn.TransformerEncoder, nn.RNNBase)


def view(maps: torch.Tensor, layout: str) -> torch.Tensor:
    """The same values as `[images, filters, *positions]`, without a copy; a vector has one position.

    Source: section 10.
    """
    match layout:
        case "NHWC":
            return maps.permute(0, 3, 1, 2)
        case "NTC":
            return maps.transpose(1, 2)
        case "NTHD":
            return maps.permute(0, 2, 1, 3)
        case "NC":
            return maps[:, :, None]
    return maps


def filters_last(maps: torch.Tensor) -> torch.Tensor:
    """`[images, positions * filters]` of `[images, filters, *positions]`: uncopied where they lie so in memory."""
    return maps.movedim(1, -1).flatten(1)


def possible(module: nn.Module, shape: Sequence[int], image: Sequence[int]) -> tuple[str, ...]:
    """Layouts that the output of a module may have, by what is known without another forward pass.

    shape: of the output, the images' axis first; image: height and width of the images.
    """
    candidates = _OF_ORDER.get(len(shape), ())
    if len(candidates) < 2:
        return candidates
    if isinstance(module, _FILTERS_FIRST):
        return tuple(name for name in candidates if name in ("NCHW", "NCT"))
    if type(module) in (*_FILTERS_LAST, *_BATCH_FIRST):  # those made from them may put their axes elsewhere
        return tuple(name for name in candidates if name in ("NHWC", "NTC"))
    if len(shape) == 4:
        return tuple(name for name in candidates if _goes_with(_places(shape, name), image))
    return candidates


def told_by_size(shape: Sequence[int], other: Sequence[int]) -> tuple[str, ...]:
    """Layouts that two shapes of one output allow, for images of two sizes: filters do not depend on the size."""
    if len(shape) != len(other) or tuple(shape[1:]) == tuple(other[1:]):
        return _OF_ORDER.get(len(shape), ())
    return tuple(
        name
        for name in _OF_ORDER.get(len(shape), ())
        if shape[name.index("C")] == other[name.index("C")]
        and all(shape[axis] != other[axis] for axis, letter in enumerate(name) if letter in "HWT")
    )


def told_by_width(module: nn.Module, shape: Sequence[int]) -> tuple[str, ...]:
    """Layouts by the widths of the layers inside a module, where one of them fits a single axis: what norms norm goes
    on as the module's output, and else what linear layers and convolutions give."""
    names = _OF_ORDER.get(len(shape), ())
    for widths in _widths_inside(module):
        fitting = tuple(name for name in names if shape[name.index("C")] in widths)
        if len(fitting) == 1:
            return fitting
    return names


def _widths_inside(module: nn.Module) -> tuple[set[int], set[int]]:
    norms, layers = set(), set()
    for part in module.modules():
        if isinstance(part, nn.LayerNorm) and len(part.normalized_shape) == 1:
            norms.add(part.normalized_shape[0])
        elif isinstance(part, nn.modules.batchnorm._BatchNorm):
            norms.add(part.num_features)
        elif isinstance(part, nn.Linear):
            layers.add(part.out_features)
        elif isinstance(part, nn.modules.conv._ConvNd):
            layers.add(part.out_channels)
    return norms, layers


def _places(shape: Sequence[int], layout: str) -> tuple[int, int]:
    return shape[layout.index("H")], shape[layout.index("W")]


def _goes_with(places: tuple[int, int], image: Sequence[int]) -> bool:
    """Whether a map may have come from an image of this height and width by shrinking both alike."""
    (down, across), (height, width) = places, image
    # a side is rounded up or down at each halving: one position more or less
    return abs(down * width - across * height) <= max(width, height)
