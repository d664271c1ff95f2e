"""The characters that are labels, in one fixed order, and the fonts that draw them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from operator import index
from pathlib import Path

import matplotlib
import numpy as np

from singlefilter.data.glyphs.outlines import CELL, drawable, draws, fill

FEWEST, MOST = 3, 1000

FONTS = {
    "train": (
        *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-BoldOblique"),
        *("DejaVuSansMono", "DejaVuSansMono-Bold", "DejaVuSansMono-Oblique"),
        *("DejaVuSerif", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic"),
        *("STIXGeneral", "STIXGeneralItalic", "STIXGeneralBol"),
    ),
    "test": ("DejaVuSans-Oblique", "DejaVuSansMono-BoldOblique", "DejaVuSerif-Bold", "STIXGeneralBolIta"),
}


_FEWEST_FONTS = {"train": 4, "test": 2}


_FEWEST_FONTS_TOGETHER = 8


# Read from left to right, then block by block. Look-alikes come early and together (O 0 Q, I l 1, ...), so
# that even a handful of labels has something to confuse.
_FIRST = (
    "O0QIl1S58BZ2G6CEFPRDUVYXKMNWHATLJ3479aegqpbdhnutfrijkymwcosvxz&@%$#?!"
    "ΓΔΘΞΠΣΦΨΩБДЖИЛУЦЧШЩЪЫЭЮЯαβγδεζηλμξπστφψωбджйльяю+=<>*~§¶€£¥"
)


_BLOCKS = (
    (0x0021, 0x007E),  # ASCII
    (0x0391, 0x03C9),  # Greek
    (0x0410, 0x044F),  # Cyrillic
    (0x0531, 0x0586),  # Armenian
    (0x10D0, 0x10FA),  # Georgian
    (0x20A0, 0x20B5),  # currency
    (0x2190, 0x21FF),  # arrows
    (0x2200, 0x22EF),  # mathematics
    (0x25A0, 0x25FF),  # geometric shapes
    (0x2638, 0x266F),  # planets, cards, music
    (0x00A1, 0x00FF),  # Latin-1
    (0x0402, 0x040F),  # Cyrillic of the southern Slavs
    (0x0250, 0x02AF),  # phonetic
    (0x2500, 0x257F),  # lines and corners
    (0x0180, 0x0233),  # African and older Latin
    (0x0490, 0x04FF),  # Cyrillic of Asia
    (0x0100, 0x017F),  # European Latin
)


def fonts(split: str) -> tuple[Path, ...]:
    """Font files of a split, "train" or "test"; none is in both. Raises `ValueError` for any other split."""
    if split not in FONTS:
        raise ValueError(f"split is {split!r}; glyphs have the splits 'train' and 'test'.")
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return tuple(folder / f"{name}.ttf" for name in FONTS[split])


def characters(count: int) -> tuple[str, ...]:
    """The first `count` characters (3 to 1000) of one fixed order: the labels, each a `str` of length 1.

    A smaller set is the beginning of a larger one. Digits and Latin letters come first, look-alikes side by
    side. Each can be drawn with at least 8 fonts, 4 of them training and 2 of them test fonts. A character
    that looks like an earlier one is left out: see `_distinct`. Raises `ValueError` when `count` is not an
    integer from 3 to 1000.
    """
    return _first_distinct(integer("The number of glyph labels", count, FEWEST, MOST))


def describe(character: str) -> str:
    """A character with its Unicode name, for instance 'Ж  CYRILLIC CAPITAL LETTER ZHE'."""
    return f"{character}  {unicodedata.name(character, 'unnamed')}"


def integer(what: str, value: int, low: int, high: int | None = None) -> int:
    wanted = f"an integer from {low} to {high}" if high else f"an integer, {low} or more"
    try:
        number = None if isinstance(value, bool | np.bool_) else index(value)
    except TypeError:
        number = None
    if number is None or number < low or (high is not None and number > high):
        raise ValueError(f"{what} is {value!r}; it must be {wanted}.")
    return number


@lru_cache(maxsize=8)
def _first_distinct(count: int) -> tuple[str, ...]:
    return tuple(islice(_distinct(), count))


def _candidates() -> Iterator[str]:
    """Every character that enough fonts of both splits can draw, in order."""
    ordered = dict.fromkeys([*_FIRST, *(chr(code) for low, high in _BLOCKS for code in range(low, high + 1))])
    del ordered["\u00ad"]  # the soft hyphen is a hyphen in some fonts and nothing in others
    able_to = {split: [drawable(path) for path in fonts(split)] for split in FONTS}
    for character in ordered:
        able = {split: sum(ord(character) in codes for codes in able_to[split]) for split in FONTS}
        if sum(able.values()) >= _FEWEST_FONTS_TOGETHER and all(able[s] >= _FEWEST_FONTS[s] for s in able):
            yield character


def _distinct(batch: int = 64) -> Iterator[str]:
    """Candidates that do not look like an earlier one.

    Distance of two characters in one font: squared difference of their coverage on 24 x 24 pixels over the
    larger of their squared coverages. Left out: below 1/100 in any font, or below 1/10 over all fonts
    together (the sums taken before the division). All numbers are integers small enough to be exact in
    float32 products, so that the choice is the same everywhere.
    """
    paths = fonts("train") + fonts("test")
    kept = np.zeros((len(paths), 0, (CELL // 2) ** 2), np.float32)
    candidates = _candidates()
    while block := tuple(islice(candidates, batch)):
        pixels = np.zeros((len(paths), len(block), kept.shape[2]), np.float32)
        for row, path in zip(pixels, paths, strict=True):
            here = [i for i, character in enumerate(block) if draws(path, character)]
            if here:
                row[here] = _coarse(fill(tuple(block[i] for i in here), (path,))[:, 0])
        like = alike(pixels, np.concatenate([kept, pixels], axis=1))
        accepted: list[int] = []
        for i, character in enumerate(block):
            if not like[i, : kept.shape[1]].any() and not like[i, kept.shape[1] :][accepted].any():
                accepted.append(i)
                yield character
        kept = np.concatenate([kept, pixels[:, accepted]], axis=1)


def _coarse(coverage: np.ndarray) -> np.ndarray:
    """Coverage `[glyph, 48, 48]` as float32 `[glyph, 24 * 24]` with whole numbers from 0 to 16."""
    rows = coverage[:, 0::2].astype(np.uint16) + coverage[:, 1::2]
    return (rows[:, :, 0::2] + rows[:, :, 1::2] >> 5).reshape(len(coverage), -1).astype(np.float32)


def alike(new: np.ndarray, old: np.ndarray) -> np.ndarray:
    """Boolean [new, old] from whole-number pixels [font, character, pixel], zero where a font lacks one."""
    apart, size = np.zeros((2, new.shape[1], old.shape[1]))
    same_somewhere = np.zeros(apart.shape, bool)
    for a, b in zip(new, old, strict=True):
        ink_a, ink_b = (a * a).sum(axis=1)[:, None], (b * b).sum(axis=1)[None]
        drawn = (ink_a > 0) & (ink_b > 0)
        apart_here = np.where(drawn, ink_a + ink_b - 2 * (a @ b.T), 0).astype(np.float64)
        size_here = np.where(drawn, np.maximum(ink_a, ink_b), 0).astype(np.float64)
        same_somewhere |= drawn & (100 * apart_here < size_here)
        apart += apart_here
        size += size_here
    return same_somewhere | (10 * apart < size)
