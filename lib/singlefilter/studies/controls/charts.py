"""Figures of the controls, each from the table of the same name: threshold, label order, splits, training seeds.

Layers run along the horizontal axis; bands and bars are 95 % intervals unless the caption says what else they are.
"""

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from singlefilter import drawing as look
from singlefilter.studies import rules

NAMES = {
    "N_c": f"clusters per filter, {look.N_C}",
    "C_s": f"labels per cluster, {look.C_S}",
    "n": "noise per filter, n",
    "snr": "SNR, signal/noise",
    "shared": "labels sharing a cluster, %",
    "dprime": "field SNR, d′ (test images)",
    "accuracy": "accuracy of the head, %",
}
IMAGES = {"train": "training images", "test": "test images"}
_RATIOS = [f"{name}_ratio{end}" for name in ("n", "X_internal", "X_external", "snr", "dprime") for end in look.ENDS]


def with_ends(*names: str) -> list[str]:
    return [f"{name}{end}" for name in names for end in look.ENDS]


@look.draws("layer", "threshold", "used", *with_ends("N_c", "C_s", "n", "snr", "tau_snr", "tau_n"), "filters")
def thresholds(table: pd.DataFrame) -> Figure:
    """Clusters, noise and SNR by layer at every threshold, and the trend of SNR and noise against the threshold."""
    fig = look.canvas(4.9)
    grid = fig.add_gridspec(3, 3, height_ratios=(0.08, 1, 1))
    key = fig.add_subplot(grid[0, :])
    panels = {
        "N_c": fig.add_subplot(grid[1, 0]),
        "C_s": fig.add_subplot(grid[1, 1]),
        "n": fig.add_subplot(grid[1, 2]),
        "snr": fig.add_subplot(grid[2, 0]),
    }
    trend = fig.add_subplot(grid[2, 1:])
    every = np.unique(table["threshold"])
    colours = dict(zip(every, colormaps["viridis"](np.linspace(0, 0.92, len(every))), strict=True))
    for name, ax in panels.items():
        for threshold, rows in table.groupby("threshold"):
            used = bool(rows["used"].any())
            curve(ax, rows, name, colours[threshold], linewidth=2.6 if used else 1.1, marker="o" if used else None)
        panel(ax, table, NAMES[name])
    axis_of(panels["n"], table, ["n"])
    axis_of(panels["snr"], table, ["snr"])
    say_infinite(panels["snr"], table["snr"])
    once = table.drop_duplicates("threshold").sort_values("threshold")
    for name, label, colour, marker, aside in (
        ("tau_snr", "SNR (C2: rises)", look.BLUE, "o", -0.006),
        ("tau_n", "noise (C3: falls)", look.GREEN, "s", 0.006),
    ):
        _bars(trend, once["threshold"] + aside, once, name, color=colour, marker=marker, label=label)
    for sign in (-1, 1):
        trend.axhline(sign * rules.TAU, color=look.INK, linestyle="--", linewidth=1)
    trend.axhline(0, color=look.FAINT, linestyle=":", linewidth=1)
    for used in once["threshold"][once["used"] > 0]:
        trend.axvline(used, color="0.85", linewidth=6, zorder=0)
    trend.set(ylim=(-1.08, 1.9), xlabel="threshold", xticks=every, yticks=(-1, -0.5, 0, 0.5, 1))  # room for the key
    trend.set_title("trend with the layer (Kendall's tau)", loc="left")
    trend.axhline(2, color=look.INK, linestyle="--", linewidth=1, label="bar of the claims")
    trend.legend(loc="upper right", ncols=3)
    panels["snr"].set_xlabel("layer")
    keys = [Line2D([], [], color=colours[one], linewidth=2.5, label=f"{one:g}") for one in every]
    key.set_axis_off()
    key.text(0, 0.5, "threshold", va="center", fontsize=8, transform=key.transAxes)
    key.legend(handles=keys, loc="center left", bbox_to_anchor=(0.1, 0.5), ncols=len(keys), frameon=False)
    return fig


