"""The one look of every figure: style, canvas, title, caption, banner, images as text, and tables read back.

Figures are `matplotlib.figure.Figure` objects and never pyplot's: nothing is left open, and a notebook shows
what a function returns. A drawing function is decorated with `@draws(columns)`, builds its axes on a
`canvas` and returns that; who has it drawn puts title and caption on it with `finish`.

Symbols of quantities are written the same in words of the library, in notebooks and in pages: `N<sub>c</sub>`.  In a
picture they become letters with a subscript; all other text stays as it is, since labels may contain "$" or "_".
"""

import contextlib
import contextvars
import functools
import io
import string
import warnings
from collections.abc import Callable, Iterable, Iterator

import matplotlib
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Text
from matplotlib.transforms import ScaledTranslation

from singlefilter import lettering
from singlefilter.lettering import C_S as C_S
from singlefilter.lettering import N_C as N_C
from singlefilter.lettering import PLAIN as PLAIN
from singlefilter.lettering import SYMBOLS, fit, listed, typeset
from singlefilter.lettering import spoken as spoken
from singlefilter.lettering import tidy as tidy
from singlefilter.lettering import with_symbols as with_symbols
from singlefilter.saved import TEXT as TEXT
from singlefilter.saved import TableError as TableError
from singlefilter.saved import decode_png, require
from singlefilter.saved import encode_png as encode_png

COMMON = ("profile", "data", "network", "seed")
CAPTION = ("data", "network", "profile", "seed")  # in the order of reading
GLYPHS = "embedded glyphs"
BANNER = f"{GLYPHS} — not CIFAR-100"

PALETTE = sns.color_palette("colorblind")
BLUE, ORANGE, GREEN, VERMILION, PURPLE, BROWN, PINK, GREY, YELLOW, CYAN = PALETTE
INK, FAINT = "0.15", "0.45"

PAGE, COLUMN = 180 / 25.4, 88 / 25.4  # inches: figures are as wide as a printed page, or one of its two columns
SMALLEST, SMALL = 7, 7.5  # points: of any text, and of captions
_MARGIN, _BAND = 0.08, 0.34  # inches, around a figure; of a line of title
ENDS = ("", "_low", "_high")  # the columns of a quantity and of its interval

_RC = {
    "text.parse_math": False,  # "$" and "_" are labels here; `settle` sets the symbols
    "mathtext.default": "regular",  # symbols upright, and bold in a bold title
    "svg.fonttype": "path",
    "svg.hashsalt": "singlefilter",  # without it the ids in an SVG are random
    "image.composite_image": False,  # keeps the pixels of small images in an SVG
    "figure.dpi": 100,
    "pdf.fonttype": 42,  # letters that can be searched and set again
    "font.size": 8.5,
    "axes.titlesize": 8.5,
    "axes.titleweight": "bold",
    "axes.labelsize": 8,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": 7.5,
    "grid.color": "0.90",
    "axes.edgecolor": "0.6",
    "axes.linewidth": 0.8,
    "lines.linewidth": 1.5,
    "lines.markersize": 4.5,
}


_printed: contextvars.ContextVar[int] = contextvars.ContextVar("printed", default=0)  # columns; 0: on a screen


class Drawing(Figure):
    """A figure that a notebook shows when a cell returns it, whether or not pyplot was set up there.

    `alt` says in words what one sees, for who cannot see it.
    """

    alt = ""

    def _repr_png_(self) -> tuple[bytes, dict[str, str]]:
        file = io.BytesIO()
        with style():
            self.savefig(file, format="png", dpi=120)
        return file.getvalue(), {"alt": self.alt} if self.alt else {}


@contextlib.contextmanager
def style(text: str = "") -> Iterator[None]:
    """The look of the figures as a context, whatever the user's own settings are, with fonts that have this text."""
    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # said by `lettering`, once
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({**sns.plotting_context("paper"), **sns.axes_style("whitegrid"), **_RC})
        matplotlib.rcParams["font.family"] = lettering.families(text)
        yield


