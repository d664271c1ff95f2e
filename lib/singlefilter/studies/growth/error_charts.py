"""Figures of how the error grows with the number of labels K, each from the table of the same name.

Errors stand in the tables as fractions and are drawn in percent.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from singlefilter import drawing as look
from singlefilter.studies.growth import charts as growth
from singlefilter.studies.growth import laws

LAWS = {  # label, colour, marker, line
    "linear": ("linear", look.GREEN, "^", "--"),
    "power": ("power law", look.ORANGE, "o", "-"),
    "logarithm": ("logarithm", look.PURPLE, "s", ":"),
}
AS_GOOD = 2  # in AICc: laws less than this apart describe the points equally well
_EXPONENTS = {  # of which law, label, colour, marker, aside
    "power": ("exponent of the power law", look.ORANGE, "o", -0.17),
    laws.FAMILY: ("exponent of a family with both other laws", look.INK, "D", 0.17),
}
_SEARCHED = (-2.1, 3.1)  # exponents are found from -2 to 3
_POINTS = {"mean": "mean over subsets", "max": "maximum over subsets"}
_SHOWN = {"mean": "", "max": " (maximum over subsets)"}  # of labels


@look.draws("series", "shows", "labels", "error", "low", "high", "subsets", "networks", "images", "epochs")
def error_by_labels(table: pd.DataFrame) -> Figure:
    """Error against K: mean and maximum over subsets of the first series with laws; the means of all series."""
    fig = look.canvas(3.9)
    left, right = fig.subplots(1, 2)
    names = list(table["series"].unique())
    first = table[table["series"] == names[0]]
    _with_laws(left, first)
    left.set_title(f"{look.fit(names[0], 1.9, 9, 1)}: error, %", loc="left")
    means = table[table["shows"] == "mean"]
    growth.log_y(right, 100 * means["error"])
    looks = _looks(names)
    for name, rows in means.groupby("series", sort=False):
        rows = rows.sort_values("labels")
        growth.bars(right, rows["labels"], rows[["error", "low", "high"]], 100, label=name, **looks[name])
        if right.get_yscale() == "log":
            growth.say_zero(right, rows["labels"], rows["error"], looks[name]["color"])
    growth.log_k(right, table["labels"])
    right.set_title("all series: mean error, %", loc="left")
    for ax in (left, right):
        ax.set_xlabel("number of labels, K")
    look.key_below(left)
    keys = [Line2D([], [], label=look.fit(name, 3.0, 7.5, 2), **looks[name]) for name in names]
    look.key_below(right, handles=keys)
    return fig


@look.draws(
    *("series", "shows", "law", "a", "b", "exponent", "exponent_low", "exponent_high", "aicc", "delta", "held_out"),
    "K",
)
def laws_of_error(table: pd.DataFrame) -> Figure:
    """Exponents of the laws fitted to every series; how far each law is from the best; error at K left out."""
    rows = table[["series", "shows"]].drop_duplicates().reset_index(drop=True).reset_index(names="place")
    table = table.merge(rows, on=["series", "shows"])
    fig = look.canvas(1.0 + 0.33 * len(rows))
    grid = fig.add_gridspec(2, 1, height_ratios=(0.33 * len(rows) + 0.4, 0.42))
    apart, held_out, forest = grid[0].subgridspec(1, 3, width_ratios=(1, 1, 1.25)).subplots(sharey=True)
    key = fig.add_subplot(grid[1])
    for law, (label, colour, marker, _) in LAWS.items():
        of = table[table["law"] == law]
        drawn = {"color": colour, "marker": marker, "linestyle": "", "markersize": 6, "markerfacecolor": "none"}
        apart.plot(of["delta"], of["place"], label=label, **drawn)
        held_out.plot(100 * of["held_out"], of["place"], **drawn)
    apart.axvspan(0, AS_GOOD, color="0.9", zorder=0, label="as good as the best law")
    apart.set_xlim(-0.04 * (widest := max(table["delta"].max(), 2 * AS_GOOD)), 1.06 * widest)
    apart.set_title("misfit", loc="left")
    apart.set_xlabel("AICc above the best law")
    held_out.set_title("error of prediction", loc="left")
    held_out.set(xlabel="at K left out, points", xlim=(0, None))
    of_laws = 100 * table["held_out"]
    if of_laws.max() > 10 * of_laws[of_laws > 0].min():
        held_out.set_xscale("log")
        held_out.set_xlim(of_laws[of_laws > 0].min() / 1.5, of_laws.max() * 1.5)
        growth.plain_log(held_out.xaxis)
    for law, (label, colour, marker, aside) in _EXPONENTS.items():
        of = table[table["law"] == law]
        values, low, high = (of[f"exponent{end}"].to_numpy(float) for end in look.ENDS)
        ends = np.nan_to_num([values - low, high - values]).clip(0)
        drawn = {"color": colour, "marker": marker, "linestyle": "", "capsize": 2.5, "markersize": 5}
        forest.errorbar(values, of["place"] + aside, xerr=ends, label=label, **drawn)
    for exponent in (0, 1):
        forest.axvline(exponent, color=look.FAINT, linestyle="--", linewidth=1, zorder=0)
    shown = table[["exponent", "exponent_low", "exponent_high"]].to_numpy(float)
    shown = [*shown[np.isfinite(shown)], -0.2, 1.2]
    forest.set_xlim(max(min(shown) - 0.1, _SEARCHED[0]), min(max(shown) + 0.1, _SEARCHED[1]))
    forest.xaxis.set_major_formatter(look.PLAIN)
    forest.set_title("exponent of K", loc="left")
    forest.set_xlabel("0: logarithm, 1: linear")
    names = [look.fit(f"{row.series}{_SHOWN[row.shows]}", 1.5, look.SMALLEST) for row in rows.itertuples()]
    apart.set(yticks=rows["place"], ylim=(len(rows) - 0.5, -0.5))
    apart.set_yticklabels(names, fontsize=look.SMALLEST, linespacing=1.05)
    for ax in (apart, held_out, forest):
        ax.grid(axis="y", visible=False)
        for place in rows["place"][1:]:
            ax.axhline(place - 0.5, color="0.9", linewidth=0.8, zorder=0)
    keys = [handle for ax in (apart, forest) for handle in ax.get_legend_handles_labels()[0]]
    key.set_axis_off()
    key.legend(handles=keys, loc="center", ncols=3, frameon=False, columnspacing=1.4, handletextpad=0.4)
    return fig


def _looks(names: list[str]) -> dict[str, dict]:
    """Colour, marker and line of every series: the first one bold, its early cuts in shades of its colour."""
    cuts = [name for name in names if growth.CUT in name]
    others = [name for name in names[1:] if name not in cuts]
    looks = {names[0]: growth.BOLD} | dict(zip(cuts, growth.shades(len(cuts)), strict=True))
    for place, name in enumerate(others):
        colour, line = growth.OTHERS[place % len(growth.OTHERS)], ("--", ":", "-.")[place % 3]
        looks[name] = {"color": colour, "marker": "sDPX*h"[place % 6], "linestyle": line, "markersize": 4.5}
    return looks


def _with_laws(ax: Axes, rows: pd.DataFrame) -> None:
    """Mean and maximum over subsets at each K, and the laws that fit the maximum best."""
    for shows, colour, face in (("max", look.INK, "white"), ("mean", look.BLUE, look.BLUE)):
        of = rows[rows["shows"] == shows]
        style = {"color": colour, "marker": "o", "linestyle": "", "markerfacecolor": face, "markersize": 5.5}
        ends = of[["error", "low", "high"]]
        growth.bars(ax, of["labels"], ends, 100, capsize=3, label=_POINTS[shows], zorder=3, **style)
    drawn = []
    largest = rows[(rows["shows"] == "max") & rows["error"].notna()].sort_values("labels")
    labels, errors = largest["labels"].to_numpy(), largest["error"].to_numpy()
    if len(np.unique(labels)) >= laws.FEWEST_LABELS:
        along = np.geomspace(labels.min(), labels.max(), 200)
        for law, (name, colour, _, line) in LAWS.items():
            found = laws.fit(law, labels, errors)
            label = f"{name}, exponent {look.tidy(f'{found.exponent:.2f}')}" if law == "power" else name
            drawn.append(100 * laws.curve(found, along))
            ax.plot(along, drawn[-1], line, color=colour, linewidth=1.1, label=label, zorder=2)
    else:
        few = f"no laws: fewer than {laws.FEWEST_LABELS} K"
        ax.text(0.98, 0.03, few, ha="right", transform=ax.transAxes, fontsize=look.SMALLEST, color=look.FAINT)
    finite = 100 * rows[["error", "high"]].to_numpy(float)
    every = np.concatenate([finite[np.isfinite(finite)], *drawn])  # a law may run above or below all points
    ax.set_ylim(min([0, *every]), 1.06 * max([*every, 0]) or 1)
    growth.log_k(ax, rows["labels"])