@look.draws(
    *("layer", "quantity", "ascending", "mean", "sd", "min", "max", "relative_change"),
    *("changed", "changed_low", "changed_high", "filters", "orders"),
)
def label_orders(table: pd.DataFrame) -> Figure:
    """N_c, C_s and n in ascending order of labels beside their range over random orders; how many filters change."""
    fig = look.canvas(4.6)
    key, axes = look.key_above(fig, 2, 3)
    for column, name in enumerate(("N_c", "C_s", "n")):
        rows = table[table["quantity"] == name].sort_values("layer")
        above, below = axes[:, column]
        layer = rows["layer"]
        above.fill_between(
            layer, rows["min"], rows["max"], color=look.ORANGE, alpha=0.35, lw=0, label="least to most of them"
        )
        above.plot(layer, rows["mean"], "--", color=look.ORANGE, label="random orders, mean")
        above.plot(
            layer, rows["ascending"], "o-", color=look.BLUE, markersize=3.5, linewidth=1, label="ascending order"
        )
        panel(above, table, NAMES[name])
        above.set_ylim(0, 1.1 * max(rows[["max", "ascending"]].max().max(), 0) or 1)
        for end in ("min", "max"):
            below.plot(layer, _percent_of(rows, end), color=look.ORANGE, linewidth=0.8)
        below.fill_between(
            layer, _percent_of(rows, "min"), _percent_of(rows, "max"), color=look.ORANGE, alpha=0.35, lw=0
        )
        below.plot(layer, 100 * rows["relative_change"], "--", color=look.ORANGE)
        below.axhline(0, color=look.BLUE, linewidth=1)
        below.set(xlabel="layer")
        below.set_title("change, %", loc="left")
    widest = max(np.abs(ax.get_ylim()).max() for ax in axes[1])
    for ax in axes[1]:
        ax.set_ylim(-widest, widest)
    look.keys_in(key, axes[0, 0].get_legend_handles_labels()[0])
    return fig


@look.draws("layer", *with_ends("jaccard", "kept"), "chance", *_RATIOS, "filters", "filters_compared")
def splits(table: pd.DataFrame) -> Figure:
    """Which labels filters cover, on training and on test images; noise and SNR of the one over the other."""
    fig = look.canvas(2.9)
    axes = fig.subplots(1, 3)
    for name, label, colour, marker, line in (
        ("jaccard", "in both / in either", look.BLUE, "o", "-"),
        ("kept", "in both / on training images", look.CYAN, "s", "--"),
        ("chance", "in both / in either, by chance", look.FAINT, "x", ":"),
    ):
        curve(axes[0], table, name, colour, 100, marker=marker, linestyle=line, markersize=3.5, label=label)
    panel(axes[0], table, "labels that a filter covers, %")
    axes[0].set_ylim(0, 102)
    look.key_below(axes[0])
    drawn = (
        (
            axes[1],
            "noise, test over training",
            ("n", "X_internal"),
            (look.GREEN, look.PURPLE),
            ("external", "internal"),
        ),
        (
            axes[2],
            "SNR, test over training",
            ("snr", "dprime"),
            (look.BLUE, look.ORANGE),
            ("SNR", "field SNR, d′"),
        ),
    )
    for ax, title, names, colours, labels in drawn:
        for name, colour, label, marker, line in zip(names, colours, labels, "os", ("-", "--"), strict=True):
            style = {"marker": marker, "linestyle": line, "markersize": 3.5, "label": label}
            curve(ax, table, f"{name}_ratio", colour, **style)
        ax.axhline(1, color=look.INK, linewidth=0.8)
        panel(ax, table, title)
        look.key_below(ax)
    for ax in axes:
        ax.set_xlabel("layer")
    return fig