def draws(*columns: str, common: tuple[str, ...] = COMMON, letters: bool = True) -> Callable:
    """Decorator of a function that draws a table with these columns, followed by the `common` ones.

    The function gets the style and a table that is known to be complete; `.columns` names what it needs, `.common`
    those of them that say where the table comes from.  Afterwards its panels have letters, (a), (b) ..., unless
    `letters` is false, and logarithmic axes say that they are.
    """

    def decorate(draw: Callable[[pd.DataFrame], Figure]) -> Callable[[pd.DataFrame], Figure]:
        @functools.wraps(draw)
        def checked(table: pd.DataFrame) -> Figure:
            require(table, checked.columns, f"The table of figure '{draw.__name__}'")
            with style(lettering.text_of(table)):
                fig = draw(table.reset_index(drop=True))
                _say_logarithms(fig)
                if letters:
                    _letter(fig)
                return fig

        checked.columns, checked.common = (*columns, *common), common
        return checked

    return decorate


@contextlib.contextmanager
def in_print(columns: int) -> Iterator[None]:
    """Figures as for print: as wide as one or two columns of a page, without title and caption."""
    before = _printed.set(columns)
    try:
        yield
    finally:
        _printed.reset(before)


def canvas(height: float, width: float = PAGE, layout: str = "constrained") -> Figure:
    """An empty figure, in inches, without the room for title and caption that `finish` adds; "none": for `box`es.

    In print it is as wide as the columns that it has.
    """
    fig = Drawing(figsize=(COLUMN if _printed.get() == 1 else width, height), layout=layout)
    if layout == "constrained":
        fig.get_layout_engine().set(rect=(0.005, 0.005, 0.99, 0.99), hspace=0.06, wspace=0.06)
    return fig


