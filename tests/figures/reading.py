"""What can be read on a figure."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from singlefilter.figures import registry


def draw(name: str, table: pd.DataFrame) -> Figure:
    return registry.FIGURES[name].drawn(table)


def texts(fig: Figure) -> list[Text]:
    """What can be read on a figure; an axis keeps labels of ticks beyond its ends, which are not drawn."""
    beyond = set()
    for ax in fig.axes:
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval()) if ax.axison else (np.inf, np.inf)
            outside = [tick for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high]
            beyond |= {label for tick in outside for label in (tick.label1, tick.label2)}
    found = [text for text in fig.findobj(Text) if text.get_visible() and text.get_text().strip()]
    return [text for text in found if text not in beyond]


def words(fig: Figure) -> str:
    return " ".join(" ".join(text.get_text() for text in texts(fig)).split())


def line(ax: Axes, label: str) -> np.ndarray:
    (found,) = [one for one in ax.lines if one.get_label() == label]
    return np.asarray(found.get_xydata(), dtype=float)


def panels(fig: Figure) -> list[Axes]:
    return [ax for ax in fig.axes if ax.axison]
