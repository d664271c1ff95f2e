"""The figure of networks that are really smaller, from `pruning.study.pareto`: accuracy against what they cost."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Affine2D

from singlefilter import drawing as look
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
_ROW = 0.165  # inches of a design in the list
_WAYS = ((1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1), (0, 1), (0, -1))  # of a number from its point
_LATENCY = ("latency_ms_1", "latency_low_1", "latency_high_1")


@look.draws(
    *("design", "method", "ours", "moment", "accuracy", "low", "high", *_LATENCY, "parameters"),
    *("front_latency", "front_parameters", "threads", "machine", "seeds", "images"),
)
def smaller_networks(table: pd.DataFrame) -> Figure:
    """Accuracy of every network against its latency at batch 1 and its parameters; the fronts, and what is aimed at.

    Names are in a list beside the panels, by number.
    """
    fig = look.canvas(max(4.3, _ROW * (len(table) + 7)), width=9.8)
    left, right, key = fig.subplots(1, 3, width_ratios=(1, 1, 0.62))
    right.sharey(left)
    table = table.assign(family=[_family(row) for row in table.itertuples()])
    table = table.sort_values("family", key=lambda names: names.map(list(_FAMILIES).index), kind="stable")
    table = table.reset_index(drop=True)  # in the order of the list
    dense = table[table["design"] == DENSE]
    millions = pd.DataFrame({name: table["parameters"] / 1e6 for name in shared.with_ends("parameters")})
    for ax, costs, front, title, aim in (
        (left, table[list(_LATENCY)], "front_latency", "latency at batch 1, ms", f"{claims.FASTER:g} times faster"),
        (
            right,
            millions,
            "front_parameters",
            "parameters, millions",
            f"{100 * claims.SMALLER:g} % of the parameters",
        ),
    ):
        half = claims.SMALLER if ax is right else 1 / claims.FASTER
        cost = costs.iloc[:, 0]
        _log(ax, [*costs.to_numpy().ravel(), half * cost[dense.index[0]]])
        _aim(ax, half * cost[dense.index[0]], 100 * dense["accuracy"].max(), aim)
        on_front = table[front] > 0
        _front(ax, cost[on_front], 100 * table.loc[on_front, "accuracy"])
        for place, row in enumerate(table.itertuples()):
            _point(ax, row, costs.loc[place])
        ax.set_xlabel(title)
    left.set_ylabel("accuracy on test images, %")
    right.tick_params(labelleft=False)
    _list(key, table)
    look.settle(fig)  # numbers go where there is room
    for ax, costs in ((left, table[list(_LATENCY)]), (right, millions)):
        _numbers(ax, costs.to_numpy(float), 100 * table[["accuracy", "low", "high"]].to_numpy(float))
    return fig


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


def _aim(ax: Axes, cost: float, accuracy: float, words: str) -> None:
    """A band as far below the dense accuracy as counts for nothing, a line at the cost aimed at, where both meet."""
    ax.axhspan(accuracy - 100 * claims.POINT, accuracy, color=look.INK, alpha=0.1, lw=0, zorder=0)
    ax.axvline(cost, color=look.FAINT, linestyle="--", linewidth=1, zorder=0)
    beside = {"xytext": (-3, 4), "textcoords": "offset points", "xycoords": ax.get_xaxis_transform()}
    ax.annotate(words, (cost, 0), **beside, rotation=90, ha="right", fontsize=7.5, color=look.FAINT)


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


def _list(ax: Axes, table: pd.DataFrame) -> None:
    """Number, marker and name of every network, under what decides which parts of it go."""
    ax.set_axis_off()
    ax.set_xlim(0, 1)
    line = 0
    for family, rows in table.groupby("family", sort=False):
        ax.text(0, line, _FAMILIES[family][0], fontsize=7.5, fontweight="bold", va="center")
        line += 1
        for row in rows.itertuples():
            ax.plot([0.04], [line], **_look(row) | {"markersize": 5})
            ax.text(0.17, line, f"{row.Index + 1}", fontsize=7.5, va="center", ha="right")
            ax.text(0.2, line, look.fit(_name(row), 1.75, 7.5, 1), fontsize=7.5, va="center")
            line += 1
    ax.text(0, line, "0.4, 0.2, ...: of the multiply-adds", fontsize=7.5, va="center", color=look.FAINT)
    ax.set_ylim(max(line, 20) + 0.5, -0.5)


def _name(row: object) -> str:
    if row.design != DENSE:
        return row.design
    return f"{DENSE}, retrained alike" if row.moment == AFTER else f"{DENSE}, as trained"


def _numbers(ax: Axes, costs: np.ndarray, accuracies: np.ndarray) -> None:
    """The number of each point beside it, where it covers least of the points, bars and numbers that are there.

    costs, accuracies: value, low and high, `[points, 3]`.  The layout of the figure has to be final.
    """
    points = ax.transData + Affine2D().scale(72 / ax.figure.dpi)  # 1/72 inch: what sizes of text are given in
    at, low, high = (points.transform(np.stack(ends, 1)) for ends in zip(costs.T, accuracies.T, strict=True))
    upright = np.stack([at[:, 0] - 1, low[:, 1], at[:, 0] + 1, high[:, 1]], 1)
    level = np.stack([low[:, 0], at[:, 1] - 1, high[:, 0], at[:, 1] + 1], 1)
    taken = np.concatenate([np.hstack([at - 4, at + 4]), upright, level])  # boxes: left, bottom, right, top
    inside = np.hstack([ax.get_position().p0, ax.get_position().p1]) * 72 * np.tile(ax.figure.get_size_inches(), 2)
    far = np.repeat([1.0, 1.5, 2.2], len(_WAYS))
    for place, middle in enumerate(at):
        half = np.array([2.6 * len(str(place + 1)), 4.2])  # of the number
        asides = far[:, None] * np.tile(_WAYS, (3, 1)) * (half + 4)
        boxes = np.hstack([middle + asides - half, middle + asides + half])
        covered = np.nansum(_overlaps(boxes, taken), axis=1) - _overlaps(boxes, inside[None])[:, 0]
        best = np.argmin(covered + 4 * far)
        taken = np.vstack([taken, boxes[best]])
        beside = {"xytext": asides[best], "textcoords": "offset points", "ha": "center", "va": "center"}
        ax.annotate(f"{place + 1}", (costs[place, 0], accuracies[place, 0]), **beside, fontsize=7, zorder=4)


def _overlaps(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The areas that boxes `[some, 4]` and `[others, 4]` share, `[some, others]`."""
    low = np.maximum(some[:, None, :2], others[None, :, :2])
    high = np.minimum(some[:, None, 2:], others[None, :, 2:])
    return np.clip(high - low, 0, None).prod(-1)
