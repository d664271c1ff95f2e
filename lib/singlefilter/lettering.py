"""Text in figures: fonts for whatever letters stand in it, those inside matplotlib, and what these lack, this
machine's; symbols, numbers and units written the same everywhere; and lines that fit."""

from __future__ import annotations

import functools
import logging
import re
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator, Set

import pandas as pd
from matplotlib import font_manager
from matplotlib.ticker import FuncFormatter

log = logging.getLogger(__name__)

N_C, C_S = "N<sub>c</sub>", "C<sub>s</sub>"  # clusters per filter, labels per cluster
SYMBOLS = {N_C: "$N_c$", C_S: "$C_s$"}  # as text, and as matplotlib sets it
MINUS, NARROW = "\u2212", "\u00a0"  # a minus sign; a space before a unit, at which no line ends

# Fonts that ship inside matplotlib, so that a figure looks the same on every machine.
FAMILIES = ("DejaVu Sans", "STIXGeneral")
_LIKED = ("Noto Sans", "Source Han Sans", "PingFang", "Hiragino", "Microsoft YaHei", "Yu Gothic", "Noto", "Arial")
_MOST = 6  # fonts of this machine in one figure
_NOT_DRAWN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zs", "Zl", "Zp"}  # controls, joiners, spaces, and what is no letter


def families(text: str) -> list[str]:
    """Fonts that together have the letters of a text: matplotlib's own, and of this machine only what these lack.

    What no font has is drawn as boxes, and said once.
    """
    return [*FAMILIES, *_more(frozenset(_drawn(text) - _letters(FAMILIES[0]) - _letters(FAMILIES[1])))]


def text_of(table: pd.DataFrame) -> str:
    """All text in a table, to know its letters by; images in it are left out."""
    named = [name for name in table.columns if name != "png" and not pd.api.types.is_numeric_dtype(table[name])]
    return "".join(str(value) for name in named for value in table[name].unique())


def mean_width(text: str) -> float:
    """About how wide a letter of a text is, in em."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return 0.56 + 0.48 * wide / max(1, len(text))  # a mean character of DejaVu Sans, and a wide one with its space


def one_line(text: str) -> str:
    """A text without line breaks and other controls, which no drawing has a place for."""
    return "".join(" " if unicodedata.category(letter) in ("Cc", "Zl", "Zp") else letter for letter in text)


def fit(text: str, inches: float, points: float, lines: int | None = None) -> str:
    """`text` wrapped to a width; beyond `lines` lines it ends in an ellipsis."""
    per_line = max(int(inches * 72 / (points * mean_width(text))), 4)
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
    return one_line(label.replace("_", " ") if len(label) > 1 else label)


def listed(values: Iterable, between: str = ", ") -> str:
    """The different values, in order of appearance: `laptop` or `quick, laptop`."""
    return between.join(dict.fromkeys(map(str, values)))


def tidy(text: str) -> str:
    """Words of a table as a reader writes them: `-0.5` with a minus sign, `6.7%` with a space, powers raised."""
    text = re.sub(r"(?<![\w.])-(?=[\d.])", MINUS, text)
    return re.sub(r"(?<=\d) ?%", f"{NARROW}%", text)


PLAIN = FuncFormatter(lambda value, _: f"{value:,.10g}".replace("-", MINUS))  # of ticks


def _drawn(text: str) -> Set[str]:
    return {letter for letter in set(text) if unicodedata.category(letter) not in _NOT_DRAWN}


@functools.cache
def _more(lacking: frozenset[str]) -> tuple[str, ...]:
    """Families of this machine that have letters which matplotlib's lack."""
    if not lacking:
        return ()
    found, left = [], set(lacking)
    for family in _of_this_machine():
        if left & _letters(family):
            found.append(family)
            left -= _letters(family)
        if not left or len(found) == _MOST:
            break
    if left:
        _say_missing()
    return tuple(found)


def _of_this_machine() -> Iterator[str]:
    """Families that matplotlib knows of or finds, upright ones, in the order in which they are liked."""
    known = {entry.fname for entry in font_manager.fontManager.ttflist}
    for path in font_manager.findSystemFonts():
        if path not in known:
            try:
                font_manager.fontManager.addfont(path)
            except Exception:  # whatever FreeType makes of it: a font that cannot be read has no letters
                continue
    there = {entry.name for entry in font_manager.fontManager.ttflist if entry.style == "normal"} - set(FAMILIES)

    def rank(name: str) -> tuple[int, str]:
        return next((place for place, liked in enumerate(_LIKED) if name.startswith(liked)), len(_LIKED)), name

    yield from sorted(there, key=rank)


@functools.cache
def _letters(family: str) -> frozenset[str]:
    try:
        font = font_manager.get_font(font_manager.findfont(family, fallback_to_default=False))
        return frozenset(map(chr, font.get_charmap()))
    except Exception:  # whatever FreeType makes of it, such as of pictures in colours for letters
        return frozenset()


@functools.cache
def _say_missing() -> None:
    """Once, whatever else is missing."""
    log.warning(
        "no font of this machine has all letters of the names in a figure, which shows boxes in their place; "
        "Noto Sans CJK, Noto Sans Arabic or Noto Emoji may have them"
    )
