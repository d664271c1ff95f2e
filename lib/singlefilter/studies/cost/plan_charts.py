"""The figure of what all of ImageNet would cost: hours of every resource, stage by stage."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from singlefilter import drawing as look

_RESOURCES = {
    "arithmetic": ("GPU: arithmetic", look.BLUE, "o"),
    "memory": ("GPU: memory", look.PURPLE, "s"),
    "links": ("between GPUs", look.GREEN, "^"),
    "decoding": ("decoding", look.VERMILION, "D"),
    "disk": ("disk", look.GREY, "v"),
}
_HOURS = tuple(f"{name}_seconds" for name in _RESOURCES)
_MEASURED = ("pillow_per_second", "load", "assumed_peak_fraction", "assumed_memory_fraction", "assumed_disk")
_FROM = 0.003  # hours: what takes less is not drawn


@look.draws(
    *("gpus", "way", "stage", "passes", *_HOURS, "seconds", "bottleneck", "gpu_hours", "cores_to_keep_up"),
    *("assumed_gpu", "assumed_cores", *_MEASURED, "machine"),
)
def imagenet_plan(table: pd.DataFrame) -> Figure:
    """Hours that each resource would be busy in each stage; the rightmost mark of a row is its bottleneck."""
    keys = list(dict.fromkeys(zip(table["gpus"], table["way"], strict=True)))
    stages = list(dict.fromkeys(table["stage"]))
    columns = list(dict.fromkeys(way for _, way in keys))
    numbers = list(dict.fromkeys(gpus for gpus, _ in keys))
    fig = look.canvas(0.42 * len(stages) * len(numbers) + 1.6)
    grid = fig.add_gridspec(len(numbers) + 1, len(columns), height_ratios=(0.08, *[1] * len(numbers)))
    key, first_panel = fig.add_subplot(grid[0, :]), None
    for gpus, way in keys:
        place = (numbers.index(gpus) + 1, columns.index(way))
        ax = fig.add_subplot(grid[place], sharex=first_panel, sharey=first_panel)
        first_panel = first_panel or ax
        _panel(ax, table[(table["gpus"] == gpus) & (table["way"] == way)], stages)
        if place[0] == len(numbers):
            ax.set_xlabel("hours")
    first_panel.set_xscale("log")
    first_panel.set(xlim=(_FROM, 6 * table["seconds"].max() / 3600), ylim=(len(stages) - 0.5, -0.6))
    first_panel.set_yticks(range(len(stages)), stages)
    first_panel.xaxis.set_minor_locator(NullLocator())
    first_panel.xaxis.set_major_formatter(look.PLAIN)
    key.set_axis_off()
    handles = [
        Line2D([], [], color=colour, marker=marker, linestyle="none", label=label)
        for label, colour, marker in _RESOURCES.values()
    ]
    key.legend(handles=handles, loc="center left", ncols=len(handles), frameon=False, borderpad=0)
    return fig


def _panel(ax: Axes, rows: pd.DataFrame, stages: list[str]) -> None:
    """One number of GPUs and one way to the images: a line a stage, as long as its slowest resource."""
    gpus, way = rows[["gpus", "way"]].iloc[0]
    for row in rows.itertuples():
        place, hours = stages.index(row.stage), row.seconds / 3600
        ax.plot([_FROM, hours], [place, place], color="0.8", linewidth=3, zorder=1)
        ax.annotate(f"   {_duration(row.seconds)}", (hours, place), fontsize=7.5, va="center")
    places = np.array([stages.index(stage) for stage in rows["stage"]])
    for name, (_, colour, marker) in _RESOURCES.items():
        hours = rows[f"{name}_seconds"].to_numpy() / 3600
        shown = hours >= _FROM
        ax.plot(hours[shown], places[shown], color=colour, marker=marker, linestyle="none", zorder=2, label=name)
    hours = f"{rows['gpu_hours'].sum():,.0f} GPU-hours"
    ax.set_title(f"{gpus} GPU{'s' if gpus > 1 else ''}, {hours}: images\n{way}", loc="left")


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:,.1f} h"
