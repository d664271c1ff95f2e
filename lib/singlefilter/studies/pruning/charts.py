"""Figures of pruning, each from a table of `pruning.summaries`: masked heads and convolutions, and where to cut.

Accuracies and kept fractions stand in the tables as fractions and are drawn in percent.  The networks that are
really smaller: `pareto_charts`.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator
from matplotlib.transforms import offset_copy

from singlefilter import drawing as look
from singlefilter.studies.controls import charts as shared
from singlefilter.studies.growth import charts as growth
from singlefilter.studies.pruning import head_study as study
from singlefilter.studies.pruning.answers import AFTER, BEFORE

LOOKS = {  # of methods, in the order of reading
    study.AFCC: {**growth.BOLD, "label": "AFCC", "linewidth": 2.2},
    study.LEAK: {"label": "AFCC of test images", "color": look.CYAN, "marker": "D", "linestyle": "--"},
    study.MAGNITUDE: {"label": "magnitude", "color": look.ORANGE, "marker": "s"},
    study.RANDOM_AFCC: {"label": "random AFCC", "color": look.PURPLE, "marker": "^", "linestyle": "-."},
    study.RANDOM: {"label": "random", "color": look.VERMILION, "marker": "v", "linestyle": ":"},
    study.DENSE: {"label": "dense", "color": look.INK, "linewidth": 1.2},
}
_ENDS = ["accuracy", "low", "high"]
_COMPARED = ("kept_fraction", *_ENDS, *shared.with_ends("ahead", "difference"), "seeds", "images")
_ORDER = ("width", "layer", "kept_fraction")  # along a line
_GAINS = "AFCC minus others, points"


@look.draws("layer", "moment", "method", "threshold", "used", *_COMPARED)
def masked_heads(table: pd.DataFrame) -> Figure:
    """Accuracy of masked heads, after and before retraining, and what is kept: by cut; at the last, by threshold."""
    fig = look.canvas(4.6)
    grid = fig.add_gridspec(3, 6, height_ratios=(0.22, 1, 1))
    _key(fig.add_subplot(grid[0, :]), table["method"])
    before, after, kept = (fig.add_subplot(grid[1, 2 * k : 2 * k + 2]) for k in range(3))
    ahead, gains = (fig.add_subplot(grid[2, 3 * k : 3 * k + 3]) for k in range(2))
    main = table[table["used"] > 0]
    retrained = main[main["moment"] == AFTER]
    for ax, rows, title in (
        (before, main[main["moment"] == BEFORE], "masked: accuracy, %"),
        (after, retrained, "retrained: accuracy, %"),
    ):
        for method, of_method in _by_method(rows):
            of_method = of_method.rename(columns={"low": "accuracy_low", "high": "accuracy_high"})
            colour, drawn = _colour_and_line(method)
            shared.curve(ax, of_method, "accuracy", colour, 100, **drawn)
        shared.panel(ax, table, title)
        ax.set_ylim(0, None)
    _kept(kept, retrained, "layer")
    shared.panel(kept, table, "connections kept, %")
    _gains(ahead, retrained, retrained["layer"])
    shared.panel(ahead, table, f"retrained: {_GAINS}")
    last = table[(table["layer"] == table["layer"].max()) & (table["moment"] == AFTER)]
    _log_of_kept(gains, last, "threshold", "> ")
    gains.set_title(f"layer {last['layer'].iloc[0]}: {_GAINS}", loc="left")
    gains.set_xlabel("connections kept, %, and threshold")
    _gains(gains, last, 100 * last["kept_fraction"])
    for ax in (after, before, ahead, kept):
        ax.set_xlabel("cut after layer")
    return fig


@look.draws("width", "layer", "filters", "moment", "method", *_COMPARED)
def masked_heads_by_width(table: pd.DataFrame) -> Figure:
    """Masked heads at the last cut against the width d: accuracy after retraining, what that costs, what is kept."""
    fig = look.canvas(2.5)
    grid = fig.add_gridspec(2, 3, height_ratios=(0.12, 1))
    _key(fig.add_subplot(grid[0, :]), table["method"])
    accuracy, ahead, kept = (fig.add_subplot(grid[1, column]) for column in range(3))
    retrained = table[table["moment"] == AFTER]
    _kept(kept, retrained, "width")
    for ax in (accuracy, ahead, kept):
        growth.log_k(ax, table["width"])
        ax.set_xlabel("width d of the network")
    for place, (method, rows) in enumerate(_by_method(retrained)):
        growth.bars(accuracy, rows["width"], rows[_ENDS], 100, **_with_bars(method), **_aside(accuracy, place - 2.5))
    _gains(ahead, retrained, retrained["width"])
    ahead.set_title(_GAINS, loc="left")
    accuracy.set_title("accuracy after retraining, %", loc="left")
    accuracy.set_ylim(0, 108 * np.nanmax(retrained[["accuracy", "high"]]))
    kept.set_title("connections kept, %", loc="left")
    return fig


@look.draws("first_layer", "last_layer", "pairs", "moment", "method", "overlap", *_COMPARED)
def masked_convolutions(table: pd.DataFrame) -> Figure:
    """A column for each chain of layers: accuracy against the kernels that are kept, and minus the dense network."""
    chains = table[["first_layer", "last_layer", "pairs"]].drop_duplicates().sort_values("pairs")
    fig = look.canvas(4.5)
    key, axes = look.key_above(fig, 2, len(chains))
    _key(key, table["method"])
    for chain, above, below in zip(chains.itertuples(), *axes, strict=True):
        rows = table[table["first_layer"] == chain.first_layer]
        retrained, masked = (rows[rows["moment"] == moment] for moment in (AFTER, BEFORE))
        _against_kept(above, pd.concat([masked[masked["method"] != study.DENSE], _dense(retrained)]))
        for ax in (above, below):
            _log_of_kept(ax, retrained, "overlap", "share ")
        _gains(below, retrained, 100 * retrained["kept_fraction"])
        pairs = "1 pair" if chain.pairs == 1 else f"{chain.pairs} pairs"
        above.set_title(f"layers {chain.first_layer} to {chain.last_layer}, {pairs}", loc="left")
        below.set_title("", loc="left")
        below.set_xlabel("kernels kept, %")
    for row, title in zip(axes, ("masked: accuracy, %", f"retrained: {_GAINS}"), strict=True):
        bottom, top = np.array([ax.get_ylim() for ax in row]).T
        for ax in row:  # one scale for all chains
            ax.set_ylim(0 if ax in axes[0] else bottom.min(), top.max())
            ax.tick_params(labelleft=ax is row[0])
        row[0].set_ylabel(title)
    return fig


def _dense(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["method"] == study.DENSE]


@look.draws(
    *("layer", *_ENDS, *shared.with_ends("retrained"), "parameters_part", "multiply_adds_part"),
    *("levels_off", "within", "seeds", "images"),
)
def truncation(table: pd.DataFrame) -> Figure:
    """Accuracy of the network that ends at each cut, as trained and retrained, and the cost that is left of it."""
    fig = look.canvas(3.1)
    above, below = fig.subplots(1, 2)
    rows = table.sort_values("layer").rename(columns={"low": "accuracy_low", "high": "accuracy_high"})
    shared.curve(above, rows, "accuracy", look.BLUE, 100, marker="o", label="head on the layers as trained")
    again = rows[rows["retrained"].notna()]
    if len(again):
        drawn = {"color": look.ORANGE, "marker": "s", "linestyle": "", "capsize": 3, "zorder": 3}
        ends = again[shared.with_ends("retrained")]
        growth.bars(above, again["layer"], ends, 100, label="all weights retrained", **drawn)
    seeds = int(rows["seeds"].max())
    there = rows[rows["levels_off"] > 0]
    for row in there.itertuples():
        for ax in (above, below):
            ax.axvline(row.layer, color=look.GREEN, linewidth=7, alpha=0.35 * row.levels_off / row.seeds, zorder=0)
        share = f"{row.levels_off:.0f} of {row.seeds:.0f}"
        at = {"xy": (row.layer, 0), "xytext": (-6, 4), "xycoords": above.get_xaxis_transform()}
        above.annotate(share, **at, textcoords="offset points", ha="right", fontsize=look.SMALLEST)
    levels = f"accuracy levels off, at so many of {seeds} seeds"
    above.plot([], [], color=look.GREEN, linewidth=7, alpha=0.35, label=levels)
    for name, label, colour, marker, line in (
        ("multiply_adds_part", "multiply-adds", look.PURPLE, "^", "-"),
        ("parameters_part", "parameters, head included", look.BROWN, "v", "--"),
    ):
        below.plot(rows["layer"], 100 * rows[name], line, color=colour, marker=marker, label=label)
    below.axhline(100, color=look.FAINT, linestyle=":", linewidth=1, label="the network that ends at the last cut")
    shared.panel(above, table, "accuracy on test images, %")
    shared.panel(below, table, "cost, % of the last cut's")
    shared.axis_of(below, 100 * table, ["parameters_part", "multiply_adds_part"])
    above.set_ylim(0, None)
    for ax in (above, below):
        ax.set_xlabel("layer after which the network ends")
        look.key_below(ax)
    return fig


def _gains(ax: Axes, retrained: pd.DataFrame, at: pd.Series) -> None:
    """What AFCC is ahead of each other method, paired."""
    afcc = retrained[retrained["method"] == study.AFCC].sort_values([name for name in _ORDER if name in retrained])
    shown = [0.0]
    for place, (method, rows) in enumerate(_by_method(retrained)):
        if method == study.AFCC:
            continue
        # Dense has no threshold or overlap, so what AFCC is ahead of it stands in AFCC's own rows.
        rows, name = (afcc, "difference") if method == study.DENSE else (rows, "ahead")
        ends = rows[shared.with_ends(name)]
        drawn = _with_bars(method) | _aside(ax, place - 2)
        growth.bars(ax, at[rows.index], ends, 100, **{"marker": "o", "markersize": 3.5, **drawn})
        finite = 100 * ends.to_numpy(float)
        shown += list(finite[np.isfinite(finite)])
    room = 0.08 * np.ptp(shown) or 1.0
    ax.set_ylim(min(shown) - room, max(shown) + room)
    ax.yaxis.set_major_formatter(look.PLAIN)
    ax.axhline(0, color=look.FAINT, linestyle=":", linewidth=1)


def _against_kept(ax: Axes, rows: pd.DataFrame) -> None:
    """Accuracy against what is kept, a line for each method, dense as a band."""
    for method, of_method in _by_method(rows):
        if method == study.DENSE:
            value, low, high = 100 * of_method[_ENDS].iloc[0]
            ax.axhspan(low, high, color=look.INK, alpha=0.13, lw=0)
            ax.axhline(value, color=look.INK, linewidth=1.2)
        else:
            growth.bars(ax, 100 * of_method["kept_fraction"], of_method[_ENDS], 100, **_with_bars(method))
    ax.yaxis.set_major_formatter(look.PLAIN)


def _log_of_kept(ax: Axes, rows: pd.DataFrame, knob: str, sign: str) -> None:
    """A log axis of what is kept; ticks, with the value of the knob, at what AFCC keeps, where they have room."""
    ax.set_xscale("log")
    ax.xaxis.set_minor_locator(NullLocator())
    masked = rows[rows["method"] != study.DENSE]
    if masked.empty:
        ax.xaxis.set_major_locator(NullLocator())
        return
    every = np.log(100 * masked["kept_fraction"])
    room = 0.08 * np.ptp(every) or 0.3
    ax.set_xlim(np.exp(every.min() - room), np.exp(every.max() + room))
    ticks: dict[float, str] = {}
    for row in masked[masked["method"] == study.AFCC].sort_values("kept_fraction").itertuples():
        kept = 100 * row.kept_fraction
        if not ticks or np.log(kept) - np.log(max(ticks)) > 1.5 * room:
            ticks[kept] = f"{kept:.2g}\n{sign}{getattr(row, knob):g}"
    ax.set_xticks(list(ticks), list(ticks.values()))


def _kept(ax: Axes, retrained: pd.DataFrame, at: str) -> None:
    masked = retrained[retrained["method"].isin((study.AFCC, study.LEAK))]
    growth.log_y(ax, 100 * masked["kept_fraction"])
    for method, rows in _by_method(masked):
        ax.plot(rows[at], 100 * rows["kept_fraction"], **LOOKS[method])


def _by_method(rows: pd.DataFrame) -> Iterable[tuple[str, pd.DataFrame]]:
    """Rows of each method that is there, in the order of lines; the most important method last, on top."""
    for method in reversed(LOOKS):
        of_method = rows[rows["method"] == method]
        if len(of_method):
            yield method, of_method.sort_values([name for name in _ORDER if name in rows])


def _aside(ax: Axes, steps: float) -> dict:
    """Where to draw what would cover others at the same place; limits of axes take no notice of it."""
    return {"transform": offset_copy(ax.transData, ax.figure, 1.8 * steps, 0, units="points")}


def _colour_and_line(method: str) -> tuple[object, dict]:
    drawn = dict(LOOKS[method])
    return drawn.pop("color"), drawn


def _with_bars(method: str) -> dict:
    return LOOKS[method] | {"capsize": 2.5}


def _keys(methods: pd.Series) -> list[Line2D]:
    return [Line2D([], [], **{"markersize": 4.5, **LOOKS[method]}) for method in LOOKS if (methods == method).any()]


def _key(ax: Axes, methods: pd.Series, more: Sequence[Line2D] = ()) -> None:
    """What the lines of all panels are, in a row above them."""
    keys = [*_keys(methods), *more]
    ax.set_axis_off()
    ax.legend(handles=keys, loc="center left", ncols=min(6, len(keys)), frameon=False, borderpad=0, columnspacing=1.2)
