"""The one look of every figure: style, canvas, title, caption, banner, images as text, and tables read back.

Figures are `matplotlib.figure.Figure` objects and never pyplot's: nothing is left open, and a notebook shows
what a function returns. A drawing function is decorated with `@draws(columns)`, builds its axes on a
`canvas` and returns that; who has it drawn puts title and caption on it with `finish`.

Symbols of quantities are written the same in words of the library, in notebooks and in pages: `N<sub>c</sub>`.  In a
picture they become letters with a subscript; all other text stays as it is, since labels may contain "$" or "_".
"""

import base64
import contextlib
import functools
import io
import re
import textwrap
import warnings
from collections.abc import Callable, Iterable, Iterator

import matplotlib
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image, UnidentifiedImageError

from singlefilter import lettering

# Text whatever stands in them: a label may be "nan", "1" or "None".
TEXT = frozenset(
    ("panel", "title", "label", "source", "png", "note", "split", "cut", "head", "true_label", "out_label")
    + ("claim", "statement", "statistic", "verdict", "profile", "data", "network", "seed")
    + ("benchmark", "case", "way", "machine", "task", "over")
    + ("model", "quantity", "view")
    + ("series", "shows", "law")
    + ("method", "moment", "design")
    + ("recipe", "stage", "bottleneck", "assumed_gpu", "unit")
)
COMMON = ("profile", "data", "network", "seed")
CAPTION = ("data", "network", "profile", "seed")  # in the order of reading
GLYPHS = "embedded glyphs"
BANNER = f"{GLYPHS} — not CIFAR-100"

N_C, C_S = "N<sub>c</sub>", "C<sub>s</sub>"  # clusters per filter, labels per cluster
SYMBOLS = {N_C: "$N_c$", C_S: "$C_s$"}  # as text, and as matplotlib sets it

PALETTE = sns.color_palette("colorblind")
BLUE, ORANGE, GREEN, VERMILION, PURPLE, BROWN, PINK, GREY, YELLOW, CYAN = PALETTE
INK, FAINT = "0.15", "0.45"

WIDTH, HEADER, FOOTER = 7.6, 0.48, 0.52  # inches; header and footer hold title, banner and caption
SMALL = 7.5  # points
LARGEST_PICTURE = 160  # pixels; an image is 0.8 inches wide, of 200 pixels each
ENDS = ("", "_low", "_high")  # the columns of a quantity and of its interval

_RC = {
    "text.parse_math": False,  # "$" and "_" are labels here; `settle` sets the symbols
    "mathtext.default": "regular",  # symbols upright, and bold in a bold title
    "svg.fonttype": "path",
    "svg.hashsalt": "singlefilter",  # without it the ids in an SVG are random
    "image.composite_image": False,  # keeps the pixels of small images in an SVG
    "figure.dpi": 100,
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.labelsize": 8.5,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "grid.color": "0.90",
    "axes.edgecolor": "0.6",
    "axes.linewidth": 0.8,
    "lines.linewidth": 1.5,
    "lines.markersize": 4.5,
}


class TableError(ValueError):
    """A table that a figure cannot be drawn from."""


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


def require(table: pd.DataFrame, columns: tuple[str, ...], where: str) -> None:
    """Raise `TableError` unless `table` has rows and all of `columns`, numbers where numbers are due.

    `where` names the table for the reader.
    """
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise TableError(
            f"{where} has no column {', '.join(missing)}. Columns it has: {listed(table.columns)}. "
            "Write the table again by running the stage that makes it."
        )
    if table.empty:
        raise TableError(f"{where} has no rows, so there is nothing to draw.")
    for column in columns:
        if column not in TEXT and not pd.api.types.is_numeric_dtype(table[column]):
            raise TableError(
                f"{where} holds text in column {column}, where numbers are due: {table[column].iloc[0]}."
            )


def draws(*columns: str, common: tuple[str, ...] = COMMON) -> Callable:
    """Decorator of a function that draws a table with these columns, followed by the `common` ones.

    The function gets the style and a table that is known to be complete; `.columns` names what it needs, `.common`
    those of them that say where the table comes from.
    """

    def decorate(draw: Callable[[pd.DataFrame], Figure]) -> Callable[[pd.DataFrame], Figure]:
        @functools.wraps(draw)
        def checked(table: pd.DataFrame) -> Figure:
            require(table, checked.columns, f"The table of figure '{draw.__name__}'")
            with style(lettering.text_of(table)):
                return draw(table.reset_index(drop=True))

        checked.columns, checked.common = (*columns, *common), common
        return checked

    return decorate


def canvas(height: float, width: float = WIDTH, layout: str = "constrained") -> Figure:
    """An empty figure with `height` inches between header and footer; "none": for `box`es."""
    full = height + HEADER + FOOTER
    fig = Drawing(figsize=(width, full), layout=layout)
    if layout == "constrained":
        fig.get_layout_engine().set(rect=(0.005, FOOTER / full, 0.99, height / full), hspace=0.06, wspace=0.06)
    return fig


