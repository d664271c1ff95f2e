"""The figure of networks that are really smaller, from `pruning.study.pareto`: accuracy against what they cost."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import Affine2D

from singlefilter import drawing as look
from singlefilter import lettering
from singlefilter.profiles import FILTER_SCORES
from singlefilter.studies.controls import charts as shared
from singlefilter.studies.growth import charts as growth
from singlefilter.studies.pruning import claims
from singlefilter.studies.pruning.answers import AFTER
from singlefilter.studies.pruning.designs import BASELINES, DENSE

_FAMILIES = {  # what decides which parts go: label, colour, marker
    "dense": ("dense", look.INK, "D"),
    "cut": ("cut", look.BLUE, "o"),
    "groups": ("groups by shared labels", look.GREEN, "s"),
    "scores": ("filters by clusters", look.PURPLE, "^"),
    **dict(
        zip(
            BASELINES,
            (
                ("filters by L1 norm", look.VERMILION, "v"),
                ("filters at random", look.ORANGE, "X"),
                ("filters by group norm", look.BROWN, "P"),
            ),
            strict=True,
        )
    ),
}
_WAYS = ((1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1), (0, 1), (0, -1))  # of a name from its point
_LATENCY = ("latency_ms_1", "latency_low_1", "latency_high_1")


@look.draws(
    *("design", "method", "ours", "moment", "accuracy", "low", "high", *_LATENCY, "parameters"),
    *("front_latency", "front_parameters", "threads", "machine", "seeds", "images"),
)
def smaller_networks(table: pd.DataFrame) -> Figure:
    """Accuracy of every network against its latency at batch 1 and its parameters; the fronts, and what is aimed at.

    Colours and markers say what decides which parts go; names are beside those of the networks that are on a front,
    and beside the dense ones.
    """
    fig = look.canvas(4.6)
    grid = fig.add_gridspec(2, 2, height_ratios=(0.17, 1))
    key = fig.add_subplot(grid[0, :])
    left = fig.add_subplot(grid[1, 0])
    right = fig.add_subplot(grid[1, 1], sharey=left)
    table = table.assign(family=[_family(row) for row in table.itertuples()])
    table = table.sort_values("family", key=lambda names: names.map(list(_FAMILIES).index), kind="stable")
    table = table.reset_index(drop=True)
    dense = table[table["design"] == DENSE]
    millions = pd.DataFrame({name: table["parameters"] / 1e6 for name in shared.with_ends("parameters")})
    millions = pd.DataFrame({name: table["parameters"] / 1e6 for name in shared.with_ends("parameters")})
    of_panels = (
        (left, table[list(_LATENCY)], "front_latency", "latency, one image, ms", 1 / claims.FASTER),
        (right, millions, "front_parameters", "parameters, millions", claims.SMALLER),
    )
    for ax, costs, front, title, part in of_panels:
        cost = costs.iloc[:, 0]
        aimed = part * cost[dense.index[0]]
        _log(ax, [*costs.to_numpy().ravel(), aimed])
        _aim(ax, aimed, 100 * dense["accuracy"].max())
        on_front = table[front] > 0
        _front(ax, cost[on_front], 100 * table.loc[on_front, "accuracy"])
        for place, row in enumerate(table.itertuples()):
            _point(ax, row, costs.loc[place])
        ax.set_xlabel(title)
    left.set_title("accuracy, % against latency", loc="left")
    right.set_title("accuracy, % against parameters", loc="left")
    right.tick_params(labelleft=False)
    key.set_axis_off()
    key.legend(handles=_keys(table), loc="center left", ncols=4, frameon=False, borderpad=0, columnspacing=1.2)
    look.settle(fig)  # names go where there is room
    for ax, costs, front, *_ in of_panels:
        named = (table[front] > 0) | (table["design"] == DENSE)
        names = [_name(row) if there else "" for row, there in zip(table.itertuples(), named, strict=True)]
        _label(ax, names, costs.to_numpy(float), 100 * table[["accuracy", "low", "high"]].to_numpy(float))
    return fig


def _keys(table: pd.DataFrame) -> list[Line2D]:
    """What colours and markers are, and the marks of what is aimed at."""
    firsts = table.drop_duplicates("family")
    keys = [
        Line2D([], [], linestyle="", label=_FAMILIES[row.family][0], **_look(row) | {"markersize": 5})
        for row in firsts.itertuples()
    ]
    keys += [
        Line2D([], [], color=look.INK, alpha=0.15, linewidth=7, label="accuracy aimed at"),
        Line2D([], [], color=look.FAINT, linestyle="--", linewidth=1, label="cost aimed at"),
        Line2D([], [], color=look.GREY, linewidth=3, alpha=0.45, label="none is better in both"),
    ]
    return keys


def _family(row: object) -> str:
    """What decides which parts of a network go, told from its method, such as `truncated, l1`."""
    parts = row.method.split(", ")
    rule = next((name for name in BASELINES if name in parts), None)
    if rule:
        return rule
    if set(parts) & set(FILTER_SCORES):
        return "scores"
    return "groups" if "groups" in parts else "dense" if row.design == DENSE else "cut"


def _look(row: object) -> dict:
    _, colour, marker = _FAMILIES[row.family]
    open_ = not row.ours and row.design != DENSE
    return {"color": colour, "marker": marker, "markersize": 6, "markerfacecolor": "white" if open_ else colour}


def _log(ax: Axes, costs: list[float]) -> None:
    """A log axis that holds all costs, and is wide enough for a tick."""
    ax.set_xscale("log")
    ax.set_xlim(min(costs) / 1.15, max(costs) * 1.15)
    growth.plain_log(ax.xaxis)
    ax.yaxis.set_major_formatter(look.PLAIN)


def _aim(ax: Axes, cost: float, accuracy: float) -> None:
    """A band as far below the dense accuracy as counts for nothing, a line at the cost aimed at, where both meet."""
    ax.axhspan(accuracy - 100 * claims.POINT, accuracy, color=look.INK, alpha=0.1, lw=0, zorder=0)
    ax.axvline(cost, color=look.FAINT, linestyle="--", linewidth=1, zorder=0)


def _front(ax: Axes, costs: pd.Series, accuracy: pd.Series) -> None:
    order = costs.sort_values().index
    ends = [*costs[order], ax.get_xlim()[1]]
    heights = [*accuracy[order], accuracy[order].iloc[-1]]
    ax.plot(ends, heights, drawstyle="steps-post", color=look.GREY, linewidth=3, alpha=0.45, zorder=1)


def _point(ax: Axes, row: object, costs: pd.Series) -> None:
    cost, cheapest, dearest = costs
    upright = np.clip([[row.accuracy - row.low], [row.high - row.accuracy]], 0, None)
    level = np.clip([[cost - cheapest], [dearest - cost]], 0, None)
    drawn = {"elinewidth": 0.8, "linestyle": "", "zorder": 3, **_look(row)}
    ax.errorbar([cost], [100 * row.accuracy], 100 * upright, level, **drawn)


def _name(row: object) -> str:
    if row.design != DENSE:
        return row.design
    return f"{DENSE}, retrained" if row.moment == AFTER else f"{DENSE}, as trained"


def _label(ax: Axes, names: list[str], costs: np.ndarray, accuracies: np.ndarray) -> None:
    """Names beside their points, where they cover least of the points, bars and names that are there; "": none.

    costs, accuracies: value, low and high, `[points, 3]`.  The layout of the figure has to be final.
    """
    points = ax.transData + Affine2D().scale(72 / ax.figure.dpi)  # 1/72 inch: what sizes of text are given in
    at, low, high = (points.transform(np.stack(ends, 1)) for ends in zip(costs.T, accuracies.T, strict=True))
    upright = np.stack([at[:, 0] - 1, low[:, 1], at[:, 0] + 1, high[:, 1]], 1)
    level = np.stack([low[:, 0], at[:, 1] - 1, high[:, 0], at[:, 1] + 1], 1)
    taken = np.concatenate([np.hstack([at - 4, at + 4]), upright, level])  # boxes: left, bottom, right, top
    inside = np.hstack([ax.get_position().p0, ax.get_position().p1]) * 72 * np.tile(ax.figure.get_size_inches(), 2)
    far = np.repeat([1.0, 2.0, 3.5], len(_WAYS))
    for place, middle in enumerate(at):
        if not names[place]:
            continue
        half = np.array([0.5 * lettering.mean_width(names[place]) * look.SMALLEST * len(names[place]), 4.2])
        asides = np.tile(_WAYS, (3, 1)) * (half + 4 + 7 * (far[:, None] - 1))
        boxes = np.hstack([middle + asides - half, middle + asides + half])
        covered = np.nansum(_overlaps(boxes, taken), axis=1) - 20 * _overlaps(boxes, inside[None])[:, 0]
        best = np.argmin(covered + 8 * far)
        taken = np.vstack([taken, boxes[best]])
        beside = {"xytext": asides[best], "textcoords": "offset points", "ha": "center", "va": "center"}
        at_point = (costs[place, 0], accuracies[place, 0])
        ax.annotate(names[place], at_point, **beside, fontsize=look.SMALLEST, zorder=4)


def _overlaps(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The areas that boxes `[some, 4]` and `[others, 4]` share, `[some, others]`."""
    low = np.maximum(some[:, None, :2], others[None, :, :2])
    high = np.minimum(some[:, None, 2:], others[None, :, 2:])
    return np.clip(high - low, 0, None).prod(-1)
