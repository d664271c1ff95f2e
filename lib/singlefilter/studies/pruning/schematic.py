"""AFCC as a picture: connections of a head and kernels of a convolution, before and after, by its own masks.

Its filters are made up (`filters`), with the labels of their clusters; what is kept of the connections is what
`afcc.masks` keeps.
"""

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from singlefilter import drawing as look
from singlefilter.afcc import masks
from singlefilter.studies.layers.pictures import CLUSTERS

LABELS = 8
_COVERED = (  # labels in a cluster of each filter, of a layer and of the one after it
    ((0, 1, 2), (3, 4), (1, 5), (6,), (2, 7)),
    ((0, 1), (3, 4), (5, 6), (2, 7), (6,)),
)


def filters(layer: int) -> torch.Tensor:
    """Clusters of the made-up filters of a layer, int64 `[filters, label]`: 0 where a label is in one, else -1."""
    found = torch.full((len(_COVERED[layer]), LABELS), -1)
    for filter_, labels in enumerate(_COVERED[layer]):
        found[filter_, list(labels)] = 0
    return found


def afcc() -> Figure:
    """A head and a convolution, each with all connections and with those that AFCC keeps.  Source: section 8."""
    head = masks.head_mask(filters(1)).T  # [filter, label]
    kernels = masks.convolution_mask(filters(0), filters(1)).T  # [filter before, filter after]
    with look.style():
        fig = look.Drawing(figsize=(look.PAGE, 3.0))
        for place, (mask, whole, title) in enumerate(
            (
                (head, True, "a head, dense"),
                (head, False, "under AFCC"),
                (kernels, True, "a convolution, dense"),
                (kernels, False, "under AFCC"),
            )
        ):
            ax = fig.add_axes((0.012 + 0.249 * place, 0.13, 0.23, 0.64))
            _panel(ax, mask, whole, labels=place < 2)
            kept = int(mask.sum())
            count = f"{mask.numel()} connections" if whole else f"{kept} of {mask.numel()} kept"
            ax.set_title(f"({'abcd'[place]}) {title}:\n{count}", loc="left", fontsize=8.5)
        title = "AFCC keeps a connection only where both ends know the label"
        fig.text(0.012, 0.965, title, fontsize=11, fontweight="bold", va="top", color=look.INK)
        said = (
            "Left of each panel: filters with the labels of their clusters. Head: filter to label. Convolution: a "
            "kernel from a filter\nto one of the next layer stays where they share a label. A colour is a filter's."
        )
        fig.text(0.012, 0.11, said, fontsize=look.SMALL, va="top", color="0.3", linespacing=1.25)
        fig.draw_without_rendering()  # makes the texts while the style is in force
    return fig


def _panel(ax: Axes, mask: torch.Tensor, whole: bool, labels: bool) -> None:
    before, after = mask.shape
    ax.set(xlim=(-0.62, 1.62), ylim=(-0.08, 1.08))
    ax.set_axis_off()
    left, right = np.linspace(0.94, 0.06, before), np.linspace(1, 0, after)
    for one, at in enumerate(left):
        for other, to in enumerate(right):
            kept = bool(mask[one, other])
            if whole or kept:
                colour = CLUSTERS[one] if kept else "0.7"
                width = 1.8 if kept and not whole else 0.7
                ax.plot([0.02, 0.98], [at, to], color=colour, linewidth=width, zorder=2 if kept else 1)
        names = ", ".join(str(label) for label in _COVERED[1 if labels else 0][one])
        ax.text(-0.06, at, names, ha="right", va="center", fontsize=look.SMALLEST)
    ax.scatter(np.zeros(before), left, s=34, color=CLUSTERS[:before], zorder=3, marker="s", linewidth=0)
    ax.scatter(np.ones(after), right, s=26, color=look.INK, zorder=3, marker="o" if labels else "s", linewidth=0)
    for other, to in enumerate(right):
        name = f"label {other}" if labels else ", ".join(str(label) for label in _COVERED[1][other])
        ax.text(1.06, to, name, ha="left", va="center", fontsize=look.SMALLEST)
