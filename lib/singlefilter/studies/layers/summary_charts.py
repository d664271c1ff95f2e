"""Figures that sum layers up, each from a table of `summaries`: accuracy beside SNR, and how large clusters are."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from singlefilter import drawing as look
from singlefilter.studies.layers import charts
from singlefilter.studies.layers.summaries import LARGEST

_ENDS = [f"{name}{end}" for name in ("accuracy", "snr") for end in look.ENDS]


@look.draws("layer", *_ENDS, "images", "split", "filters")
def accuracy_and_snr(table: pd.DataFrame) -> Figure:
    """Accuracy of the head above, SNR below, by layer; a vertical line where each is highest."""
    fig = look.canvas(3.6)
    above, below = fig.subplots(2, 1, sharex=True)
    table = table.sort_values("layer")
    for ax, name, scale, colour, marker in (
        (above, "accuracy", 100, look.ORANGE, "s"),
        (below, "snr", 1, look.BLUE, "o"),
    ):
        values, low, high = (scale * table[f"{name}{end}"].to_numpy(float) for end in look.ENDS)
        shown = np.isfinite(values)
        bars = np.nan_to_num([values - low, high - values], posinf=0, neginf=0).clip(0)
        ax.errorbar(
            table["layer"], np.where(shown, values, np.nan), bars, color=colour, marker=marker, capsize=3, label=name
        )
        if shown.any():
            top = table["layer"].to_numpy()[np.nanargmax(np.where(shown, values, np.nan))]
            ax.axvline(top, color=colour, linestyle=":", linewidth=1.2, zorder=1)
    above.set_title("accuracy of the head, %", loc="left")
    above.set_ylim(0, None)
    below.set_title("SNR, signal/noise", loc="left")
    charts.snr_axis(below, table[[f"snr{end}" for end in look.ENDS]])
    below.set_xlabel("layer after which the network is cut")
    charts.layers(below, table)
    return fig


@look.draws("layer", "size", "clusters", *(f"share{end}" for end in look.ENDS), "filters")
def cluster_sizes(table: pd.DataFrame) -> Figure:
    """A histogram of the labels in a cluster for the first, a middle and the last layer."""
    every = np.unique(table["layer"])
    chosen = list(dict.fromkeys([every[0], every[len(every) // 2], every[-1]]))
    fig = look.canvas(2.1)
    axes = np.atleast_1d(fig.subplots(1, len(chosen), sharey=True))
    for ax, layer in zip(axes, chosen, strict=True):
        rows = table[table["layer"] == layer].sort_values("size")
        share, low, high = (100 * rows[f"share{end}"].to_numpy(float) for end in look.ENDS)
        bars = np.nan_to_num([share - low, high - share]).clip(0)
        ax.bar(rows["size"], share, 0.8, yerr=bars, color=look.BLUE, ecolor=look.INK, capsize=2, linewidth=0)
        ax.set_title(f"layer {layer}, {rows['clusters'].sum():,} clusters", loc="left")
        ax.set_xlim(0.4, LARGEST + 0.6)
        ax.set_xticks(range(1, LARGEST + 1), [*map(str, range(1, LARGEST)), f"{LARGEST}+"])
        ax.set_xlabel("labels in a cluster")
        ax.grid(False, axis="x")
        ax.yaxis.set_major_locator(MaxNLocator(6))
    axes[0].set_ylabel("of the clusters of a layer, %")
    axes[0].set_ylim(0, None)
    return fig
