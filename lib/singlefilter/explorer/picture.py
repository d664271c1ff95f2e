"""The picture of one filter, drawn again in some milliseconds: one figure is kept, and what never changes in it.

Three matrices, as in the figure `one_filter`: fields, ones, ones in cluster order.  The clusters by name are text,
and stand beside it.
"""

from __future__ import annotations

import io

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from PIL import Image

from singlefilter import drawing as look
from singlefilter.explorer.layers import Seen
from singlefilter.studies.layers import pictures, tables

WIDTH, HEIGHT = 860, 355  # CSS pixels: as wide as a cell of JupyterLab in a window of 1280
SCALE = 1.5  # pixels of the picture in one of these, so that it is crisp on fine screens too
NAMED = 16  # labels whose names can be read on an axis
_INCH = 100  # CSS pixels
_ABOVE = 0.56  # inches, for the title and the headings
_SCALE_ROOM, _GAP = 0.62, 0.3  # inches between the first two matrices, for a scale, and before the last
_COLOURS = np.array([*pictures.CLUSTERS, pictures.NOISE])


class Picture:
    """The kept figure of filters of some labels, by name; `draw` gives it with another filter in it."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names
        self.whole = len(names) <= tables.WHOLE
        self.size = len(names) if self.whole else tables.SHOWN
        with look.style():
            self._make()

    def draw(self, seen: Seen, title: str, threshold: float) -> bytes:
        """A PNG of always the same size, of `SCALE` pixels each way in a CSS pixel.

        Of more than `tables.WHOLE` labels, the first `tables.SHOWN` in cluster order are shown.
        """
        order = seen.order[: self.size]
        given = np.sort(order)  # all of them, in their own order, where all are shown
        field, ones, permuted = self._matrices
        field.set_data(_relative(seen.matrix[np.ix_(given, given)], seen.matrix.max()))
        ones.set_data(seen.ones[np.ix_(given, given)])
        permuted.set_data(_coloured(seen.ones[np.ix_(order, order)], seen.found[order]))
        self._squares.set(**_squares(seen, order))
        self._title.set_text(title)
        self._mark.set_ydata([threshold, threshold])
        if self.size <= NAMED:
            for down, across, label in zip(*self._in_order, order, strict=True):
                down.set_text(self._short[label])
                across.set_text(self._short[label])
        self.canvas.restore_region(self._background)
        for artist in self._changing:
            artist.draw(self.canvas.get_renderer())
        file = io.BytesIO()
        # The least compression: another level takes longer than the picture.
        Image.fromarray(np.asarray(self.canvas.buffer_rgba())).convert("RGB").save(file, "PNG", compress_level=1)
        return file.getvalue()

    def _make(self) -> None:
        self._short = [look.fit(look.spoken(name), 0.8, 7, 1) for name in self.names]
        named = self.size <= NAMED
        long = named and max(map(len, self._short)) > 2
        axes = self._axes(named, long)
        fig = axes[0].figure
        empty = np.zeros((self.size, self.size))
        first = axes[0].imshow(empty, cmap="vlag", vmin=-1, vmax=1, interpolation="none")
        second = axes[1].imshow(empty, cmap="Greys", vmin=0, vmax=1, interpolation="none")
        third = axes[2].imshow(np.ones((*empty.shape, 3)), interpolation="none")
        self._matrices = first, second, third
        end = self.size - 0.5
        diagonal = axes[1].plot([-0.5, end], [-0.5, end], color=look.ORANGE, linewidth=0.6, alpha=0.8)[0]
        self._squares = axes[2].add_collection(LineCollection([], linewidths=1.2))
        self._title = fig.text(0.01, 0.985, "", va="top", fontsize=10, fontweight="bold", color=look.INK)
        self._mark = _scale(axes[0], first)
        for ax in axes:
            _ticks(ax, self.size, self._short if named else None, long)
        for ax in axes[1:]:
            ax.set_yticklabels([])  # those of the first hold for the second
        self._changing: list[Artist] = [*self._matrices, diagonal, self._squares, self._title, self._mark]
        self._changing += [spine for ax in axes for spine in ax.spines.values()]  # half of them lies below an image
        if named:  # those of the third change with every filter
            axes[2].set_xticklabels([])
            self._in_order = _texts(axes[2], self.size, long)
            self._changing += [text for texts in self._in_order for text in texts]
        for artist in self._changing:
            artist.set_animated(True)
        self.canvas = FigureCanvasAgg(fig)
        self.canvas.draw()
        self._background = self.canvas.copy_from_bbox(fig.bbox)

    def _axes(self, named: bool, long: bool) -> list[Axes]:
        """Three squares side by side, with room for their names and for a scale beside the first."""
        fig = look.Drawing(figsize=(WIDTH / _INCH, HEIGHT / _INCH), dpi=_INCH * SCALE)
        width, height = fig.get_size_inches()
        aside, below = (1.1, 1.15) if long else (0.5, 0.5)  # inches for names or numbers
        between = (_SCALE_ROOM, aside - 0.15 if named else _GAP)  # the second matrix has the names of the first
        side = min((width - aside - sum(between) - 0.12) / 3, height - _ABOVE - below)
        bottom = height - _ABOVE - side
        headings = ("field / its largest element", "ones: above the threshold", "in cluster order")
        axes, left = [], aside
        for heading, after in zip(headings, (*between, 0), strict=True):
            ax = fig.add_axes((left / width, bottom / height, side / width, side / height))
            ax.set_title(heading, loc="left")
            ax.grid(False)
            ax.tick_params(labelsize=7)
            middle = (left + side / 2) / width
            fig.text(middle, (bottom - below + 0.08) / height, "output unit", ha="center", fontsize=8.5)
            axes.append(ax)
            left += side + after
        axes[0].set_ylabel("true label")
        return axes


def _scale(ax: Axes, image: Artist) -> Artist:
    """The scale beside the first matrix, and the line on it that marks the threshold."""
    place = ax.get_position()
    beside = ax.figure.add_axes((place.x1 + 0.008, place.y0, 0.011, place.height))
    bar = ax.figure.colorbar(image, cax=beside, extend="min", extendrect=True, extendfrac=0.03)
    bar.set_ticks([-1, 0, 1], labels=["−1", "0", "1"])
    beside.tick_params(labelsize=7)
    return beside.axhline(0, color=look.INK, linewidth=1.2)


def _ticks(ax: Axes, size: int, names: list[str] | None, long: bool) -> None:
    if names is None:
        places = [*range(0, size, 20 if size > 50 else 5)]
        ax.set(xticks=places, yticks=places)
        return
    ax.set_xticks(range(size), names, rotation=90 if long else 0)
    ax.set_yticks(range(size), names)


def _texts(ax: Axes, size: int, long: bool) -> tuple[list[Artist], list[Artist]]:
    """Empty texts at the places of names: those of rows, and those of columns."""
    given = {"xycoords": "data", "textcoords": "offset points", "fontsize": 7, "color": look.INK}
    across = {"xytext": (0, -8), "ha": "center", "va": "top", "rotation": 90 if long else 0}
    down = [ax.annotate("", (-0.5, place), (-8, 0), ha="right", va="center", **given) for place in range(size)]
    return down, [ax.annotate("", (place, size - 0.5), **across, **given) for place in range(size)]


def _relative(matrix: np.ndarray, largest: float) -> np.ndarray:
    """Fields over the largest one of the filter; NaN, which is drawn as nothing, where that is not positive."""
    return matrix / largest if largest > 0 else np.full(matrix.shape, np.nan)


def _coloured(ones: np.ndarray, found: np.ndarray) -> np.ndarray:
    """`[true_label, out_label, 3]`: ones in the colour of their cluster, those in no square grey, all else white."""
    same = (found[:, None] == found) & (found >= 0)
    colour = np.where(same, found % len(pictures.CLUSTERS), len(pictures.CLUSTERS))
    return np.where(ones[..., None], _COLOURS[colour], 1.0)


def _squares(seen: Seen, order: np.ndarray) -> dict[str, list]:
    """The outline of every cluster, as far as it is shown, and its colour."""
    found = seen.found[order]
    segments, colours = [], []
    for number in dict.fromkeys(found[found >= 0].tolist()):
        first, last = np.flatnonzero(found == number)[[0, -1]] + (-0.5, 0.5)
        segments.append([(first, first), (last, first), (last, last), (first, last), (first, first)])
        colours.append(_COLOURS[number % len(pictures.CLUSTERS)])
    return {"segments": segments, "color": colours}
