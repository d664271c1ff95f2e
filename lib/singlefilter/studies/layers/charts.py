"""Figures made of lines, points and intervals: curves, accuracy, statistics.

Accuracies stand in the tables as fractions and are drawn in percent. `low` and `high` end 95 % intervals.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator, NullLocator

from singlefilter import drawing as look

SPLITS = {"train": "-", "test": "--"}
SNR_AXIS, NOISE_AXIS = (0.8, 20.0), (0.03, 30.0)  # ends of log axes, so that profiles can be held side by side

_QUANTITIES = ("N_c", "C_s", "n", "S", "X_internal", "X_external", "snr", "dprime")
_INTERVALS = [f"{name}{end}" for name in _QUANTITIES for end in look.ENDS]
_CLUSTERED = [f"{name}_clustered{end}" for name in ("N_c", "n") for end in look.ENDS]


@look.draws("epoch", "split", "accuracy", "loss", "learning_rate", "seconds")
def curves(table: pd.DataFrame) -> Figure:
    """Accuracy and loss of the whole network by epoch, on training and test images; learning rate below."""
    fig = look.canvas(5.2)
    axes = fig.subplots(3, 1, sharex=True, height_ratios=(3, 3, 1.1))
    marker = "o" if table["epoch"].nunique() <= 30 else None
    for split, colour, images in (("train", look.BLUE, "training"), ("test", look.ORANGE, "test")):
        rows = table[table["split"] == split].sort_values("epoch")
        drawn = {"color": colour, "linestyle": SPLITS[split], "marker": marker, "markersize": 3.5}
        accuracy = rows[["epoch", "accuracy"]].dropna()
        if accuracy.empty:
            continue
        last = f"{images} images, last epoch {100 * accuracy['accuracy'].iloc[-1]:.1f} %"
        axes[0].plot(accuracy["epoch"], 100 * accuracy["accuracy"], label=last, **drawn)
        loss = rows[["epoch", "loss"]].dropna()
        axes[1].plot(loss["epoch"], loss["loss"], label=f"{images} images", **drawn)
    rate = table[["epoch", "learning_rate"]].dropna().drop_duplicates("epoch").sort_values("epoch")
    axes[2].plot(rate["epoch"], rate["learning_rate"], color=look.GREY, marker=marker, markersize=3)
    axes[0].legend(loc="lower right")
    for ax, title in zip(axes, ("accuracy, %", "loss (cross-entropy), nats", "learning rate"), strict=True):
        ax.set_title(title, loc="left")
        ax.set_ylim(0, None)
    axes[2].set_xlabel("epoch")
    axes[2].margins(x=0.02)
    axes[2].xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes[2].yaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
    return fig


@look.draws("cut", "layer", "filters", "positions", "head", "fan_in", "accuracy", "low", "high", "n")
def accuracy_by_layer(table: pd.DataFrame) -> Figure:
    """Test accuracy of a head on the frozen first layers, and the head's fan-in, which changes with depth.

    With a column `labels` (their number K) the level of chance is drawn too. Source: section 2 of the method.
    """
    fig = look.canvas(4.3)
    key, above, below = fig.subplots(3, 1, height_ratios=(0.5, 3, 1.25))
    above.sharex(below)
    above.tick_params(labelbottom=False)
    keys = []
    heads = {
        "flat": ("flat head: every position", look.BLUE, "o", "-", -0.06),
        "pooled": ("pooled head: size of the deepest map", look.ORANGE, "s", "--", 0.06),
        "attention": ("flat head on attention heads", look.GREEN, "D", ":", 0),
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
    key.set_axis_off()
    columns = 1 if fig.get_figwidth() <= look.COLUMN else len(keys)
    key.legend(handles=keys, loc="center left", ncols=columns, frameon=False, borderpad=0)
    above.set_title("accuracy on test images, %", loc="left")
    above.set_ylim(0, None)
    below.set_yscale("log", base=2)
    below.yaxis.set_major_locator(LogLocator(base=2, numticks=6))
    below.yaxis.set_major_formatter(look.PLAIN)
    below.yaxis.set_minor_locator(NullLocator())
    below.set_title("inputs of the head", loc="left")
    below.set_xlabel("layer after which the network is cut")
    layers(below, table)
    return fig


@look.draws("cut", "layer", "split", *_INTERVALS, "filters", "filters_with_cluster", *_CLUSTERED, "images")
def statistics_by_layer(table: pd.DataFrame) -> Figure:
    """Clusters, noise, SNR and field SNR by layer, measured on training and on test images.

    Source: section 6 of the method.
    """
    fig = look.canvas(4.3)
    grid = fig.add_gridspec(3, 3, height_ratios=(0.15, 1, 1))
    key = fig.add_subplot(grid[0, :])
    axes = np.array([[fig.add_subplot(grid[row, column]) for column in range(3)] for row in (1, 2)])
    noise = [("X_internal", look.PURPLE), ("X_external", look.GREEN)]
    panels = [  # axes, title, unit, quantities with their colours
        (axes[0, 0], f"clusters per filter, {look.N_C}", "clusters", [("N_c", look.BLUE)]),
        (axes[0, 1], f"labels per cluster, {look.C_S}", "labels", [("C_s", look.BLUE)]),
        (axes[0, 2], "noise per filter, n", "elements", [("n", look.BLUE)]),
        (axes[1, 0], "SNR, signal/noise", "S / X", [("snr", look.BLUE)]),
        (axes[1, 1], "noise X of a wrong label", "filters", noise),
        (axes[1, 2], "field SNR, d′", "standard deviations", [("dprime", look.BLUE)]),
    ]
    for ax, title, unit, quantities in panels:
        for name, _ in quantities:
            if f"{name}_clustered" in table:
                _clustered(ax, table, name)
        _by_layer(ax, table, quantities)
        ax.set_title(title, loc="left")
        ax.set_ylabel(unit)
    names = {"X_internal": "X: internal", "X_external": "X: external"}
    colours = {name: colour for _, _, _, quantities in panels for name, colour in quantities}
    keys = [
        Line2D([], [], color=look.INK, linestyle=SPLITS[split], marker="o", label=label, markersize=3.5, **face)
        for split, label, face in (
            ("train", "training images", {}),
            ("test", "test images", {"markerfacecolor": "white"}),
        )
    ]
    keys += [Line2D([], [], color=look.ORANGE, linewidth=1, label="only filters with a cluster")]
    keys += [Line2D([], [], color=colours[name], linewidth=3, label=label) for name, label in names.items()]
    key.set_axis_off()
    key.legend(handles=keys, loc="center left", ncols=len(keys), frameon=False, columnspacing=1.3, borderpad=0)
    for ax in axes.flat:
        layers(ax, table)
    for ax in axes[0]:
        ax.tick_params(labelbottom=False)
    for ax in axes[1]:
        ax.set_xlabel("layer")
    return fig


def snr_axis(ax: Axes, values: pd.DataFrame) -> None:
    """A log axis of SNR: the same for all networks, as far as their SNR is within it."""
    _fixed_log(ax, values.to_numpy(float), SNR_AXIS)


def _fixed_log(ax: Axes, values: np.ndarray, ends: tuple[float, float]) -> None:
    shown = values[np.isfinite(values) & (values > 0)]
    ax.set_yscale("log")
    ax.set_ylim(min(ends[0], *shown / 1.5), max(ends[1], *1.5 * shown))
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 3) if ax.get_ylim()[1] < 3000 * ax.get_ylim()[0] else (1,)))
    ax.yaxis.set_major_formatter(look.PLAIN)
    ax.yaxis.set_minor_locator(NullLocator())


def _clustered(ax: Axes, table: pd.DataFrame, name: str) -> None:
    """Thin and behind: the mean over the filters with a cluster alone, which is the other one where all have some."""
    rows = table[table["split"] == table["split"].iloc[0]].sort_values("layer")
    values = rows[f"{name}_clustered"].where(np.isfinite(rows[f"{name}_clustered"]))
    ax.plot(rows["layer"], values, color=look.ORANGE, linewidth=1, label=f"{name}_clustered", zorder=1)


def _by_layer(ax: Axes, table: pd.DataFrame, quantities: list[tuple[str, tuple]]) -> None:
    """Lines with bands for each split; what an axis cannot show (infinite, zero on a log axis) as marks."""
    values = table[[name + end for name, _ in quantities for end in look.ENDS]].to_numpy(float)
    fixed = {"snr": SNR_AXIS, "X_internal": NOISE_AXIS}.get(quantities[0][0])
    if logarithmic := fixed is not None:
        _fixed_log(ax, values, fixed)
        bottom, top = ax.get_ylim()
    else:
        finite = values[np.isfinite(values)]
        bottom, top = min(0.0, *finite, 0.0), 1.1 * max([*finite, 0.0]) or 1.0
    ax.set_ylim(bottom, top)
    notes = set()
    for name, colour in quantities:
        for split, line in SPLITS.items():
            rows = table[table["split"] == split].sort_values("layer")
            layer, value = rows["layer"].to_numpy(), rows[name].to_numpy(float)
            low, high = (rows[name + end].to_numpy(float) for end in ("_low", "_high"))
            shown = np.isfinite(value) & ((value > 0) | (not logarithmic))
            face = colour if split == "train" else "white"
            drawn = {"color": colour, "linestyle": line, "markerfacecolor": face, "marker": "o", "markersize": 3.5}
            ax.plot(layer, np.where(shown, value, np.nan), label=f"{name} {split}", **drawn)
            ends = np.clip(low, bottom, top), np.clip(high, bottom, top)
            ax.fill_between(layer, *ends, color=colour, alpha=0.15, lw=0)
            for beyond, marker, height, words in (
                (value == np.inf, "^", 0.94, "▲ infinite: X = 0"),
                ((value <= 0) & logarithmic, "v", 0.06, "▼ zero"),
            ):
                if beyond.any():
                    at = layer[beyond], np.full(beyond.sum(), height)
                    ax.plot(*at, marker, color=colour, transform=ax.get_xaxis_transform())
                    notes.add(words)
    if notes:
        ax.text(0.02, 0.97, "\n".join(sorted(notes)), transform=ax.transAxes, va="top", fontsize=look.SMALLEST)


def layers(ax: Axes, table: pd.DataFrame) -> None:
    """Layers along an axis, as many of them named as have room."""
    every = np.unique(table["layer"])
    inches = ax.get_subplotspec().get_gridspec().ncols if ax.get_subplotspec() else 1
    ax.xaxis.set_major_locator(FixedLocator(_some(every, 7 if inches > 1 else 14)))
    ax.set_xlim(every.min() - 0.5, every.max() + 0.5)


def _some(values: np.ndarray, most: int) -> np.ndarray:
    """At most `most` of the values, the last one among them."""
    return values[::-1][:: -(-len(values) // most)][::-1]
