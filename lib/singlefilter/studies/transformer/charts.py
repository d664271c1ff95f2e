"""Filters, nodes and attention heads by depth: accuracy, SNR, noise and d'."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from singlefilter import drawing as look

STYLES = {
    "filters": (look.GREY, "o", "-"),
    "nodes": (look.BLUE, "s", "-"),
    "attention heads": (look.ORANGE, "D", "--"),
}
PANELS = (
    ("accuracy", "accuracy of the head, %", 100),
    ("snr", "SNR", 1),
    ("n", "noise of a unit", 1),
    ("dprime", "field SNR, d\u2032", 1),
)
_INTERVALS = [f"{name}{end}" for name, _, _ in PANELS for end in look.ENDS]


@look.draws("unit", "layer", "depth", "filters", "labels", *_INTERVALS, "images")
def by_block(table: pd.DataFrame) -> Figure:
    """A line for every kind of unit against depth, in a panel for every quantity.

    Source: sections 6 and 10 of the method.
    """
    fig = look.canvas(4.6)
    key, *axes = fig.subplot_mosaic([["key", "key"], ["0", "1"], ["2", "3"]], height_ratios=(0.12, 1, 1)).values()
    lines = []
    for ax, (name, title, scale) in zip(axes, PANELS, strict=True):
        lines = [_line(ax, rows, name, scale) for _, rows in table.groupby("unit", sort=False)]
        ax.set_title(title, loc="left")
        ax.set_xlim(0, 1.04)
        ax.set_ylim(bottom=min(0, ax.get_ylim()[0]))
    for ax in axes[2:]:
        ax.set_xlabel("depth: layer or block, over the number of them")
    axes[0].axhline(100 / table["labels"].iloc[0], color=look.FAINT, linestyle=":")
    key.set_axis_off()
    key.legend(handles=lines, loc="center left", ncols=len(lines), frameon=False, borderpad=0)
    return fig


def _line(ax: Axes, rows: pd.DataFrame, name: str, scale: float):
    """One kind of unit; what is infinite or has no value has no mark."""
    rows = rows.sort_values("depth")
    colour, marker, line = STYLES[rows["unit"].iloc[0]]
    values = scale * rows[[f"{name}{end}" for end in look.ENDS]].to_numpy(float)
    values[~np.isfinite(values[:, 0])] = np.nan
    bars = np.abs(values[:, 1:] - values[:, :1]).T
    bars[~np.isfinite(bars)] = 0
    label = f"{rows['unit'].iloc[0]}: {look.listed(rows['network'])}"
    return ax.errorbar(
        rows["depth"], values[:, 0], yerr=bars, color=colour, marker=marker, linestyle=line, capsize=2.5, label=label
    )
