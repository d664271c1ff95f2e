"""Figures of growth, each from the table of the same name: statistics against the number of labels K, noise against
the number of filters. How the error grows: `error_charts`.

Accuracies stand in the tables as fractions and are drawn in percent.
"""

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, LogLocator, NullLocator

from singlefilter import drawing as look
from singlefilter.studies.controls import charts as shared
from singlefilter.studies.rules import TAU, kendall_tau

FEWEST_FOR_DPRIME = 5  # labels: d' of fewer divides by the spread of two or three logits
CUT = "cut after layer"  # in the name of a series: an early cut of the first network
OTHERS = (look.ORANGE, look.GREEN, look.VERMILION, look.PURPLE, look.BROWN, look.PINK)
BOLD = {"color": look.BLUE, "marker": "o", "linewidth": 2.8, "markersize": 5.5, "zorder": 3}
_NAMES = {
    "N_c": shared.NAMES["N_c"],
    "C_s": shared.NAMES["C_s"],
    "n": shared.NAMES["n"],
    "snr": shared.NAMES["snr"],
    "covered": "labels covered per filter",
    "dprime": "field SNR, d′",
}


@look.draws("layer", "labels", *shared.with_ends(*_NAMES), "subsets", "networks")
def statistics_by_labels(table: pd.DataFrame) -> Figure:
    """Clusters, noise, SNR, covered labels and d' against K, a line for each cut of the network."""
    fig = look.canvas(4.9)
    grid = fig.add_gridspec(3, 3, height_ratios=(0.08, 1, 1))
    key = fig.add_subplot(grid[0, :])
    layers = np.unique(table["layer"])
    looks = dict(zip(layers, [*shades(len(layers) - 1), BOLD], strict=True))
    for place, (name, title) in enumerate(_NAMES.items()):
        ax = fig.add_subplot(grid[1 + place // 3, place % 3])
        log_k(ax, table["labels"])
        if name in ("n", "snr"):
            log_y(ax, table[name])
        shown = table if name != "dprime" else table[table["labels"] >= FEWEST_FOR_DPRIME]
        for layer, rows in shown.sort_values("labels").groupby("layer"):
            value, low, high = (rows[f"{name}{end}"] for end in look.ENDS)
            ax.fill_between(rows["labels"], low, high, color=looks[layer]["color"], alpha=0.15, lw=0)
            if ax.get_yscale() == "log":
                say_zero(ax, rows["labels"], value, looks[layer]["color"])
                value = value.where(value > 0)
            ax.plot(rows["labels"], value, **looks[layer])
        ax.yaxis.set_major_formatter(look.PLAIN)
        ax.set_title(title, loc="left")
        if ax.get_yscale() == "linear":
            ax.set_ylim(min(0, ax.get_ylim()[0]), None)
        if place >= 3:
            ax.set_xlabel("number of labels, K")
    keys = [Line2D([], [], label=f"{layer}", **looks[layer]) for layer in layers]
    _key(key, CUT, keys, 0.13)
    return fig


@look.draws("labels", "subset", "seed_of_network", "layer", "accuracy", "snr")
def trends_by_labels(table: pd.DataFrame) -> Figure:
    """Accuracy and SNR by layer, a line for each K, and the trend of both with the layer against K."""
    fig = look.canvas(3.3)
    grid = fig.add_gridspec(2, 3, height_ratios=(0.06, 1))
    key = fig.add_subplot(grid[0, :])
    accuracy, snr, trend = (fig.add_subplot(grid[1, column]) for column in range(3))
    labels = np.unique(table["labels"])
    colours = dict(zip(labels, colormaps["viridis"](np.linspace(0, 0.9, len(labels))), strict=True))
    markers = dict(zip(labels, np.resize(list("ovs^DPX"), len(labels)), strict=True))
    log_y(snr, table["snr"])
    for ax, name, scale in ((accuracy, "accuracy", 100), (snr, "snr", 1)):
        for k, rows in table.groupby("labels"):
            values = scale * rows[name].where(np.isfinite(rows[name]))
            of_layers = values.groupby(rows["layer"])
            mean = of_layers.agg(_mean)
            drawn = {"color": colours[k], "marker": markers[k], "markersize": 4, "label": f"{k:,}"}
            ax.plot(mean.index, mean, **drawn)
            low, high = (end.where(mean.notna()) for end in (of_layers.min(), of_layers.max()))
            ax.fill_between(mean.index, low, high, color=colours[k], alpha=0.15, lw=0)
        ax.set_xlim(table["layer"].min() - 0.5, table["layer"].max() + 0.5)
        ax.set_xlabel(CUT)
        ax.xaxis.set_major_locator(FixedLocator(np.unique(table["layer"])))
    accuracy.set_title("accuracy of the head, %", loc="left")
    accuracy.set_ylim(0, 102)
    snr.set_title(_NAMES["snr"], loc="left")
    shared.say_infinite(snr, table["snr"])
    _trend(trend, table)
    _key(key, "K", [Line2D([], [], color=colours[k], marker=markers[k], label=f"{k:,}") for k in labels], 0.03)
    return fig


@look.draws(
    *("depth", "width", "filters", "network_seed", *shared.with_ends("n"), "accuracy", "labels", "images", "epochs")
)
def noise_by_width(table: pd.DataFrame) -> Figure:
    """Noise per filter at the last cut against filters per layer, with a power law for each depth; accuracy."""
    fig = look.canvas(3.6)
    noise, accuracy = fig.subplots(1, 2)
    log_y(noise, table[["n", "n_low", "n_high"]].stack())
    depths = sorted(table["depth"].unique(), reverse=True)
    for depth, marker, colour in zip(depths, "osDPX", OTHERS, strict=False):
        rows = table[table["depth"] == depth].sort_values(["filters", "network_seed"])
        networks = rows.groupby("filters")["n"]
        at = rows["filters"] * np.exp(0.05 * (networks.cumcount() - (networks.transform("size") - 1) / 2))
        drawn = {"color": colour, "marker": marker, "linestyle": "", "markersize": 5, "markerfacecolor": "white"}
        bars(noise, at, rows[["n", "n_low", "n_high"]], capsize=2.5, **drawn)
        means = networks.mean()
        label = f"VGG-{depth}"
        if len(means) > 1 and (means > 0).all():
            slope, level = np.polyfit(np.log(means.index), np.log(means), 1)
            noise.plot(means.index, np.exp(level) * means.index**slope, color=colour, linewidth=1.2)
            label += f", exponent {look.tidy(f'{slope:.2f}')}"
        if noise.get_yscale() == "log":
            say_zero(noise, at, rows["n"], colour)
        noise.plot([], [], label=label, **drawn | {"linestyle": "-"})
        of_filters = 100 * rows.groupby("filters")["accuracy"].mean()
        accuracy.plot(of_filters.index, of_filters, color=colour, linewidth=1.2)
        accuracy.plot(at, 100 * rows["accuracy"], **drawn)
        accuracy.plot([], [], label=f"VGG-{depth}", **drawn | {"linestyle": "-"})
    noise.set_title(_NAMES["n"], loc="left")
    accuracy.set_title("accuracy of the last head, %", loc="left")
    accuracy.set_ylim(0, None)
    for ax in (noise, accuracy):
        log_k(ax, table["filters"])
        ax.set_xlabel("filters per layer, at the last cut")
        look.key_below(ax)
    return fig


def shades(number: int) -> list[dict]:
    """Looks of earlier cuts: one colour, the darker the later; markers tell neighbours apart."""
    colours = colormaps["Blues"](np.linspace(0.38, 0.72, number))
    return [
        {"color": tuple(colour), "marker": marker, "linewidth": 1.2, "markersize": 4}
        for colour, marker in zip(colours, np.resize(list("v^<>"), number), strict=True)
    ]


def _mean(networks: pd.Series) -> float:
    """The mean, which is not known where that of one network is not."""
    return networks.mean(skipna=False)


def _trend(ax: Axes, table: pd.DataFrame) -> None:
    """Kendall's tau of the layer with the means over networks, at each K."""
    means = table.groupby(["labels", "layer"])[["accuracy", "snr"]].agg(_mean).unstack("layer")
    for name, label, colour, marker, aside in (
        ("accuracy", "accuracy", look.ORANGE, "s", -0.02),
        ("snr", "SNR", look.BLUE, "o", 0.02),
    ):
        taus = kendall_tau(means[name].to_numpy(float))
        ax.plot(means.index * np.exp(aside), taus, marker, color=colour, label=label, markerfacecolor="none")
    ax.axhline(TAU, color=look.INK, linestyle="--", linewidth=1)
    ax.axhline(0, color=look.FAINT, linestyle=":", linewidth=1)
    ax.set(ylim=(-1.08, 1.08), yticks=(-1, -0.5, 0, 0.5, 1))
    log_k(ax, table["labels"])
    ax.set_title("trend, Kendall's tau", loc="left")
    ax.set_xlabel("number of labels, K")
    ax.plot([], [], color=look.INK, linestyle="--", linewidth=1, label="bar of claim C5")
    look.key_below(ax, 2)


def bars(ax: Axes, at: pd.Series, ends: pd.DataFrame, scale: float = 1, **drawn: object) -> None:
    """Values with their intervals; a bar that would leave a log axis ends where the axis does."""
    values, low, high = scale * ends.to_numpy(float).T
    bars = np.nan_to_num([values - low, high - values], posinf=0, neginf=0).clip(0)
    if ax.get_yscale() == "log":
        bars[0] = np.minimum(bars[0], np.maximum(values - ax.get_ylim()[0], 0))
        values = np.where(values > 0, values, np.nan)
    ax.errorbar(at, values, bars, elinewidth=0.9, **drawn)


def say_zero(ax: Axes, at: pd.Series, values: pd.Series, colour: object) -> None:
    """Marks at the lower end of a log axis where a value is zero."""
    zero = (values == 0).to_numpy()
    if zero.any():
        drawn = {"color": colour, "clip_on": False, "transform": ax.get_xaxis_transform()}
        ax.plot(at[zero], np.full(zero.sum(), 0.02), "v", markersize=6, **drawn)
        ax.text(0.98, 0.03, "▼ zero", ha="right", transform=ax.transAxes, fontsize=look.SMALLEST)


def log_y(ax: Axes, values: pd.Series) -> None:
    """A log axis that holds the values above zero, if there are any."""
    shown = values[np.isfinite(values) & (values > 0)]
    if shown.empty:
        return
    ax.set_yscale("log")
    ax.set_ylim(shown.min() / 1.6, shown.max() * 1.6)
    plain_log(ax.yaxis)


def plain_log(axis) -> None:
    """Ticks with plain numbers on a log axis, at least two of them and not too many."""
    low, high = axis.get_view_interval()
    by_width = {1000: (1,), 50: (1, 3), 6: (1, 2, 5), 0: (1, 1.5, 2, 3, 4, 6, 8)}
    axis.set_major_locator(LogLocator(subs=next(subs for least, subs in by_width.items() if high >= least * low)))
    axis.set_major_formatter(look.PLAIN)
    axis.set_minor_locator(NullLocator())


def log_k(ax: Axes, sizes: pd.Series) -> None:
    """A log axis of numbers of labels or filters; ticks at those in the table that have room."""
    logs = np.log(np.unique(sizes))
    room = 0.06 * np.ptp(logs) or 0.5
    kept = [logs[-1]]
    for one in logs[-2::-1]:
        if kept[-1] - one > 2 * room:
            kept.append(one)
    ax.set_xscale("log")
    ax.set_xlim(*np.exp([logs[0] - room, logs[-1] + room]))
    ax.xaxis.set_major_locator(FixedLocator(np.round(np.exp(kept[::-1]))))
    ax.xaxis.set_major_formatter(look.PLAIN)
    ax.xaxis.set_minor_locator(NullLocator())


def _key(ax: Axes, name: str, keys: list[Line2D], right: float) -> None:
    """What the lines of all panels are, in a row above them."""
    ax.set_axis_off()
    ax.text(0, 0.5, name, va="center", fontsize=8, transform=ax.transAxes)
    ax.legend(handles=keys, loc="center left", bbox_to_anchor=(right, 0.5), ncols=len(keys), frameon=False)