def box(fig: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Bare axes at a place in inches from the left edge and from below the header: for grids of images."""
    full_width, full_height = fig.get_size_inches()
    bottom = full_height - HEADER - top - height
    ax = fig.add_axes((left / full_width, bottom / full_height, width / full_width, height / full_height))
    ax.set_axis_off()
    ax.set_in_layout(False)
    return ax


def fit(text: str, inches: float, points: float, lines: int | None = None) -> str:
    """`text` wrapped to a width; beyond `lines` lines it ends in an ellipsis."""
    per_line = max(int(inches * 72 / (points * lettering.mean_width(text))), 4)
    narrow = {symbol: 2 * chr(0xE000 + place) for place, symbol in enumerate(SYMBOLS)}  # as wide as what is drawn
    for symbol, stand_in in narrow.items():
        text = text.replace(symbol, stand_in)
    text = textwrap.fill(text, per_line, max_lines=lines, placeholder=" …")
    for symbol, stand_in in narrow.items():
        text = text.replace(stand_in, symbol)
    return text


def with_symbols(text: str) -> str:
    """Words of a table of ours with the symbols in them: `N_c falls` -> `N<sub>c</sub> falls`."""
    for symbol in SYMBOLS:
        plain = re.sub("<sub>(.)</sub>", r"_\1", symbol)
        text = re.sub(rf"\b{plain}\b", symbol, text)
    return text


def typeset(text: str) -> str:
    """Text with symbols as matplotlib's `parse_math` reads it; other "$" stay what they are."""
    text = text.replace("$", r"\$")
    for symbol, drawn in SYMBOLS.items():
        text = text.replace(symbol, drawn)
    return text


def spoken(label: str) -> str:
    """A label as a reader says it: `aquarium_fish` -> `aquarium fish`; the character `_` stays what it is."""
    return lettering.one_line(label.replace("_", " ") if len(label) > 1 else label)


def listed(values: Iterable, between: str = ", ") -> str:
    """The different values, in order of appearance: `laptop` or `quick, laptop`."""
    return between.join(dict.fromkeys(map(str, values)))


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
    """Title above, caption below (data, network, profile, seed, then `note`, which states n), banner if due.

    `common`: the columns of the table that say where it comes from, and are to be said.
    """
    width, height = fig.get_size_inches()
    left, right = 0.12 / width, 1 - 0.12 / width
    fig.text(left, 1 - 0.11 / height, title, ha="left", va="top", fontsize=11, fontweight="bold", color=INK)
    known = [f"{name.capitalize()}: {listed(table[name], '; ')}." for name in CAPTION if name in common]
    caption = fit(" ".join([*known, note]), width - 0.24, SMALL)
    fig.text(left, 0.08 / height, caption, ha="left", va="bottom", fontsize=SMALL, color="0.3", linespacing=1.25)
    if "data" in common and (banner := banner_for(table)):
        frame = {"boxstyle": "round,pad=0.3", "facecolor": "#FFF1D6", "edgecolor": ORANGE, "linewidth": 1.0}
        at = (right - 0.05 / width, 1 - 0.14 / height)
        fig.text(*at, banner, ha="right", va="top", fontsize=8, fontweight="bold", color="#7A4B00", bbox=frame)
    settle(fig)
    return fig


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


def encode_png(image: np.ndarray) -> str:
    """An image, uint8 `[3, height, width]`, as base64 text of a PNG: the same text for the same image.

    A larger one is scaled to at most `LARGEST_PICTURE` pixels, more than which no figure shows.
    Raises `ValueError` for another shape or dtype.
    """
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[0] != 3 or image.size == 0:
        raise ValueError(f"An image is uint8 [3, height, width]; this one is {image.dtype} {list(image.shape)}.")
    file = io.BytesIO()
    picture = Image.fromarray(np.ascontiguousarray(np.moveaxis(image, 0, -1)))
    picture.thumbnail((LARGEST_PICTURE, LARGEST_PICTURE))
    picture.save(file, format="PNG")
    return base64.b64encode(file.getvalue()).decode("ascii")


def decode_png(text: str) -> np.ndarray:
    """The image, uint8 `[3, height, width]`, of a text by `encode_png`; `TableError` for other text."""
    try:
        image = Image.open(io.BytesIO(base64.b64decode(text, validate=True)), formats=["PNG"])
        if max(image.size) > LARGEST_PICTURE:  # before it is decoded: few bytes may hold a billion pixels
            raise TableError(f"A picture of {image.width} x {image.height} pixels, more than figures have.")
        image = image.convert("RGB")
    except TableError:
        raise
    except (ValueError, UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise TableError(f"Not a PNG in base64: '{text[:40]}'. Write the table again.") from error
    return np.moveaxis(np.asarray(image), -1, 0)