@look.draws(
    "layer",
    "split",
    "training_seed",
    *with_ends("accuracy", "N_c", "C_s", "n", "snr", "dprime"),
    "filters",
    common=("profile", "data", "network"),
)
def seeds(table: pd.DataFrame) -> Figure:
    """Accuracy, clusters, noise, SNR and d' by layer, a line for each training seed, their mean and range."""
    fig = look.canvas(4.8)
    key, axes = look.key_above(fig, 2, 3)
    colours = {"train": look.BLUE, "test": look.ORANGE}
    lines = {"train": "-", "test": "--"}
    for ax, name in zip(axes.flat, ("accuracy", "N_c", "C_s", "n", "snr", "dprime"), strict=True):
        scale = 100 if name == "accuracy" else 1
        for split, rows in table.groupby("split", sort=False):
            wide = scale * rows.pivot(index="layer", columns="training_seed", values=name).sort_index()
            wide = wide.where(np.isfinite(wide))
            for seed in wide:
                ax.plot(wide.index, wide[seed], color=colours[split], linewidth=0.6, alpha=0.7)
            drawn = {"color": colours[split], "linestyle": lines[split], "marker": "o", "markersize": 3.5}
            ax.plot(wide.index, wide.mean(axis=1), label=IMAGES[split], **drawn)
            low, high = _range(wide, rows, name, scale)
            ax.fill_between(wide.index, low, high, color=colours[split], alpha=0.2, lw=0)
        panel(ax, table, NAMES[name].replace(" (test images)", ""))
        if name in ("n", "snr"):
            axis_of(ax, table, [name])
            say_infinite(ax, table[name])
        else:
            ax.set_ylim(min(0, ax.get_ylim()[0]), None)
    for ax in axes[1]:
        ax.set_xlabel("layer")
    look.keys_in(key, axes[0, 0].get_legend_handles_labels()[0])
    return fig


def _range(wide: pd.DataFrame, rows: pd.DataFrame, name: str, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """From the least to the most over seeds, or the interval where there is one seed."""
    if wide.shape[1] > 1:
        return wide.min(axis=1), wide.max(axis=1)
    rows = rows.sort_values("layer")
    return tuple(_shown(scale * rows[f"{name}{end}"]) for end in ("_low", "_high"))


def curve(ax: Axes, rows: pd.DataFrame, name: str, colour: object, scale: float = 1, **drawn: object) -> None:
    """A quantity by layer with the band of its interval, if the table has one; what is not finite is left out."""
    rows = rows.sort_values("layer")
    ax.plot(rows["layer"], _shown(scale * rows[name]), color=colour, **{"markersize": 3.5, **drawn})
    if f"{name}_low" in rows:
        low, high = (_shown(scale * rows[f"{name}{end}"]) for end in ("_low", "_high"))
        ax.fill_between(rows["layer"], low, high, color=colour, alpha=0.13, lw=0)


def _bars(ax: Axes, at: pd.Series, rows: pd.DataFrame, name: str, **drawn: object) -> None:
    values, low, high = (rows[f"{name}{end}"].to_numpy(float) for end in look.ENDS)
    ax.errorbar(at, values, np.maximum([values - low, high - values], 0), capsize=3, markersize=4.5, **drawn)


def panel(ax: Axes, table: pd.DataFrame, title: str) -> None:
    """Title and layers of a panel."""
    ax.set_title(title, loc="left")
    ax.yaxis.set_major_formatter(look.PLAIN)
    ax.set_xlim(table["layer"].min() - 0.5, table["layer"].max() + 0.5)
    ax.xaxis.set_major_locator(MaxNLocator(7, integer=True, min_n_ticks=1))


def axis_of(ax: Axes, table: pd.DataFrame, names: list[str]) -> None:
    """A log axis where what is shown spans more than a factor of ten, else one from zero."""
    shown = table[names].to_numpy(float)
    shown = shown[np.isfinite(shown) & (shown > 0)]
    if len(shown) == 0 or shown.max() <= 10 * shown.min():
        ax.set_ylim(0, None)
        return
    ax.set_yscale("log")
    ax.set_ylim(shown.min() / 1.5, shown.max() * 1.5)
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 3) if shown.max() < 300 * shown.min() else (1,)))
    ax.yaxis.set_major_formatter(look.PLAIN)
    ax.yaxis.set_minor_locator(NullLocator())


def say_infinite(ax: Axes, values: pd.Series) -> None:
    """Say how many values an axis cannot show because no noise is left."""
    infinite = int(np.isinf(values).sum())
    if infinite:
        ax.text(
            0.02, 0.96, f"{infinite} infinite: no noise", transform=ax.transAxes, va="top", fontsize=look.SMALLEST
        )


def _shown(values: pd.Series) -> pd.Series:
    return values.where(np.isfinite(values))


def _percent_of(rows: pd.DataFrame, end: str) -> pd.Series:
    """A column against the value in ascending order, in percent; nothing where that is 0."""
    return 100 * (rows[end] / rows["ascending"].where(rows["ascending"] != 0) - 1)
