"""The figure that says, layer by layer, whether the clusters are more than those of null models."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator

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
    fig = look.canvas(4.9)
    grid = fig.add_gridspec(3, 3, height_ratios=(1.5, 0.12, 1))
    models = [name for name in MODELS if name in set(table["model"])]
    _marks(fig.add_subplot(grid[0, :]), table, models[1:])
    key = fig.add_subplot(grid[1, :])
    for place, name in enumerate(("C_s", "shared", "dprime")):
        ax = fig.add_subplot(grid[2, place])
        for model in models:
            colour, marker, line = MODELS[model]
            rows = table[table["model"] == model]
            if rows[name].notna().any():
                drawn = {"marker": marker, "linestyle": line, "markersize": 3.5, "linewidth": 1.2}
                shared.curve(ax, rows, name, colour, 100 if name == "shared" else 1, **drawn)
        shared.panel(ax, table, shared.NAMES[name].removesuffix(" (test images)"))
        ax.set_ylim(min(0, ax.get_ylim()[0]), None)
        ax.set_xlabel("layer")
    keys = [
        Line2D([], [], color=colour, marker=marker, linestyle=line, markersize=4, label=_SAID.get(name, name))
        for name, (colour, marker, line) in MODELS.items()
        if name in models
    ]
    key.set_axis_off()
    look.keys_in(key, keys)
    return fig


_SAID = {"found": "trained network", "untrained trunk": "untrained network"}
_CELLS = {
    "above": ("+  trained network above", look.BLUE),
    "level": ("no difference found", "0.85"),
    "below": ("−  below", look.VERMILION),
}


def _marks(ax: Axes, table: pd.DataFrame, nulls: list[str]) -> None:
    """A cell for each layer, judged quantity and null model; in the last row the verdict of each layer."""
    layers = np.unique(table["layer"])
    asked = [
        (f"{label}, {_SAID.get(model, model)}", model, name)
        for name, label in (("C_s", "cluster size"), ("shared", "sharing"), ("dprime", "field SNR"))
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
    words = {"above all nulls": "all", "above chance only": "chance", "not above chance": "none"}
    for row in verdicts.itertuples():
        bold = {"fontweight": "bold", "fontsize": 7, "ha": "center", "va": "center"}
        ax.text(row.layer, len(asked) + 0.1, words.get(row.verdict, row.verdict), color=look.INK, **bold)
    # The names of rows stand inside the axes, or they would take their width from the panels below as well.
    ax.set(xlim=(layers.min() - 0.5 - 0.33 * len(layers), layers.max() + 0.5), ylim=(len(asked) + 0.6, -0.5))
    labels = [*(label for label, _, _ in asked), "clusters are above"]
    for height, name in zip([*range(len(asked)), len(asked) + 0.1], labels, strict=True):
        ax.text(layers.min() - 0.6, height, name, ha="right", va="center", fontsize=look.SMALLEST)
    ax.set_yticks([])
    ax.xaxis.set_major_locator(FixedLocator(layers[:: -(-len(layers) // 20)]))
    ax.tick_params(axis="both", length=0, labelsize=look.SMALLEST)
    ax.set_title("trained network against others, by layer", loc="left")
    ax.grid(False)
    ax.xaxis.tick_top()
    for spine in ax.spines.values():
        spine.set_visible(False)
    keys = [
        Line2D([], [], marker="s", linestyle="", markersize=7, color=colour, label=label)
        for label, colour in _CELLS.values()
    ]
    ax.legend(handles=keys, ncols=3, frameon=False, loc="upper right", bbox_to_anchor=(1, -0.02), borderpad=0)
