"""Figures of growth, each from the table of the same name: with the number of labels K, with filters per layer.

Errors and accuracies stand in the tables as fractions and are drawn in percent.
"""

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, LogLocator, NullLocator

from singlefilter import control_charts as shared
from singlefilter import drawing as look
from singlefilter import laws
from singlefilter.claims import TAU, kendall_tau

CUT = "cut after layer"  # in the name of a series: an early cut of the first network
LAWS = {  # label, colour, marker, line
    "linear": ("linear", look.GREEN, "^", "--"),
    "power": ("power law", look.ORANGE, "o", "-"),
    "logarithm": ("logarithm", look.PURPLE, "s", ":"),
}
AS_GOOD = 2  # in AICc: laws less than this apart describe the points equally well
_EXPONENTS = {  # of which law, label, colour, marker, aside
    "power": ("rho of the power law a K^rho", look.ORANGE, "o", -0.17),
    laws.FAMILY: ("lambda of a + b (K^lambda − 1) / lambda", look.INK, "D", 0.17),
}
_SEARCHED = (-2.1, 3.1)  # exponents are found from -2 to 3
_NAMES = {
    "N_c": shared.NAMES["N_c"],
    "C_s": shared.NAMES["C_s"],
    "n": "noise per filter, n (elements)",
    "snr": "SNR = S / X",
    "covered": "labels covered per filter",
    "dprime": "field SNR, d' (no threshold)",
}


@look.draws("series", "shows", "labels", "error", "low", "high", "subsets", "networks", "images", "epochs")
def error_by_labels(table: pd.DataFrame) -> Figure:
    """Error against K: mean and maximum over subsets of the first series with laws; the means of all series."""
    fig = look.canvas(3.7, width=9.4)
    left, right, key = fig.subplots(1, 3, width_ratios=(1, 1, 0.56))
    names = list(table["series"].unique())
    first = table[table["series"] == names[0]]
    _with_laws(left, first)
    left.set_title(look.fit(names[0], 3, 9, 1), loc="left")
    means = table[table["shows"] == "mean"]
    _log_y(right, 100 * means["error"])
    looks = _looks(names)
    for name, rows in means.groupby("series", sort=False):
        rows = rows.sort_values("labels")
        _bars(right, rows["labels"], rows[["error", "low", "high"]], 100, **looks[name])
        if right.get_yscale() == "log":
            _say_zero(right, rows["labels"], rows["error"], looks[name]["color"])
    _log_k(right, table["labels"])
    right.set_title("mean over subsets, all series", loc="left")
    for ax in (left, right):
        ax.set(xlabel="number of labels, K", ylabel="error on test images, %")
    keys = [Line2D([], [], label=look.fit(name, 1.75, 7.5, 2), **looks[name]) for name in names]
    key.set_axis_off()
    key.legend(handles=keys, loc="upper left", frameon=False, borderpad=0, labelspacing=0.9, handlelength=2.6)
    note = (
        f"{names[0]}: n = {shared.span(first['networks'])} networks a point, on {shared.span(first['subsets'])} "
        f"subsets of labels; {shared.span(first['images'])} training images per label, "
        f"{shared.span(first['epochs'])} epochs. All series: {shared.span(table['images'])} images per label, "
        f"{shared.span(table['epochs'])} epochs. Bars: 95 % bootstrap intervals over subsets, and seeds inside them; "
        "a maximum over few subsets comes out too low."
    )
    return look.finish(fig, table, "Error against the number of labels", note, look.banner_for(table))


