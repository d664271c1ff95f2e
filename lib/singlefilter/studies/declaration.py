"""A figure, declared once: what makes its table, what draws it, and what it says in words.

Every study has its own in `figures.py`, as `FIGURES`; `singlefilter.figures.registry` gathers them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from singlefilter import drawing as look
from singlefilter import lettering
from singlefilter.pipeline import stages
from singlefilter.studies.rules import TAU, kendall_tau

PLACES = {"labels": "K =", "width": "d ="}  # how a place along an axis is said; a layer is `layer`
Said = str | Callable[[pd.DataFrame], str]  # words, or what makes them of the table


@dataclass(frozen=True)
class Words:
    """What a figure says: a title, sentences that explain it, and for who cannot see it what one sees."""

    title: str
    caption: str
    alt: str


@dataclass(frozen=True)
class Declaration:
    """A figure.  `table`: what makes its table of a run, `None` where it is a machine's; `draw`: a function with
    `look.draws`; `notebook`: the number of the one that shows it; `groups`: those that a profile has to have for it.

    `title` is its subject; `sees` says instead, of a table, what one sees: the title of the picture.  `shows` is a
    sentence on what is shown, `note` says n, and what bars, bands and colours are: it stands on the picture, too.
    `alt` says how axes are laid out and what one sees, in plain text.  In all but `alt` symbols are written as
    `drawing.SYMBOLS`.  `across`: how many columns of a printed page it is wide, one (88 mm) or two (180 mm).
    `joined`: where its table can be made of those of other figures, their names and what makes it of their tables.
    """

    name: str
    title: str
    draw: Callable[[pd.DataFrame], Figure]
    table: Callable[[stages.Run], pd.DataFrame] | None
    notebook: str | None
    shows: str
    note: Said
    alt: Said
    groups: tuple[str, ...] = ()
    sees: Said | None = None
    across: int = 2
    joined: tuple[tuple[str, ...], Callable[..., pd.DataFrame]] | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """What the table has to have."""
        return self.draw.columns

    def words(self, table: pd.DataFrame) -> Words:
        """Title, caption and alt text of the figure of a table."""
        title = self.title if self.sees is None else _of(self.sees, table)
        return Words(title, f"{self.shows} {self._noted(table)}", _of(self.alt, table))

    def drawn(self, table: pd.DataFrame) -> Figure:
        """The figure of a table; raises `TableError` for one without rows or without a column that it needs."""
        fig = self.draw(table)
        with look.style(lettering.text_of(table)):
            look.finish(fig, table, self.words(table).title, self._noted(table), self.draw.common)
        fig.alt = _of(self.alt, table)
        return fig

    def _noted(self, table: pd.DataFrame) -> str:
        """The note, behind what has to be known of a network before its accuracies are believed."""
        cautions = table["caution"].unique() if "caution" in table else ()
        return " ".join([*cautions, _of(self.note, table)])


def span(values: pd.Series) -> str:
    """Whole numbers in words: `10,000` where all are the same, else `16–128`."""
    low, high = values.min(), values.max()
    return f"{low:,.0f}" if low == high else f"{low:,.0f}–{high:,.0f}"


def number(value: float, digits: int = 3) -> str:
    """A number as a reader says it, the ones that are none in words."""
    if math.isnan(value):
        return "no value"
    if math.isinf(value):
        return "infinity"
    return (f"{value:,.{digits}g}" if abs(value) < 1000 else f"{value:,.0f}").replace("-", "−")


def counted(count: int, thing: str) -> str:
    """`1 cluster`, `1,024 clusters`."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def course(table: pd.DataFrame, name: str, along: str = "layer", percent: bool = False) -> str:
    """The two ends of a line: `from 1.2 at layer 1 to 9 at layer 13`; means where several rows are at a place."""
    scale, unit = (100, " %") if percent else (1, "")
    means = scale * table.groupby(along)[name].mean().sort_index()
    if means.empty:
        return number(math.nan)
    word = PLACES.get(along, along)
    ends = [f"{number(means.iloc[place])}{unit} at {word} {means.index[place]:,g}" for place in (0, -1)]
    return f"from {ends[0]} to {ends[1]}" if len(means) > 1 else ends[0]


def peak(table: pd.DataFrame, name: str, along: str = "layer") -> str:
    """How a quantity goes, in words: `rises up to layer 12`, `falls down to layer 9`, `is highest at layer 3`.

    Means where several rows are at a place.  It rises or falls, up to where it is highest or down to where it is
    lowest, where three of four pairs of places are in that order, as claims have it.
    """
    means = table.groupby(along)[name].mean().sort_index().dropna()
    if means.empty:
        return "has no value"
    word = PLACES.get(along, along)
    trend = kendall_tau(means.to_numpy())
    end = means.idxmin() if trend <= -TAU else means.idxmax()
    place = f"{word} {end:,g}"
    if len(means) == 1:
        return f"is {number(means.iloc[0])} at {place}"
    return f"{'rises up to' if trend >= TAU else 'falls down to' if trend <= -TAU else 'is highest at'} {place}"


def _of(said: Said, table: pd.DataFrame) -> str:
    return said if isinstance(said, str) else said(table)
