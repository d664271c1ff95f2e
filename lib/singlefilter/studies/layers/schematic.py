"""The procedure in eight steps, as a picture: from a trained network to the clusters of one filter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

from singlefilter import drawing as look
from singlefilter import store
from singlefilter.method import clusters

STEPS = (
    ("1  train", "the whole network,\non all labels"),
    ("2  cut", "after a layer;\nwhat follows is dropped"),
    ("3  freeze", "the layers in front\nof the cut: the trunk"),
    ("4  head", "one linear layer to the\nlabels is trained there"),
    ("5  one filter", "all head weights but\nthose of one filter: zero"),
    ("6  field matrix", "its mean field on each\noutput, label by label"),
    ("7  clip", "ones: above 0.3 of\nthe largest element"),
    ("8  clusters", "squares of ones on the\ndiagonal; the rest: noise"),
)
EXAMPLE = np.array(
    [
        [1.0, 0.6, 0.1, -0.2, 0.0, 0.2],
        [0.7, 0.8, 0.0, 0.1, -0.3, 0.4],
        [0.0, 0.1, 0.2, -0.5, 0.5, 0.0],
        [-0.1, 0.0, 0.1, 0.9, 0.1, 0.8],
        [0.1, -0.4, 0.0, 0.0, 0.1, -0.2],
        [0.0, 0.4, -0.1, 0.6, 0.2, 0.7],
    ]
)  # one filter, made up; clip and clusters are computed from it
_WIDE, _HIGH, _GAP = 1.55, 1.75, 0.42  # inches of a panel and between two
_DEEP = 4  # layers that are drawn, the cut behind the third


def procedure() -> Figure:
    """Two rows of four panels, left to right: train, cut, freeze, head; one filter, field matrix, clip, clusters.

    Source: sections 1 to 5.
    """
    with look.style():
        fig = look.canvas(2 * (_HIGH + 0.62) - 0.6, width=4 * _WIDE + 3 * _GAP + 0.3, layout="none")
        axes = []
        for number, (name, words) in enumerate(STEPS):
            row, column = divmod(number, 4)
            left, top = 0.15 + column * (_WIDE + _GAP), row * (_HIGH + 0.62) - 0.1
            ax = look.box(fig, left, top, _WIDE, _HIGH)
            ax.set(xlim=(0, 1), ylim=(0, _HIGH / _WIDE))
            ax.text(0, _HIGH / _WIDE - 0.02, name, fontsize=10, fontweight="bold", va="top")
            ax.text(0, -0.03, words, fontsize=8, va="top", linespacing=1.25, color="0.25")
            axes.append(ax)
        for ax, cut, frozen, head in zip(axes, (0, 1, 1, 1), (0, 0, 1, 1), (0, 0, 0, 1), strict=False):
            _network(ax, cut, frozen, head)
        _silenced(axes[4])
        ones = clusters.clip(EXAMPLE[None])[0]
        found = clusters.find(ones[None])[0]
        _matrix(axes[5], look.sns.color_palette("vlag", as_cmap=True)((EXAMPLE + 1) / 2))
        _matrix(axes[6], np.where(ones[..., None], 0.15, 1.0) * np.ones(3))
        order = np.argsort(np.where(found < 0, 99, found), kind="stable")
        inside = (found[:, None] == found) & (found[:, None] >= 0)
        colours = np.ones((*ones.shape, 3))
        colours[ones] = 0.45
        for number, colour in enumerate((look.BLUE, look.ORANGE)):
            colours[ones & inside & (found[:, None] == number)] = colour
        _matrix(axes[7], colours[np.ix_(order, order)])
        for before, after in zip(axes[:-1], axes[1:], strict=True):
            if before is not axes[3]:
                _arrow(fig, before, after)
        width, height = fig.get_size_inches()
        title = "From a trained network to what one of its filters recognises"
        fig.text(0.15 / width, 1 - 0.1 / height, title, fontsize=12, fontweight="bold", va="top")
    return fig


def write(folder: Path | None = None) -> list[Path]:
    """Write the picture as .png and .svg into `figures/method`, the same bytes each time; their paths."""
    folder = folder or store.project_root() / "figures" / "method"
    paths = []
    for ending, metadata in {".png": {"Software": None}, ".svg": {"Date": None, "Creator": None}}.items():
        with store.atomic_file(folder / f"procedure{ending}") as temporary, look.style():
            procedure().savefig(temporary, dpi=200, metadata=metadata)
        paths.append(folder / f"procedure{ending}")
    return paths


def _network(ax: Axes, cut: bool, frozen: bool, head: bool) -> None:
    """Layers as bars, wider and shorter with depth; a cut behind the third, a head in place of what followed."""
    for layer in range(_DEEP + 1):
        gone = cut and layer >= 3
        left, high = 0.02 + 0.2 * layer, 0.72 - 0.13 * layer
        face = "0.85" if frozen and not gone else look.CYAN if not gone else "none"
        style = {"edgecolor": "0.75" if gone else look.INK, "linestyle": ":" if gone else "-", "linewidth": 0.9}
        if not (head and gone):
            ax.add_patch(Rectangle((left, 0.48 - high / 2), 0.12, high, facecolor=face, **style))
    if cut:
        ax.plot([0.58, 0.58], [0.08, 0.92], color=look.VERMILION, linewidth=1.6, linestyle="--")
    if frozen:
        ax.text(0.26, 0.94, "no gradient", fontsize=7.5, ha="center", va="bottom", color="0.35")
    if head:
        _lines(ax, np.linspace(0.3, 0.66, 4), 0.64, 0.9, look.BLUE)


def _silenced(ax: Axes) -> None:
    """A head of four filters and four outputs, the weights of one filter left."""
    ys = np.linspace(0.12, 0.86, 4)
    for number, y in enumerate(ys):
        own = number == 1
        face, line = (look.ORANGE, 1.4) if own else ("0.9", 0.7)
        ax.add_patch(Rectangle((0.02, y - 0.07), 0.16, 0.14, facecolor=face, edgecolor=look.INK, linewidth=0.8))
        for other in ys:
            ax.plot(
                [0.2, 0.78],
                [y, other],
                color=look.ORANGE if own else "0.88",
                linewidth=1.4 if own else 0.7,
                zorder=own,
            )
        ax.plot(0.82, y, "o", color=look.INK, markersize=6)
    ax.text(0.1, -0.0, "filters", fontsize=7, ha="center", va="center", color="0.35")
    ax.text(0.84, -0.0, "outputs", fontsize=7, ha="center", va="center", color="0.35")


def _lines(ax: Axes, ys: np.ndarray, left: float, right: float, colour: tuple) -> None:
    for y in ys:
        for other in ys:
            ax.plot([left, right], [y, other], color=colour, linewidth=0.7, alpha=0.8)
        ax.plot(right + 0.03, y, "o", color=look.INK, markersize=5)


def _matrix(ax: Axes, colours: np.ndarray) -> None:
    """A square of cells `[row, column, colour]`."""
    size, side = len(colours), 0.84
    cell = side / size
    for row in range(size):
        for column in range(size):
            place = (0.14 + column * cell, 0.92 - (row + 1) * cell)
            ax.add_patch(Rectangle(place, cell, cell, facecolor=colours[row, column], edgecolor="0.8", linewidth=0.5))
    ax.add_patch(Rectangle((0.14, 0.08), side, side, fill=False, edgecolor="0.35", linewidth=0.9, clip_on=False))
    ax.text(0.1, 0.5, "true label", fontsize=7, rotation=90, ha="right", va="center", color="0.35")
    ax.text(0.56, 0.035, "output", fontsize=7, ha="center", va="center", color="0.35")


def _arrow(fig: Figure, before: Axes, after: Axes) -> None:
    here, there = before.get_position(), after.get_position()
    y = (here.y0 + here.y1) / 2
    ends = (here.x1 + 0.008, y), (there.x0 - 0.012, y)
    fig.add_artist(FancyArrowPatch(*ends, arrowstyle="-|>", mutation_scale=11, color="0.4", linewidth=1.3))
