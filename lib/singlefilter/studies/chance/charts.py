"""The figure that says, layer by layer, whether the clusters are more than those of null models."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from singlefilter import drawing as look
from singlefilter.studies.controls import charts as shared

MODELS = {  # colour, marker, line
    "found": (look.BLUE, "o", "-"),
    "untrained trunk": (look.ORANGE, "s", "--"),
    "permuted labels": (look.GREEN, "v", ":"),
    "random matrices": (look.FAINT, "x", "-."),
}
_JUDGED = [f"{name}{end}" for name in ("C_s", "shared", "dprime") for end in look.ENDS]
_ABOVE = [f"{name}_above{end}" for name in ("C_s", "shared", "dprime") for end in look.ENDS]


@look.draws(
    *(
        "layer",
        "model",
        *_JUDGED,
        *shared.with_ends("N_c", "n", "snr"),
        *_ABOVE,
        "filters",
        "draws",
        "images",
        "verdict",
    )
)
def clusters_are_real(table: pd.DataFrame) -> Figure:
    """Per layer, whether the clusters found are above those of each null model, and the quantities that say so."""
    fig = look.canvas(6.8, width=8.6)
    above, below = fig.subfigures(2, 1, height_ratios=(1.1, 2))
    models = [name for name in MODELS if name in set(table["model"])]
    _marks(above.subplots(), table, models[1:])
    axes = below.subplots(2, 3)
    for ax, name in zip(axes.flat, ("C_s", "shared", "dprime", "N_c", "n", "snr"), strict=True):
        for model in models:
            colour, marker, line = MODELS[model]
            rows = table[table["model"] == model]
            if rows[name].notna().any():
                drawn = {"marker": marker, "linestyle": line, "markersize": 3.5, "linewidth": 1.2}
                shared.curve(ax, rows, name, colour, 100 if name == "shared" else 1, **drawn)
        shared.panel(ax, table, shared.NAMES[name])
        if name in ("n", "snr"):
            shared.axis_of(ax, table, [name])
            shared.say_infinite(ax, table[name])
        elif name == "dprime":
            ax.axhline(0, color=look.FAINT, linewidth=0.8)
        else:
            ax.set_ylim(0, None)
    keys = [
        Line2D([], [], color=colour, marker=marker, linestyle=line, markersize=4, label=name)
        for name, (colour, marker, line) in MODELS.items()
        if name in models
    ]
    below.legend(handles=keys, loc="outside upper left", ncols=len(keys), frameon=False)
    for ax in axes[1]:
        ax.set_xlabel("layer")
    return fig


_CELLS = {
    "above": ("found above it", look.BLUE),
    "level": ("not told apart", "0.85"),
    "below": ("found below it", look.VERMILION),
}


def _marks(ax: Axes, table: pd.DataFrame, nulls: list[str]) -> None:
    """A cell for each layer, judged quantity and null model; in the last row the verdict of each layer."""
    layers = np.unique(table["layer"])
    asked = [
        (f"{label} · {model}", model, name)
        for name, label in (("C_s", look.C_S), ("shared", "share"), ("dprime", "d′"))
        for model in nulls
        if table[table["model"] == model][f"{name}_above"].notna().any()
    ]
    for height, (_, model, name) in enumerate(asked):
        rows = table[table["model"] == model]
        for row in rows.itertuples():
            low, high = getattr(row, f"{name}_above_low"), getattr(row, f"{name}_above_high")
            cell = "above" if low > 0 else "below" if high < 0 else "level"
            ax.barh(height, 0.9, 0.84, row.layer - 0.45, color=_CELLS[cell][1], linewidth=0)
            sign = {"above": "+", "level": "", "below": "−"}[cell]
            ax.text(row.layer, height, sign, ha="center", va="center", color="white", fontsize=8, fontweight="bold")
    verdicts = table.drop_duplicates("layer")
    words = {"above all nulls": "all", "above chance only": "chance", "not above chance": "no"}
    for row in verdicts.itertuples():
        bold = {"fontweight": "bold", "fontsize": 7, "ha": "center", "va": "center"}
        ax.text(row.layer, len(asked) + 0.1, words.get(row.verdict, row.verdict), color=look.INK, **bold)
    ax.set(xlim=(layers.min() - 0.5, layers.max() + 0.5), ylim=(len(asked) + 0.6, -0.5))
    labels = [*(look.typeset(label) for label, _, _ in asked), "both above"]
    ax.set_yticks([*range(len(asked)), len(asked) + 0.1], labels, parse_math=True)
    ax.xaxis.set_major_locator(MaxNLocator(14, integer=True))
    ax.tick_params(axis="both", length=0, labelsize=7)
    ax.grid(False)
    ax.xaxis.tick_top()
    for spine in ax.spines.values():
        spine.set_visible(False)
    keys = [
        Line2D([], [], marker="s", linestyle="", markersize=7, color=colour, label=label)
        for label, colour in _CELLS.values()
    ]
    ax.legend(
        handles=keys, ncols=3, fontsize=7, frameon=False, loc="upper right", bbox_to_anchor=(1, -0.02), borderpad=0
    )
