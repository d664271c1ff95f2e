"""The networks as pictures: every layer with its filters, its map and the cuts, read off the built network.

Nothing is typed: `networks.cut_points` runs the network on an image and says what comes out of each layer.
"""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import nn

from singlefilter import drawing as look
from singlefilter import networks, profiles

LABELS, IMAGE = 100, 32  # of CIFAR-100
VGG = profiles.Network(name="vgg", depth=16, width=64, hidden=(4096, 4096))
EFFICIENTNET = profiles.Network(name="efficientnet_b0", input_size=224)
NARROWER = look.VERMILION  # where the map has become smaller: the cuts of the paper

_ROWS = ("layer", "filters", "side of the map", "filters × positions")
_HIGH, _ROW = 1.25, 0.17  # inches of the blocks, and of a row of numbers under them


def vgg16() -> Figure:
    """VGG-16 with d = 64 on images of 32 x 32 pixels: its 13 convolutions and 3 fully connected layers."""
    return _drawn(VGG, "3 × 3 convolutions, with normalisation and ReLU")


def efficientnet_b0() -> Figure:
    """EfficientNet-B0 on images of 224 x 224 pixels: its first convolution, seven stages of blocks, and the last."""
    return _drawn(EFFICIENTNET, "inverted bottlenecks (MBConv) in stages 2 to 8")


def rows_of(config: profiles.Network) -> tuple[tuple[networks.CutPoint, ...], list[str], list[int]]:
    """Cut points of a network, what each layer is in a few letters, outputs of its fully connected layers."""
    model = networks.build(config, LABELS, IMAGE, 0)
    points = networks.cut_points(model, IMAGE)
    modules = dict(model.named_modules())
    kinds = [_kind(modules[point.module]) for point in points]
    return points, kinds, [one.out_features for one in model.modules() if isinstance(one, nn.Linear)]


def shrinks(points: tuple[networks.CutPoint, ...]) -> list[int]:
    """The layers after which the map is smaller than after the layer before; the first one is compared with none."""
    return [
        after.layer for before, after in zip(points, points[1:], strict=False) if after.positions < before.positions
    ]


def _kind(module: nn.Module) -> str:
    """How many blocks of which kernel a layer holds, `2 of 5 × 5`, or the kernel alone of a single convolution."""
    convolutions = [one for one in module.modules() if isinstance(one, nn.Conv2d)]
    kernel = max(one.kernel_size[0] for one in convolutions)
    blocks = sum(type(one).__name__ == "MBConv" for one in module.modules())
    size = f"{kernel} × {kernel}"
    return f"{blocks} of {size}" if blocks else size


def _drawn(config: profiles.Network, words: str) -> Figure:
    points, kinds, outputs = rows_of(config)
    with look.style():
        rows = (*_ROWS, "blocks, kernel") if len(set(kinds)) > 1 else _ROWS
        fig = look.Drawing(figsize=(look.PAGE, 0.62 + _HIGH + _ROW * (len(rows) + 1)))
        height = fig.get_figheight()
        ax = fig.add_axes((0.0, 0.0, 1.0, 1.0))
        ax.set(xlim=(0, look.PAGE), ylim=(height, 0))
        ax.set_axis_off()
        size = config.input_size or IMAGE
        title = f"{config.title.split(',')[0]}: {len(points)} layers to cut after"
        ax.text(0.1, 0.2, title, fontsize=11, fontweight="bold", color=look.INK, va="center")
        said = f"Images of {size} × {size} pixels; {words}. Red: cuts where the map has just become smaller."
        ax.text(0.1, 0.43, said, fontsize=look.SMALL, color="0.3", va="center")
        left, pitch = 1.35, (look.PAGE - 1.35 - 1.0) / len(points)
        cuts = shrinks(points)
        for place, (point, kind) in enumerate(zip(points, kinds, strict=True)):
            _layer(ax, left + pitch * place, pitch, point, point.layer in cuts, max(one.size[0] for one in points))
            numbers = (point.layer, point.filters, point.size[0], point.filters * point.positions, kind)
            for row, number in enumerate(numbers[: len(rows)]):
                text = f"{number:,}" if isinstance(number, int) else number
                bold = {"fontweight": "bold", "color": NARROWER} if row == 0 and point.layer in cuts else {}
                at = left + pitch * (place + 0.4), 0.62 + _HIGH + _ROW * (row + 0.6)
                ax.text(*at, text, fontsize=look.SMALLEST, ha="center", va="center", **bold)
        for row, name in enumerate(rows):
            ax.text(0.1, 0.62 + _HIGH + _ROW * (row + 0.6), name, fontsize=look.SMALLEST, va="center", color="0.3")
        _outputs(ax, left + pitch * len(points) + 0.12, outputs)
        fig.draw_without_rendering()  # makes the texts while the style is in force
    return fig


def _layer(ax: Axes, left: float, pitch: float, point: networks.CutPoint, cut: bool, largest: int) -> None:
    """A block as high as the side of the map and as wide as the number of filters, both on a scale of logarithms."""
    high = _HIGH * (0.12 + 0.83 * math.log2(point.size[0] + 1) / math.log2(largest + 1))
    wide = pitch * (0.2 + 0.5 * math.log2(point.filters) / 11)
    middle = 0.62 + _HIGH / 2
    box = (left + 0.4 * pitch - wide / 2, middle - high / 2)
    ax.add_patch(Rectangle(box, wide, high, facecolor=look.BLUE, edgecolor="none", alpha=0.85))
    if cut:
        at = left + 0.9 * pitch
        ax.plot([at, at], [0.62, 0.62 + _HIGH], color=NARROWER, linewidth=1.6, linestyle=(0, (3, 1.6)))


def _outputs(ax: Axes, left: float, outputs: list[int]) -> None:
    """The fully connected layers behind the convolutions, the last one with K outputs."""
    for place, outputs_of_it in enumerate(outputs):
        last = place == len(outputs) - 1
        at = left + 0.27 * place
        high = _HIGH * (0.2 + 0.6 * np.log2(outputs_of_it) / 12)
        box = (at, 0.62 + (_HIGH - high) / 2)
        ax.add_patch(Rectangle(box, 0.09, high, facecolor=look.ORANGE, edgecolor="none"))
        name = f"K = {outputs_of_it}" if last else f"{outputs_of_it:,}"
        at = at + 0.045, 0.62 + _HIGH + _ROW * (0.6 + 1 * (place % 2))
        ax.text(*at, name, fontsize=look.SMALLEST, ha="center", va="center", color="#9A6200")
    words = f"fully connected: {len(outputs)}"
    ax.text(left - 0.02, 0.62 + _HIGH + 2.6 * _ROW, words, fontsize=look.SMALLEST, va="center", color="#9A6200")
