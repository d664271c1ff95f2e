"""The score board of the claims, as a picture."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from singlefilter import drawing as look

VERDICTS = {"supported": look.GREEN, "not supported": look.VERMILION, "undecided": look.FAINT}

_ROW = 0.92  # inches of a claim


@look.draws("claim", "statement", "statistic", "value", "low", "high", "n", "verdict", "bar", letters=False)
def claims(table: pd.DataFrame) -> Figure:
    """The score board: a row for each claim and profile, with its statistic, interval and verdict."""
    first = {claim: place for place, claim in enumerate(table["claim"].unique())}
    rows = table.sort_values("claim", key=lambda ids: ids.map(first), kind="stable")
    scales = {claim: _span(of[["value", "low", "high", "bar"]].to_numpy()) for claim, of in rows.groupby("claim")}
    fig = look.canvas(_ROW * len(rows), layout="none")
    before = None
    for place, row in enumerate(rows.itertuples()):
        text = look.box(fig, 0.08, place * _ROW, 6.93, _ROW)
        scale = look.box(fig, 3.0, place * _ROW + 0.46, 1.75, 0.24)
        if row.claim != before:
            _words(text, 0, 0.06, row.claim, fontsize=10, fontweight="bold")
            statement = look.fit(look.with_symbols(row.statement), 2.75, 8, 3)
            _words(text, 0.38, 0.08, statement, fontsize=8, linespacing=1.2)
            text.axhline(1, color="0.85", linewidth=0.8)
        down = 0.66 if row.claim != before else 0.44
        where = look.fit(f"{row.profile}: {row.data}, {row.network}", 2.9, 7, 1)
        _words(text, 0.38, down, where, fontsize=7, color=look.FAINT)
        _words(text, 4.83, 0.22, _number(row.value), fontsize=9, fontweight="bold")
        interval = f"[{_number(row.low, 2)}, {_number(row.high, 2)}]\n" if pd.notna(row.low) else ""
        interval += f"n = {_number(row.n)}"
        _words(text, 4.83, 0.42, interval, fontsize=7.5, color="0.3", linespacing=1.25)
        colour = VERDICTS.get(row.verdict, look.FAINT)
        badge = {"boxstyle": "round,pad=0.45", "facecolor": colour, "edgecolor": "none"}
        centred = {"ha": "center", "va": "center", "bbox": badge}
        _words(text, 6.43, 0.46, row.verdict, fontsize=7.5, fontweight="bold", color="white", **centred)
        known = pd.notna(row.value)
        if not known:  # there is nothing to lay along an axis
            statistic = look.fit(look.tidy(look.with_symbols(row.statistic)), 1.75, 7, 4)
            scale.set_title(statistic, fontsize=7, fontweight="normal", loc="left", pad=3, va="top", y=1.6)
            before = row.claim
            continue
        scale.set_axis_on()
        scale.axvline(0, color=look.FAINT, linestyle=":", linewidth=1)
        scale.axvline(row.bar, color=look.INK, linestyle="--", linewidth=1)
        ends = np.clip([row.low, row.high], *scales[row.claim])  # an infinite end runs to the edge
        scale.plot(ends, [0, 0], color=colour, linewidth=3, alpha=0.6, solid_capstyle="butt")
        scale.plot([row.value], [0], "o", color=colour, markersize=7)
        scale.set(xlim=scales[row.claim], ylim=(-1, 1), yticks=[])
        statistic = look.fit(look.tidy(look.with_symbols(row.statistic)), 1.75, 7, 3)
        scale.set_title(statistic, fontsize=7, fontweight="normal", loc="left", pad=3)
        scale.xaxis.set_major_locator(MaxNLocator(4))
        scale.xaxis.set_major_formatter(look.PLAIN)
        scale.tick_params(labelsize=7, pad=1)
        before = row.claim
    return fig


def _span(values: np.ndarray) -> tuple[float, float]:
    finite = [0.0, *values[np.isfinite(values)]]
    room = 0.08 * (max(finite) - min(finite)) or 1.0
    return min(finite) - room, max(finite) + room


def _words(ax: Axes, right: float, down: float, text: str, **look_of_it) -> None:
    """Text at a place in inches from the top left corner of the row of a claim."""
    width = ax.get_position().width * ax.figure.get_figwidth()
    at = {"x": right / width, "y": 1 - down / _ROW, "transform": ax.transAxes}
    ax.text(**at, s=text, **{"va": "top", "color": look.INK, **look_of_it})


def _number(value: float, digits: int = 3) -> str:
    if pd.isna(value):
        return "–"
    return (f"{value:,.{digits}g}" if abs(value) < 1000 else f"{value:,.0f}").replace("-", "−")
