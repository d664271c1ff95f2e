"""Figures of speed and memory on one machine, from the tables that the benchmarks write."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator

from singlefilter import drawing as look

_COLOURS = {"naive": look.BLUE, "peer": look.ORANGE}
_KINDS = {"naive": "the naive way", "peer": "another library", "": "ours in another setting"}
_ROW = 0.32  # inches of a bar
_MEASURED = ("seconds", "peak_mb", "ratio", "target_ratio", "target_seconds", "target_mb", "met", "threads")


@look.draws("benchmark", "case", "way", *_MEASURED, "machine")
def benchmarks(table: pd.DataFrame) -> Figure:
    """How many times our time another way takes, and how much of what is allowed absolute figures take.

    A black stroke is the figure to reach: a ratio should end to the right of it, a part of what is allowed to the
    left.
    """
    ratios = table[(table["way"] != "ours") & table["ratio"].notna()]
    parts = pd.concat([_part(table, "seconds", "target_seconds", "s"), _part(table, "peak_mb", "target_mb", "MB")])
    panels = [rows for rows in (ratios, parts) if len(rows)]
    fig = look.canvas(sum(_ROW * len(rows) + 0.95 for rows in panels))
    fig.get_layout_engine().set(w_pad=0.12)  # labels are wider at 200 dpi than where the layout is computed
    axes = np.atleast_1d(fig.subplots(len(panels), 1, height_ratios=[len(rows) + 1.5 for rows in panels]))
    for ax, rows in zip(axes, panels, strict=True):
        if rows is ratios:
            labels = rows["case"] + ", " + rows["way"] + np.where(rows["extrapolated"] > 0, " (scaled)", "")
            colours = [_COLOURS.get(way, look.GREY) for way in rows["way"]]
            names = rows["benchmark"] + ": " + labels
            _bars(ax, names, rows["ratio"], rows["target_ratio"], colours, " times", rows["met"] == 0)
            ax.set(xscale="log", xlabel="their seconds over ours")
            ax.set_title("time of other ways", loc="left")
            ax.axvline(1, color=look.FAINT, linewidth=1)
            look.key_below(ax, 2, handles=_keys(rows))
        else:
            one = pd.Series(1.0, rows.index)
            _bars(ax, rows["text"], rows["part"], one, [look.GREEN] * len(rows), " of it", rows["met"] == 0)
            ax.set(xlabel="part of what is allowed", xlim=(0, 1.4 * max(1, rows["part"].max())))
            ax.set_title("time and memory of ours", loc="left")
        ax.xaxis.set_major_formatter(look.PLAIN)
    return fig


@look.draws(
    "task", "over", "size", "seconds", "peak_mb", "exponent_seconds", "exponent_peak_mb", "machine", "threads"
)
def scaling(table: pd.DataFrame) -> Figure:
    """Time and peak memory against images, filters and labels, with the exponent of a power law for each curve."""
    fig = look.canvas(4.6)
    overs = list(dict.fromkeys(table["over"]))
    axes = fig.subplots(2, len(overs), sharex="col", squeeze=False)
    drawn = {"measure": (look.BLUE, "o", "-"), "clusters": (look.ORANGE, "s", "--")}
    names = {"seconds": "seconds", "peak_mb": "peak memory, MB"}
    for (quantity, name), row in zip(names.items(), axes, strict=True):
        for ax, over in zip(row, overs, strict=True):
            for task, rows in table[table["over"] == over].groupby("task", sort=False):
                colour, marker, line = drawn.get(task, (look.GREY, "^", ":"))
                label = f"{task}: exponent {rows[f'exponent_{quantity}'].iloc[0]:.2f}"
                rows = rows[rows[quantity] > 0].sort_values("size")
                ax.plot(rows["size"], rows[quantity], color=colour, marker=marker, linestyle=line, label=label)
            # Tiny cases may fit into memory that is held already: nothing above zero is left for a log axis then.
            measured = (table.loc[table["over"] == over, quantity] > 0).any()
            ax.set(xscale="log", yscale="log" if measured else "linear")
            ax.legend(loc="best", fontsize=look.SMALLEST)
            ax.set_xticks(_apart(sorted(table.loc[table["over"] == over, "size"].unique())), minor=False)
            ax.minorticks_off()
            if measured:
                ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            for axis in (ax.xaxis, ax.yaxis):
                axis.set_major_formatter(look.PLAIN)
            ax.tick_params(axis="x", labelrotation=45)
        row[0].set_ylabel(name)
        for ax, over in zip(row, overs, strict=True):
            ax.set_title(f"over {over}", loc="left")
    for ax, over in zip(axes[1], overs, strict=True):
        ax.set_xlabel(over)
    return fig


def _apart(sizes: list[float]) -> list[float]:
    """Sizes far enough from the one before for their ticks to stand side by side on a logarithmic axis."""
    kept: list[float] = []
    for size in sizes:
        if not kept or size > 1.5 * kept[-1]:
            kept.append(size)
    return kept


def _part(table: pd.DataFrame, quantity: str, target: str, unit: str) -> pd.DataFrame:
    """Rows with an absolute bound: the part of it that was needed, and both in words."""
    rows = table[table[target].notna()]
    text = [
        f"{row.benchmark}: {row.case}, {_number(value)} of {_number(bound)} {unit}"
        for row, value, bound in zip(rows.itertuples(), rows[quantity], rows[target], strict=True)
    ]
    return pd.DataFrame({"text": text, "part": rows[quantity] / rows[target], "met": rows["met"]})


def _keys(rows: pd.DataFrame) -> list:
    there = dict.fromkeys(way if way in _COLOURS else "" for way in rows["way"])
    keys = [Patch(color=_COLOURS.get(way, look.GREY), label=_KINDS[way]) for way in _KINDS if way in there]
    return [*keys, Line2D([], [], color="black", linewidth=2, label="figure to reach")]


def _bars(
    ax: Axes, labels: pd.Series, values: pd.Series, targets: pd.Series, colours: list, unit: str, missed: pd.Series
) -> None:
    """Horizontal bars from the top down, each with its value, and a stroke where the target is; misses say so."""
    places = np.arange(len(values))
    ax.barh(places, values, color=colours, height=0.7)
    for place, value, target, short in zip(places, values, targets, missed, strict=True):
        beside = max(value, target) if target < 2 * value else value  # not on top of the stroke
        words, colour = (", missed", look.VERMILION) if short else ("", look.INK)
        ax.annotate(f"  {_number(value)}{unit}{words}", (beside, place), va="center", fontsize=7.5, color=colour)
        if not np.isnan(target):
            ax.plot([target, target], [place - 0.45, place + 0.45], color="black", linewidth=2)
    ax.set_yticks(places, [look.fit(label, 2.3, 7.5, 2) for label in labels])
    ax.invert_yaxis()
    ax.margins(x=0.4)
    ax.grid(False, axis="y")


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