@look.draws(
    *("series", "shows", "law", "a", "b", "exponent", "exponent_low", "exponent_high", "aicc", "delta", "held_out"),
    "K",
)
def laws_of_error(table: pd.DataFrame) -> Figure:
    """Exponents of the laws fitted to every series; how far each law is from the best; error at K left out."""
    rows = table[["series", "shows"]].drop_duplicates().reset_index(drop=True).reset_index(names="place")
    table = table.merge(rows, on=["series", "shows"])
    fig = look.canvas(1.2 + 0.4 * len(rows), width=9.4)
    grid = fig.add_gridspec(2, 3, width_ratios=(1.5, 1, 1), height_ratios=(0.4 * len(rows) + 0.5, 0.2))
    axes = forest, apart, held_out = grid[0, :].subgridspec(1, 3, width_ratios=(1.5, 1, 1)).subplots(sharey=True)
    key = fig.add_subplot(grid[1, :])
    for law, (label, colour, marker, aside) in _EXPONENTS.items():
        of = table[table["law"] == law]
        values, low, high = (of[f"exponent{end}"].to_numpy(float) for end in look.ENDS)
        ends = np.nan_to_num([values - low, high - values]).clip(0)
        drawn = {"color": colour, "marker": marker, "linestyle": "", "capsize": 2.5, "markersize": 5}
        forest.errorbar(values, of["place"] + aside, xerr=ends, label=label, **drawn)
    for exponent, name in ((0, "logarithm"), (1, "linear")):
        forest.axvline(exponent, color=look.FAINT, linestyle="--", linewidth=1, zorder=0)
        forest.annotate(
            name, (exponent, 1), (0, 3), xycoords=("data", "axes fraction"), textcoords="offset points", ha="center",
            fontsize=7.5, color=look.FAINT,
        )  # fmt: skip
    shown = table[["exponent", "exponent_low", "exponent_high"]].to_numpy(float)
    shown = [*shown[np.isfinite(shown)], -0.2, 1.2]
    forest.set_xlim(max(min(shown) - 0.1, _SEARCHED[0]), min(max(shown) + 0.1, _SEARCHED[1]))
    forest.set(xlabel="exponent")
    for law, (label, colour, marker, _) in LAWS.items():
        of = table[table["law"] == law]
        drawn = {"color": colour, "marker": marker, "linestyle": "", "markersize": 6, "markerfacecolor": "none"}
        apart.plot(of["delta"], of["place"], label=label, **drawn)
        held_out.plot(100 * of["held_out"], of["place"], **drawn)
    apart.axvspan(0, AS_GOOD, color="0.92", zorder=0)
    apart.set_xlim(-0.04 * (widest := max(table["delta"].max(), 2 * AS_GOOD)), 1.06 * widest)
    apart.set(xlabel="AICc above the best law")
    held_out.set(xlabel="held-out error, % points", xlim=(0, None))
    of_laws = 100 * table["held_out"]
    if of_laws.max() > 10 * of_laws[of_laws > 0].min():
        held_out.set_xscale("log")
        held_out.set_xlim(of_laws[of_laws > 0].min() / 1.5, of_laws.max() * 1.5)
        _plain_log(held_out.xaxis)
    names = [f"{look.fit(row.series, 1.75, 7.5)}\n({_SHOWN[row.shows]})" for row in rows.itertuples()]
    axes[0].set(yticks=rows["place"], ylim=(len(rows) - 0.5, -0.5))
    axes[0].set_yticklabels(names, fontsize=7.5, linespacing=1.05)
    for ax in axes:
        ax.grid(axis="y", visible=False)
        for place in rows["place"][1:]:
            ax.axhline(place - 0.5, color="0.9", linewidth=0.8, zorder=0)
    keys = [handle for ax in (forest, apart) for handle in ax.get_legend_handles_labels()[0]]
    key.set_axis_off()
    key.legend(handles=keys, loc="center", ncols=len(keys), frameon=False, columnspacing=1.4, handletextpad=0.3)
    note = (
        f"n = {shared.span(table['K'])} K a fit, least squares. Bars: 95 % bootstrap intervals over subsets, and "
        f"seeds inside them. Grey: laws within {AS_GOOD} of the best describe the points equally well. Held out: "
        "each K in turn, predicted from the others."
    )
    return look.finish(fig, table, "Which law does the error follow?", note, look.banner_for(table))