def box(fig: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Bare axes at a place in inches from the upper left corner of a canvas: for grids of images."""
    full_width, full_height = fig.get_size_inches()
    bottom = full_height - top - height
    ax = fig.add_axes((left / full_width, bottom / full_height, width / full_width, height / full_height))
    ax.set_axis_off()
    ax.set_in_layout(False)
    return ax


def key_above(fig: Figure, rows: int, columns: int) -> tuple[Axes, np.ndarray]:
    """Bare axes in a row for the key of all panels, and under them those of the panels, `[rows, columns]`."""
    grid = fig.add_gridspec(rows + 1, columns, height_ratios=(0.06 * rows, *rows * (1,)))
    key = fig.add_subplot(grid[0, :])
    key.set_axis_off()
    places = [[fig.add_subplot(grid[row + 1, column]) for column in range(columns)] for row in range(rows)]
    return key, np.array(places)


def keys_in(ax: Axes, handles: list, **look_of_it: object) -> None:
    """The key of all panels, in a row in its axes."""
    ax.legend(
        handles=handles, loc="center left", **{"ncols": len(handles), "frameon": False, "borderpad": 0} | look_of_it
    )


def key_below(ax: Axes, columns: int = 1, **keys: object) -> None:
    """The legend of a panel under it, where it hides nothing; of `handles`, where they are given."""
    under = ax.transAxes + ScaledTranslation(0, -0.4, ax.figure.dpi_scale_trans)  # inches: ticks and their label
    where = {"loc": "upper left", "bbox_to_anchor": (-0.02, 0), "bbox_transform": under}
    ax.legend(ncols=columns, frameon=False, borderpad=0, **where, **keys)


def panels(fig: Figure) -> list[Axes]:
    """The axes of a figure that are panels: with a title at their left."""
    return [ax for ax in fig.axes if ax.axison and ax.get_title(loc="left")]


def _letter(fig: Figure) -> None:
    """(a), (b) ... before the titles of panels, where there are several."""
    if len(found := panels(fig)) > 1:
        for letter, ax in zip(string.ascii_lowercase, found, strict=False):
            ax.set_title(f"({letter}) {ax.get_title(loc='left')}", loc="left")


def _say_logarithms(fig: Figure) -> None:
    """A logarithmic axis says so in its label, or where it has none and a title stands for it, in that."""
    for ax in fig.axes:
        for axis in (ax.xaxis, ax.yaxis):
            if axis.get_scale() == "log" and ax.axison and (label := axis.get_label().get_text()):
                axis.set_label_text(f"{label} (log)")
            elif axis is ax.yaxis and axis.get_scale() == "log" and ax.axison and (title := ax.get_title(loc="left")):
                ax.set_title(f"{title} (log)", loc="left")


def settle(fig: Figure) -> None:
    """Set the symbols in every text, and compute the layout once and for all, so that later drawings of the figure
    put things where they are.  A second call changes nothing."""
    for text in fig.findobj(Text):
        if any(symbol in text.get_text() for symbol in SYMBOLS):
            text.set(text=typeset(text.get_text()), parse_math=True)
    layout = fig.get_layout_engine()
    if layout is None:
        fig.draw_without_rendering()  # makes the ticks while the style is in force
    else:
        layout.execute(fig)
        fig.set_layout_engine("none")
    for ax in fig.axes:
        # The solver's last digits depend on where it sits in memory, and would get into the files.
        ax.set_position(np.round(ax.get_position(original=True).bounds, 6))


def finish(fig: Figure, table: pd.DataFrame, title: str, note: str, common: Iterable[str] = COMMON) -> Figure:
    """Title above, caption below (data, network, profile, seed, then `note`, which states n), banner if due; room is
    made for them.  In print only the banner is left.

    `common`: the columns of the table that say where it comes from, and are to be said.
    """
    width = fig.get_figwidth()
    printed = bool(_printed.get())
    banner = banner_for(table) if "data" in common else None
    words = fit(tidy(caption(table, note, common)), width - 2 * _MARGIN, SMALL)
    # A banner takes a line of its own, so that no title runs into it.
    heading = "" if printed else fit(title, 0.94 * width, 11, 2)
    above = _BAND * bool(banner) + (0.0 if printed else 0.14 + 0.2 * (1 + heading.count("\n")))
    below = 0.0 if printed else 0.2 + 1.3 * SMALL / 72 * (1 + words.count("\n"))
    _frame(fig, above, below)
    height = fig.get_figheight()
    left, right = _MARGIN / width, 1 - _MARGIN / width
    if not printed:
        bold = {"fontsize": 11, "fontweight": "bold", "color": INK, "linespacing": 1.15}
        fig.text(left, 1 - 0.09 / height, heading, ha="left", va="top", **bold)
        small = {"fontsize": SMALL, "color": "0.3", "linespacing": 1.25}
        fig.text(left, _MARGIN / height, words, ha="left", va="bottom", **small)
    if banner:
        frame = {"boxstyle": "round,pad=0.3", "facecolor": "#FFF1D6", "edgecolor": ORANGE, "linewidth": 1.0}
        at = (right - 0.05 / width, 1 - (above - _BAND + 0.08) / height)
        fig.text(*at, banner, ha="right", va="top", fontsize=8, fontweight="bold", color="#7A4B00", bbox=frame)
    settle(fig)
    return fig


def caption(table: pd.DataFrame, note: str, common: Iterable[str] = COMMON) -> str:
    """Where a table comes from, and a note."""
    known = [f"{name.capitalize()}: {listed(table[name], '; ')}." for name in CAPTION if name in common]
    return " ".join([*known, note])


def _frame(fig: Figure, above: float, below: float) -> None:
    """Make a figure higher by as many inches above and below what is in it."""
    width, height = fig.get_size_inches()
    full = height + above + below
    fig.set_size_inches(width, full)
    if isinstance(layout := fig.get_layout_engine(), ConstrainedLayoutEngine):
        layout.set(rect=(0.005, below / full, 0.99, height / full))
        return
    for ax in fig.axes:
        left, bottom, wide, high = ax.get_position(original=True).bounds
        ax.set_position((left, (bottom * height + below) / full, wide, high * height / full))


def banner_for(table: pd.DataFrame) -> str | None:
    """What a figure says on its face where its data are the embedded ones (and for which profile)."""
    embedded = table["data"] == GLYPHS
    if not embedded.any():
        return None
    return BANNER if embedded.all() else f"profile {listed(table['profile'][embedded])}: {BANNER}"


def picture(ax: Axes, png: str) -> None:
    """Show an image, its pixels as squares."""
    # "none" is nearest neighbour, and the only choice that leaves the pixels of an SVG as they are.
    ax.imshow(np.moveaxis(decode_png(png), 0, -1), interpolation="none")
