"""The figure of geometry: rank, clusters, noise and SNR by layer, of the same filters through three heads."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from singlefilter import drawing as look
from singlefilter.studies.controls import charts as shared
from singlefilter.studies.geometry.tables import VIEWS

_LOOKS = dict(
    zip(
        VIEWS.values(),
        ((look.BLUE, "o", "-"), (look.ORANGE, "s", "--"), (look.GREEN, "D", "none")),
        strict=True,
    )
)
_PANELS = {
    "rank": "rank of a field matrix",
    "linked": "linked pairs of labels, %",
    "N_c": shared.NAMES["N_c"],
    "C_s": shared.NAMES["C_s"],
    "n": shared.NAMES["n"],
    "snr": shared.NAMES["snr"],
}


@look.draws("layer", "view", "positions", *shared.with_ends(*_PANELS), "filters")
def geometry(table: pd.DataFrame) -> Figure:
    """Rank, linked pairs, clusters, noise and SNR by layer: map as it is, pooled, and before the last pool."""
    fig = look.canvas(5.1, width=8.6)
    grid = fig.add_gridspec(3, 3, height_ratios=(0.08, 1, 1))
    key = fig.add_subplot(grid[0, :])
    axes = np.array([[fig.add_subplot(grid[row, column]) for column in range(3)] for row in (1, 2)])
    views = [view for view in _LOOKS if view in set(table["view"])]
    for ax, (name, title) in zip(axes.flat, _PANELS.items(), strict=True):
        scale = 100 if name == "linked" else 1
        for view in views:
            colour, marker, line = _LOOKS[view]
            rows = table[table["view"] == view].sort_values("layer")
            shared.curve(ax, rows, name, colour, scale, marker=marker, linestyle=line, markersize=4, linewidth=1.2)
            if len(rows) == 1:  # a band has no width here
                ends = scale * rows[[name, f"{name}_low", f"{name}_high"]].iloc[0]
                ax.vlines(rows["layer"], ends.iloc[1], ends.iloc[2], color=colour, linewidth=1.2)
        shared.panel(ax, table, title)
    rank, linked = axes[0, 0], axes[0, 1]
    bounds = table[table["view"] == "map as it is"].sort_values("layer")
    rank.plot(bounds["layer"], bounds["positions"], ":", color=look.INK, linewidth=1)
    rank.set_yscale("log")
    rank.yaxis.set_major_formatter(shared.PLAIN)
    linked.set_ylim(0, 104)
    for ax in (axes[0, 2], axes[1, 0]):
        ax.set_ylim(0, None)
    for name, ax in (("n", axes[1, 1]), ("snr", axes[1, 2])):
        shared.axis_of(ax, table, [name])
        shared.say_infinite(ax, table[name])
    for ax in axes[1]:
        ax.set_xlabel("layer")
    keys = [
        Line2D([], [], color=colour, marker=marker, linestyle=line, markersize=4, label=view)
        for view, (colour, marker, line) in _LOOKS.items()
        if view in views
    ]
    keys.append(Line2D([], [], color=look.INK, linestyle=":", label="positions (map as it is)"))
    key.set_axis_off()
    key.legend(handles=keys, loc="center left", bbox_to_anchor=(0, 0.5), ncols=len(keys), frameon=False)
    return fig