@look.draws("layer", "labels", *shared.with_ends(*_NAMES), "subsets", "networks")
def statistics_by_labels(table: pd.DataFrame) -> Figure:
    """Clusters, noise, SNR, covered labels and d' against K, a line for each cut of the network."""
    fig = look.canvas(4.9, width=8.6)
    grid = fig.add_gridspec(3, 3, height_ratios=(0.08, 1, 1))
    key = fig.add_subplot(grid[0, :])
    layers = np.unique(table["layer"])
    looks = dict(zip(layers, [*_shades(len(layers) - 1), _BOLD], strict=True))
    for place, (name, title) in enumerate(_NAMES.items()):
        ax = fig.add_subplot(grid[1 + place // 3, place % 3])
        _log_k(ax, table["labels"])
        if name in ("n", "snr"):
            _log_y(ax, table[name])
        for layer, rows in table.sort_values("labels").groupby("layer"):
            value, low, high = (rows[f"{name}{end}"] for end in look.ENDS)
            ax.fill_between(rows["labels"], low, high, color=looks[layer]["color"], alpha=0.15, lw=0)
            if ax.get_yscale() == "log":
                _say_zero(ax, rows["labels"], value, looks[layer]["color"])
                value = value.where(value > 0)
            ax.plot(rows["labels"], value, **looks[layer])
        ax.yaxis.set_major_formatter(shared.PLAIN)
        ax.set_title(title, loc="left")
        if ax.get_yscale() == "linear" and name != "dprime":
            ax.set_ylim(0, None)
        if place >= 3:
            ax.set_xlabel("number of labels, K")
    keys = [Line2D([], [], label=f"{layer}", **looks[layer]) for layer in layers]
    _key(key, CUT, keys, 0.13)
    note = (
        f"n = {shared.span(table['networks'])} networks a point, on {shared.span(table['subsets'])} subsets of "
        "labels; training images. Bands: 95 % bootstrap intervals over subsets, and seeds inside them. Gaps: a "
        "network without cluster (C_s) or without noise (SNR)."
    )
    return look.finish(fig, table, "Clusters and noise against the number of labels", note, look.banner_for(table))


@look.draws("labels", "subset", "seed_of_network", "layer", "accuracy", "snr")
def trends_by_labels(table: pd.DataFrame) -> Figure:
    """Accuracy and SNR by layer, a line for each K, and the trend of both with the layer against K."""
    fig = look.canvas(3.4, width=9.4)
    grid = fig.add_gridspec(2, 3, height_ratios=(0.06, 1))
    key = fig.add_subplot(grid[0, :])
    accuracy, snr, trend = (fig.add_subplot(grid[1, column]) for column in range(3))
    labels = np.unique(table["labels"])
    colours = dict(zip(labels, colormaps["viridis"](np.linspace(0, 0.9, len(labels))), strict=True))
    markers = dict(zip(labels, np.resize(list("ovs^DPX"), len(labels)), strict=True))
    _log_y(snr, table["snr"])
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
    networks = table.drop_duplicates(["labels", "subset", "seed_of_network"]).groupby("labels").size()
    note = (
        f"n = {shared.span(networks)} networks for each K. Lines: their mean; bands: the least to the most of them. "
        "SNR on training images, accuracy on test images. Tau: 1 where the mean rises with every layer; dashed: the "
        "bar of claim C5. Gaps: a network without noise or without value."
    )
    return look.finish(fig, table, "Do the trends hold at every number of labels?", note, look.banner_for(table))


@look.draws(
    *("depth", "width", "filters", "network_seed", *shared.with_ends("n"), "accuracy", "labels", "images", "epochs")
)
def noise_by_width(table: pd.DataFrame) -> Figure:
    """Noise per filter at the last cut against filters per layer, with a power law for each depth; accuracy."""
    fig = look.canvas(3.6, width=8.6)
    noise, accuracy = fig.subplots(1, 2)
    _log_y(noise, table[["n", "n_low", "n_high"]].stack())
    depths = sorted(table["depth"].unique(), reverse=True)
    for depth, marker, colour in zip(depths, "osDPX", _OTHERS, strict=False):
        rows = table[table["depth"] == depth].sort_values(["filters", "network_seed"])
        networks = rows.groupby("filters")["n"]
        at = rows["filters"] * np.exp(0.05 * (networks.cumcount() - (networks.transform("size") - 1) / 2))
        drawn = {"color": colour, "marker": marker, "linestyle": "", "markersize": 5, "markerfacecolor": "white"}
        _bars(noise, at, rows[["n", "n_low", "n_high"]], capsize=2.5, **drawn)
        means = networks.mean()
        label = f"VGG-{depth}"
        if len(means) > 1 and (means > 0).all():
            slope, level = np.polyfit(np.log(means.index), np.log(means), 1)
            noise.plot(means.index, np.exp(level) * means.index**slope, color=colour, linewidth=1.2)
            label += f": n ~ filters^{slope:.2f}".replace("-", "−").replace("VGG−", "VGG-")
        if noise.get_yscale() == "log":
            _say_zero(noise, at, rows["n"], colour)
        noise.plot([], [], label=label, **drawn | {"linestyle": "-"})
        of_filters = 100 * rows.groupby("filters")["accuracy"].mean()
        accuracy.plot(of_filters.index, of_filters, color=colour, linewidth=1.2)
        accuracy.plot(at, 100 * rows["accuracy"], **drawn)
        accuracy.plot([], [], label=f"VGG-{depth}", **drawn | {"linestyle": "-"})
    noise.set_title(_NAMES["n"], loc="left")
    accuracy.set_title("accuracy of the last head, %", loc="left")
    accuracy.set_ylim(0, None)
    for ax in (noise, accuracy):
        _log_k(ax, table["filters"])
        ax.set_xlabel("filters per layer, at the last cut")
        ax.legend(loc="best")
    note = (
        f"n = {len(table)} networks, {shared.span(table['filters'])} filters each; "
        f"{shared.span(table['labels'])} labels, {shared.span(table['images'])} training images per label, "
        f"{shared.span(table['epochs'])} epochs. A point: a network, its bar the 95 % bootstrap interval over "
        "filters. Lines: power law fitted to the means over seeds (left), means over seeds (right)."
    )
    return look.finish(fig, table, "Noise against the number of filters", note, look.banner_for(table))


_SHOWN = {"mean": "mean over subsets", "max": "maximum over subsets"}
_OTHERS = (look.ORANGE, look.GREEN, look.VERMILION, look.PURPLE, look.BROWN, look.PINK)
_BOLD = {"color": look.BLUE, "marker": "o", "linewidth": 2.8, "markersize": 5.5, "zorder": 3}


def _shades(number: int) -> list[dict]:
    """Looks of earlier cuts: one colour, the darker the later; markers tell neighbours apart."""
    colours = colormaps["Blues"](np.linspace(0.38, 0.72, number))
    return [
        {"color": tuple(colour), "marker": marker, "linewidth": 1.2, "markersize": 4}
        for colour, marker in zip(colours, np.resize(list("v^<>"), number), strict=True)
    ]


def _looks(names: list[str]) -> dict[str, dict]:
    """Colour, marker and line of every series: the first one bold, its early cuts in shades of its colour."""
    cuts = [name for name in names if CUT in name]
    others = [name for name in names[1:] if name not in cuts]
    looks = {names[0]: _BOLD} | dict(zip(cuts, _shades(len(cuts)), strict=True))
    for place, name in enumerate(others):
        colour, line = _OTHERS[place % len(_OTHERS)], ("--", ":", "-.")[place % 3]
        looks[name] = {"color": colour, "marker": "sDPX*h"[place % 6], "linestyle": line, "markersize": 4.5}
    return looks


def _with_laws(ax: Axes, rows: pd.DataFrame) -> None:
    """Mean and maximum over subsets at each K, and the laws that fit the maximum best."""
    for shows, colour, face in (("max", look.INK, "white"), ("mean", look.BLUE, look.BLUE)):
        of = rows[rows["shows"] == shows]
        drawn = {"color": colour, "marker": "o", "linestyle": "", "markerfacecolor": face, "markersize": 5.5}
        ends = of[["error", "low", "high"]]
        _bars(ax, of["labels"], ends, 100, capsize=3, label=_SHOWN[shows], zorder=3, **drawn)
    largest = rows[(rows["shows"] == "max") & rows["error"].notna()].sort_values("labels")
    labels, errors = largest["labels"].to_numpy(), largest["error"].to_numpy()
    if len(np.unique(labels)) >= laws.FEWEST_LABELS:
        along = np.geomspace(labels.min(), labels.max(), 200)
        for law, (name, colour, _, line) in LAWS.items():
            found = laws.fit(law, labels, errors)
            label = f"{name}, K^{found.exponent:.2f}".replace("-", "−") if law == "power" else name
            ax.plot(along, 100 * laws.curve(found, along), line, color=colour, linewidth=1.1, label=label, zorder=2)
    else:
        few = f"no laws: fewer than {laws.FEWEST_LABELS} K"
        ax.text(0.98, 0.03, few, ha="right", transform=ax.transAxes, fontsize=7.5, color=look.FAINT)
    finite = 100 * rows[["error", "high"]].to_numpy(float)
    ax.set_ylim(0, 1.1 * max(finite[np.isfinite(finite)], default=0) or 1)
    ax.set_xlim(0, 1.05 * rows["labels"].max())
    ax.xaxis.set_major_formatter(shared.PLAIN)
    ax.legend(loc="best", fontsize=7.5)


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
    _log_k(ax, table["labels"])
    ax.set_title("trend: tau of layer and quantity", loc="left")
    ax.set_xlabel("number of labels, K")
    ax.legend(loc="lower right")


def _bars(ax: Axes, at: pd.Series, ends: pd.DataFrame, scale: float = 1, **drawn: object) -> None:
    """Values with their intervals; a bar that would leave a log axis ends where the axis does."""
    values, low, high = scale * ends.to_numpy(float).T
    bars = np.nan_to_num([values - low, high - values], posinf=0, neginf=0).clip(0)
    if ax.get_yscale() == "log":
        bars[0] = np.minimum(bars[0], np.maximum(values - ax.get_ylim()[0], 0))
        values = np.where(values > 0, values, np.nan)
    ax.errorbar(at, values, bars, elinewidth=0.9, **drawn)


def _say_zero(ax: Axes, at: pd.Series, values: pd.Series, colour: object) -> None:
    """Marks at the lower end of a log axis where a value is zero."""
    zero = (values == 0).to_numpy()
    if zero.any():
        drawn = {"color": colour, "clip_on": False, "transform": ax.get_xaxis_transform()}
        ax.plot(at[zero], np.full(zero.sum(), 0.02), "v", markersize=6, **drawn)
        ax.text(0.98, 0.03, "▼ zero", ha="right", transform=ax.transAxes, fontsize=7.5)


def _log_y(ax: Axes, values: pd.Series) -> None:
    """A log axis that holds the values above zero, if there are any."""
    shown = values[np.isfinite(values) & (values > 0)]
    if shown.empty:
        return
    ax.set_yscale("log")
    ax.set_ylim(shown.min() / 1.6, shown.max() * 1.6)
    _plain_log(ax.yaxis)


def _plain_log(axis) -> None:
    low, high = axis.get_view_interval()
    subs = (1, 2, 5) if high < 50 * low else (1, 3) if high < 1000 * low else (1,)
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(shared.PLAIN)
    axis.set_minor_locator(NullLocator())


def _log_k(ax: Axes, sizes: pd.Series) -> None:
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
    ax.xaxis.set_major_formatter(shared.PLAIN)
    ax.xaxis.set_minor_locator(NullLocator())


def _key(ax: Axes, name: str, keys: list[Line2D], right: float) -> None:
    """What the lines of all panels are, in a row above them."""
    ax.set_axis_off()
    ax.text(0, 0.5, name, va="center", fontsize=8, transform=ax.transAxes)
    ax.legend(handles=keys, loc="center left", bbox_to_anchor=(right, 0.5), ncols=len(keys), frameon=False)
