"""Figures made of lines, points and intervals: curves, accuracy, statistics.

Accuracies stand in the tables as fractions and are drawn in percent. `low` and `high` end 95 % intervals.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from singlefilter import drawing as look

SPLITS = {"train": "-", "test": "--"}

_PLAIN = FuncFormatter(lambda value, _: f"{value:,.10g}")
_QUANTITIES = ("N_c", "C_s", "n", "S", "X_internal", "X_external", "snr", "dprime")
_INTERVALS = [f"{name}{end}" for name in _QUANTITIES for end in look.ENDS]
_CLUSTERED = [f"{name}_clustered{end}" for name in ("N_c", "n") for end in look.ENDS]


@look.draws("epoch", "split", "accuracy", "loss", "learning_rate", "seconds")
def curves(table: pd.DataFrame) -> Figure:
    """Accuracy and loss of the whole network by epoch, on training and test images; learning rate below."""
    fig = look.canvas(5.2)
    axes = fig.subplots(3, 1, sharex=True, height_ratios=(3, 3, 1.1))
    marker = "o" if table["epoch"].nunique() <= 30 else None
    for split, colour in (("train", look.BLUE), ("test", look.ORANGE)):
        rows = table[table["split"] == split].sort_values("epoch")
        drawn = {"color": colour, "linestyle": SPLITS[split], "marker": marker, "markersize": 3.5}
        accuracy = rows[["epoch", "accuracy"]].dropna()
        if accuracy.empty:
            continue
        last = f"{split}, last epoch {100 * accuracy['accuracy'].iloc[-1]:.1f} %"
        axes[0].plot(accuracy["epoch"], 100 * accuracy["accuracy"], label=last, **drawn)
        loss = rows[["epoch", "loss"]].dropna()
        axes[1].plot(loss["epoch"], loss["loss"], label=split, **drawn)
    rate = table[["epoch", "learning_rate"]].dropna().drop_duplicates("epoch").sort_values("epoch")
    axes[2].plot(rate["epoch"], rate["learning_rate"], color=look.GREY, marker=marker, markersize=3)
    axes[0].legend(loc="lower right")
    axes[0].set(ylabel="accuracy (1 − error), %", ylim=(0, None))
    axes[1].set(ylabel="cross-entropy, nats", ylim=(0, None))
    axes[2].set(ylabel="learning\nrate", xlabel="epoch", ylim=(0, None))
    axes[2].margins(x=0.02)
    axes[2].xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes[2].yaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    fig.align_ylabels(axes)
    return fig


@look.draws("cut", "layer", "filters", "positions", "head", "fan_in", "accuracy", "low", "high", "n")
def accuracy_by_layer(table: pd.DataFrame) -> Figure:
    """Test accuracy of a head on the frozen first layers, and the head's fan-in, which changes with depth.

    With a column `labels` (their number K) the level of chance is drawn too. Source: section 2 of the method.
    """
    fig = look.canvas(4.3)
    above, below = fig.subplots(2, 1, sharex=True, height_ratios=(3, 1.25))
    keys = []
    heads = {
        "flat": ("flat head: every position of the map", look.BLUE, "o", "-", -0.06),
        "pooled": ("pooled head: map averaged to the size of the deepest", look.ORANGE, "s", "--", 0.06),
        "attention": ("flat head on the attention heads of a block", look.GREEN, "D", ":", 0),
    }
    for head, (label, colour, marker, line, aside) in heads.items():
        rows = table[table["head"] == head].sort_values("layer")
        if rows.empty:
            continue
        drawn = {"color": colour, "marker": marker, "linestyle": line, "markersize": 4}
        layer, percent = rows["layer"] + aside, 100 * rows[["accuracy", "low", "high"]]
        bars = [percent["accuracy"] - percent["low"], percent["high"] - percent["accuracy"]]
        bar = above.errorbar(layer, percent["accuracy"], np.maximum(bars, 0), label=label, capsize=3.5, **drawn)
        keys.append(bar)
        below.plot(layer, rows["fan_in"], **drawn)
    if "labels" in table:
        chance = 100 / table["labels"].iloc[0]
        line = above.axhline(chance, color=look.FAINT, linestyle=":", label=f"chance, 1/K = {chance:.3g} %")
        keys.append(line)
    above.legend(handles=keys, loc="best")
    above.set(ylabel="test accuracy, %", ylim=(0, None))
    below.set_yscale("log", base=2)
    below.yaxis.set_major_locator(LogLocator(base=2, numticks=6))
    below.yaxis.set_major_formatter(_PLAIN)
    below.yaxis.set_minor_locator(NullLocator())
    below.set(ylabel="inputs of the head", xlabel="layer after which the network is cut")
    _layers(below, table)
    fig.align_ylabels()
    return fig


@look.draws("cut", "layer", "split", *_INTERVALS, "filters", "filters_with_cluster", *_CLUSTERED, "images")
def statistics_by_layer(table: pd.DataFrame) -> Figure:
    """Clusters, noise, SNR and field SNR by layer, measured on training and on test images.

    Source: section 6 of the method.
    """
    fig = look.canvas(5.0, width=8.6)
    grid = fig.add_gridspec(3, 3, height_ratios=(0.09, 1, 1))
    key = fig.add_subplot(grid[0, :])
    axes = np.array([[fig.add_subplot(grid[row, column]) for column in range(3)] for row in (1, 2)])
    panels = [
        (axes[0, 0], f"clusters per filter, {look.N_C}", [("N_c", look.BLUE), ("N_c_clustered", look.CYAN)]),
        (axes[0, 1], f"labels per cluster, {look.C_S}", [("C_s", look.BLUE)]),
        (axes[0, 2], "noise per filter, n (elements)", [("n", look.BLUE), ("n_clustered", look.CYAN)]),
        (axes[1, 0], "SNR = S / X", [("snr", look.BLUE)]),
        (axes[1, 1], "noise X, in filters", [("X_internal", look.PURPLE), ("X_external", look.GREEN)]),
        (axes[1, 2], "field SNR, d′ (no threshold)", [("dprime", look.BLUE)]),
    ]
    for ax, title, quantities in panels:
        _by_layer(ax, table, quantities)
        ax.set_title(title, loc="left")
    names = {
        "N_c_clustered": f"{look.N_C} and n: only filters with a cluster",
        "X_internal": "X: internal",
        "X_external": "X: external",
    }
    colours = {name: colour for _, _, quantities in panels for name, colour in quantities}
    keys = [Line2D([], [], color=look.INK, linestyle=line, label=f"{split} images") for split, line in SPLITS.items()]
    keys += [Line2D([], [], color=colours[name], linewidth=3, label=label) for name, label in names.items()]
    key.set_axis_off()
    key.legend(handles=keys, loc="center left", ncols=len(keys), frameon=False, columnspacing=1.6, borderpad=0)
    for ax in axes.flat:
        _layers(ax, table)
    for ax in axes[0]:
        ax.tick_params(labelbottom=False)
    for ax in axes[1]:
        ax.set_xlabel("layer")
    return fig


def _by_layer(ax: Axes, table: pd.DataFrame, quantities: list[tuple[str, tuple]]) -> None:
    """Lines with bands for each split; what an axis cannot show (infinite, zero on a log axis) as marks."""
    values = table[[name + end for name, _ in quantities for end in look.ENDS]].to_numpy(float)
    ends = values[np.isfinite(values) & (values > 0)]
    logarithmic = bool(len(ends)) and ends.max() > 10 * ends.min() and quantities[0][0] in ("snr", "X_internal")
    finite = values[np.isfinite(values)]
    if logarithmic:
        ax.set_yscale("log")
        bottom, top = ends.min() / 1.5, ends.max() * 1.5
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 3) if top < 1000 * bottom else (1,)))
        ax.yaxis.set_major_formatter(_PLAIN)
        ax.yaxis.set_minor_locator(NullLocator())
    else:
        bottom, top = min(0.0, *finite, 0.0), 1.1 * max([*finite, 0.0]) or 1.0
    ax.set_ylim(bottom, top)
    notes = set()
    for name, colour in quantities:
        for split, line in SPLITS.items():
            rows = table[table["split"] == split].sort_values("layer")
            layer, value = rows["layer"].to_numpy(), rows[name].to_numpy(float)
            low, high = (rows[name + end].to_numpy(float) for end in ("_low", "_high"))
            shown = np.isfinite(value) & ((value > 0) | (not logarithmic))
            style = {
                "color": colour,
                "linestyle": line,
                "markerfacecolor": colour if split == "train" else "white",
            }
            ax.plot(
                layer,
                np.where(shown, value, np.nan),
                marker="o",
                markersize=3.5,
                label=f"{name} {split}",
                **style,
            )
            ax.fill_between(
                layer, np.clip(low, bottom, top), np.clip(high, bottom, top), color=colour, alpha=0.15, lw=0
            )
            for beyond, marker, height, words in (
                (value == np.inf, "^", 0.96, "▲ infinite: X = 0"),
                ((value <= 0) & logarithmic, "v", 0.04, "▼ zero"),
            ):
                if beyond.any():
                    where = ax.get_xaxis_transform()
                    ax.plot(
                        layer[beyond],
                        np.full(beyond.sum(), height),
                        marker,
                        color=colour,
                        transform=where,
                        clip_on=False,
                    )
                    notes.add(words)
    if notes:
        ax.set_title("  ".join(sorted(notes)), loc="right", fontsize=7.5, fontweight="normal")


def _layers(ax: Axes, table: pd.DataFrame) -> None:
    layers = np.unique(table["layer"])
    ax.xaxis.set_major_locator(FixedLocator(_some(layers, 14)))
    ax.set_xlim(layers.min() - 0.5, layers.max() + 0.5)


def _some(values: np.ndarray, most: int) -> np.ndarray:
    """At most `most` of the values, the last one among them."""
    return values[::-1][:: -(-len(values) // most)][::-1]
