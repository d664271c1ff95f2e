"""The embedded data set: characters drawn with the fonts that ship inside matplotlib. No download, no files.

A label is a character. An image is that character in a random font, scaled, turned, sheared, shifted,
coloured, over a shaded background with pieces of other characters and a stroke, under noise. Training and
test images come from different fonts.

The same bytes on every machine: outlines are read in font units (so neither hinting nor the version of
FreeType matters), and everything after that, from filling the outline to the noise, is integer arithmetic
on the raw output of PCG64. The data set is this project's own: the paper uses CIFAR and ImageNet.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache
from itertools import islice
from operator import index
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.ft2font import FT2Font, LoadFlags

FEWEST, MOST = 3, 1000
SIDE = 32

_FONTS = {
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

# A glyph is filled into a cell of _CELL x _CELL pixels, each cut into _SUB x _SUB: _EM pixels to the em, and
# its longer side between _SMALLEST and _LARGEST. A cell pixel is about 2/3 of an image pixel.
_CELL, _SUB, _EM, _LARGEST, _SMALLEST = 48, 4, 40, 36, 16
_BENDS = 8  # edges that stand for one curve of an outline
_OPAQUE = 128  # coverage of a pixel that lies inside the outline

# Random numbers of one image: 16 words of 64 bits for its parameters, then one byte of noise for each value.
_PARAMETERS = 16
_WORDS = _PARAMETERS + 3 * SIDE * SIDE // 8
_NEIGHBOURS = "AEFHKMNRSTXZ2357"  # pieces of these stand beside the character
_HALF_DEGREES = 720
_COSINE = np.array([round(4096 * math.cos(math.pi * k / 360)) for k in range(_HALF_DEGREES)], np.int32)
_SINE = np.array([round(4096 * math.sin(math.pi * k / 360)) for k in range(_HALF_DEGREES)], np.int32)
_LUMINANCE = np.array([77, 150, 29], np.int32)  # parts of 256


def fonts(split: str) -> tuple[Path, ...]:
    """Font files of a split, "train" or "test"; none is in both. Raises `ValueError` for any other split."""
    if split not in _FONTS:
        raise ValueError(f"split is {split!r}; glyphs have the splits 'train' and 'test'.")
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return tuple(folder / f"{name}.ttf" for name in _FONTS[split])


def characters(count: int) -> tuple[str, ...]:
    """The first `count` characters (3 to 1000) of one fixed order: the labels, each a `str` of length 1.

    A smaller set is the beginning of a larger one. Digits and Latin letters come first, look-alikes side by
    side. Each can be drawn with at least 8 fonts, 4 of them training and 2 of them test fonts. A character
    that looks like an earlier one is left out: see `_distinct`. Raises `ValueError` when `count` is not an
    integer from 3 to 1000.
    """
    return _first_distinct(_integer("The number of glyph labels", count, FEWEST, MOST))


def describe(character: str) -> str:
    """A character with its Unicode name, for instance 'Ж  CYRILLIC CAPITAL LETTER ZHE'."""
    return f"{character}  {unicodedata.name(character, 'unnamed')}"


def render(
    labels: int, per_label: int, split: str = "train", seed: int = 0, chunk_images: int = 256
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Images uint8 `[images, 3, 32, 32]` in RGB, true labels int64 `[images]`, the character of each label.

    There are labels * per_label images, grouped by label: first all of label 0, then all of label 1. Image
    i of a label depends on the seed, the split, the label and i alone, so fewer labels or fewer images per
    label give a subset of the same images. `chunk_images` bounds the working memory (about 100 kB an image)
    and changes nothing else.

    Raises `ValueError` for labels outside 3 to 1000, a split other than "train" and "test", `per_label` or
    `chunk_images` below 1, a negative seed, or anything of these that is not an integer.
    """
    names = characters(labels)
    per_label = _integer("The number of images per label", per_label, 1)
    seed = _integer("The seed of the glyphs", seed, 0)
    chunk_images = _integer("The number of images per chunk", chunk_images, 1)
    font_paths = fonts(split)
    neighbours = _packed(_fill(tuple(_NEIGHBOURS), font_paths))
    images = np.empty((len(names) * per_label, 3, SIDE, SIDE), np.uint8)
    for label, name in enumerate(names):
        glyph = _packed(_fill((name,), tuple(path for path in font_paths if _draws(path, name))))
        stream = np.random.PCG64([seed, list(_FONTS).index(split), ord(name)])
        for start in range(0, per_label, chunk_images):
            stop = min(start + chunk_images, per_label)
            # random_raw is the part of numpy's random numbers that never changes from one version to the next
            words = stream.random_raw((stop - start) * _WORDS).reshape(-1, _WORDS)
            images[label * per_label + start : label * per_label + stop] = _compose(words, glyph, neighbours)
    return images, np.repeat(np.arange(len(names), dtype=np.int64), per_label), names


def _integer(what: str, value: int, low: int, high: int | None = None) -> int:
    wanted = f"an integer from {low} to {high}" if high else f"an integer, {low} or more"
    try:
        number = None if isinstance(value, bool | np.bool_) else index(value)
    except TypeError:
        number = None
    if number is None or number < low or (high is not None and number > high):
        raise ValueError(f"{what} is {value!r}; it must be {wanted}.")
    return number


@cache
def _drawable(path: Path) -> frozenset[int]:
    return frozenset(FT2Font(str(path)).get_charmap())


def _draws(path: Path, character: str) -> bool:
    return ord(character) in _drawable(path)


@lru_cache(maxsize=8)
def _first_distinct(count: int) -> tuple[str, ...]:
    return tuple(islice(_distinct(), count))


def _candidates() -> Iterator[str]:
    """Every character that enough fonts of both splits can draw, in order."""
    ordered = dict.fromkeys([*_FIRST, *(chr(code) for low, high in _BLOCKS for code in range(low, high + 1))])
    del ordered["\u00ad"]  # the soft hyphen is a hyphen in some fonts and nothing in others
    drawable = {split: [_drawable(path) for path in fonts(split)] for split in _FONTS}
    for character in ordered:
        able = {split: sum(ord(character) in codes for codes in drawable[split]) for split in _FONTS}
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
    kept = np.zeros((len(paths), 0, (_CELL // 2) ** 2), np.float32)
    candidates = _candidates()
    while block := tuple(islice(candidates, batch)):
        pixels = np.zeros((len(paths), len(block), kept.shape[2]), np.float32)
        for row, path in zip(pixels, paths, strict=True):
            here = [i for i, character in enumerate(block) if _draws(path, character)]
            if here:
                row[here] = _coarse(_fill(tuple(block[i] for i in here), (path,))[:, 0])
        like = _alike(pixels, np.concatenate([kept, pixels], axis=1))
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


def _alike(new: np.ndarray, old: np.ndarray) -> np.ndarray:
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


def _outlines(characters: tuple[str, ...], font_paths: tuple[Path, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edges int64 [edges, (x0, y0, x1, y1)] in 1/64 font units, glyph of each, units per em of each glyph.

    Glyphs are numbered character by character, font by font. TrueType outlines are lines and quadratic
    curves; a curve becomes eight edges, whose ends are exact in 1/64 units.
    """
    vertices, codes, counts, ems = [], [], [], []
    faces = [FT2Font(str(path)) for path in font_paths]  # never cached: threads must not share an open font
    for character in characters:
        for face in faces:
            face.load_char(ord(character), flags=LoadFlags.NO_SCALE)
            path = face.get_path()
            vertices.append(path[0])
            codes.append(path[1])
            counts.append(len(path[1]))
            ems.append(face.units_per_EM)
    point = np.rint(np.concatenate(vertices) * 64).astype(np.int64)  # matplotlib divides font units by 64
    code = np.concatenate(codes)  # 1 starts a contour, 2 is a line, 3 a curve (two points), 79 closes
    glyph = np.repeat(np.arange(len(counts)), counts)
    here = np.arange(len(code))
    contour_start = np.maximum.accumulate(np.where(code == 1, here, 0))
    line = here[code == 2]
    close = here[code == 79]
    curve = here[code == 3][::2]  # control point; the end point follows it
    starts = [_BENDS**2 * point[line - 1], _BENDS**2 * point[close - 1]]
    ends = [_BENDS**2 * point[line], _BENDS**2 * point[contour_start[close]]]
    k = np.arange(_BENDS + 1)[:, None, None]
    m = _BENDS - k
    bend = m**2 * point[curve - 1] + 2 * k * m * point[curve] + k**2 * point[curve + 1]
    starts.extend(bend[:-1])
    ends.extend(bend[1:])
    edges = np.concatenate([np.concatenate(starts), np.concatenate(ends)], axis=1)
    return edges, np.concatenate([glyph[line], glyph[close], *[glyph[curve]] * _BENDS]), np.array(ems)


def _fill(characters: tuple[str, ...], font_paths: tuple[Path, ...]) -> np.ndarray:
    """Coverage uint8 [character, font, row, column], 0 to 128, each glyph centred on its bounding box.

    Sizes are those of the font (an o is smaller than an O), except that what is very large or very small is
    fitted.
    """
    edges, glyph, ems = _outlines(characters, font_paths)
    low = np.full((len(ems), 2), np.iinfo(np.int64).max)
    high = -low
    for ends in (edges[:, :2], edges[:, 2:]):
        np.minimum.at(low, glyph, ends)
        np.maximum.at(high, glyph, ends)
    side = (high - low).max(axis=1)
    natural = side * _EM // (_BENDS**2 * ems)
    wanted = np.clip(natural, _SMALLEST, _LARGEST)
    # cell pixels = edges * pixels / units; the places below are in 1/256 of a sub-pixel
    pixels = np.where(wanted == natural, _EM, wanted)[glyph, None]
    units = np.where(wanted == natural, _BENDS**2 * ems, side)[glyph, None]
    twice = 2 * edges - np.tile((low + high)[glyph], 2)
    x0, y0, x1, y1 = (twice * pixels * (_SUB * 128) // units + _CELL * _SUB * 128).T

    first = (np.minimum(y0, y1) + 127) >> 8  # rows whose centre line the edge crosses
    rows = ((np.maximum(y0, y1) + 127) >> 8) - first
    edge = np.repeat(np.arange(len(rows)), rows)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(rows) - rows, rows) + first[edge]
    rise = (y1 - y0)[edge]
    column = (x0[edge] + (x1 - x0)[edge] * (row * 256 + 128 - y0[edge]) // rise + 127) >> 8
    size = _CELL * _SUB
    winding = np.zeros((len(ems), size, size), np.int8)
    np.add.at(winding, (glyph[edge], size - 1 - row, column), np.sign(rise).astype(np.int8))
    inside = (np.cumsum(winding, axis=2, dtype=np.int8) != 0).view(np.uint8)
    inside = inside.reshape(-1, _CELL, _SUB, size).sum(axis=2, dtype=np.uint8)
    inside = sum(inside[:, :, part::_SUB] for part in range(_SUB)) * np.uint8(_OPAQUE // _SUB**2)
    return inside.reshape(len(characters), len(font_paths), _CELL, _CELL)


def _packed(coverage: np.ndarray) -> np.ndarray:
    """Coverage [..., row, column] as flat uint32: a pixel with its right, lower and lower right neighbours.

    One look-up in it serves a bilinear sample. The right and lower borders of a cell are empty and need no
    neighbours.
    """
    wide = coverage.astype(np.uint32)
    words = wide.copy()
    words[..., :, :-1] |= wide[..., :, 1:] << 8
    words[..., :-1, :] |= wide[..., 1:, :] << 16
    words[..., :-1, :-1] |= wide[..., 1:, 1:] << 24
    return words.reshape(-1)


def _sample(packed: np.ndarray, cell: np.ndarray, matrix: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Coverage uint32 [images, 32, 32], 0 to 128: the cell of each image under its affine map, bilinear.

    `matrix` int32 [2, 2, images] maps image to cell pixels, in 1/4096; `shift` int32 [2, images] is where
    the centre of the cell lies from that of the image, in 1/16 pixel.
    """
    place = 16 * np.arange(SIDE, dtype=np.int32) - 8 * (SIDE - 1)
    x, y = (place - shift[axis][:, None] for axis in (0, 1))
    middle, last = (_CELL - 1) << 15, ((_CELL - 1) << 16) - 1
    u, v = (
        (row[0][:, None] * x)[:, None, :] + (row[1][:, None] * y + middle)[:, :, None]
        for row in matrix.astype(np.int32)
    )
    u, v = u.clip(0, last), v.clip(0, last)  # the border of a cell is empty
    word = packed[(cell * _CELL**2).astype(np.int32)[:, None, None] + (v >> 16) * _CELL + (u >> 16)]
    u, v = ((part >> 12 & 15).astype(np.uint32) for part in (u, v))
    # the 16-bit halves of a word hold the upper and the lower row
    rows = (word & 0x00FF00FF) * (16 - u) + (word >> 8 & 0x00FF00FF) * u
    return ((rows & 0xFFFF) * (16 - v) + (rows >> 16) * v) >> 8


def _compose(words: np.ndarray, glyph: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    """Images uint8 [images, 3, 32, 32] from random words uint64 [images, _WORDS] and packed cells.

    The order of the draws is part of the data set: another order gives other images.
    """
    count = len(words)
    column = iter(words[:, :_PARAMETERS].astype("<u8").view("<u2").astype(np.int32).T)

    def draw(low: int, high: int) -> np.ndarray:
        return low + (next(column) * (high - low + 1) >> 16)

    def matrix() -> np.ndarray:
        half_degrees, down = draw(-40, 40), draw(310, 510)
        across, shear = down * (256 + draw(-32, 32)) >> 8, draw(-51, 51)
        cosine, sine = _COSINE[half_degrees], _SINE[half_degrees]
        upper = [across * (cosine - (shear * sine >> 8)) >> 8, across * (sine + (shear * cosine >> 8)) >> 8]
        return np.array([upper, [-down * sine >> 8, down * cosine >> 8]])

    def colour(luminance: np.ndarray) -> np.ndarray:
        tint = np.stack([draw(-60, 60) for _ in range(3)], axis=1)
        return np.clip(luminance[:, None] + tint - (tint @ _LUMINANCE >> 8)[:, None], 0, 255).astype(np.int16)

    def cell(packed: np.ndarray) -> np.ndarray:
        return draw(0, len(packed) // _CELL**2 - 1)

    light, contrast = draw(48, 208), draw(64, 112)
    contrast = np.where(light > 128, -contrast, contrast)
    ground, ink = colour(light), colour(light + contrast)
    clutter = colour(light + (contrast * draw(96, 232) >> 8))
    place = np.arange(-(SIDE // 2) + 1, SIDE // 2 + 1, dtype=np.int32)
    slope = np.stack([draw(-24, 24) for _ in range(6)], axis=1).reshape(count, 3, 2)
    shade = (slope[:, :, :1, None] * place + slope[:, :, 1:, None] * place[:, None]) >> 4
    image = np.clip(ground[:, :, None, None] + shade.astype(np.int16), 0, 255)  # then 255 * 128 fits 16 bits

    covered = _stroke(draw(0, _HALF_DEGREES - 1), draw(-192, 192), draw(8, 20))
    for _ in range(2):
        side, distance = draw(0, _HALF_DEGREES - 1), draw(16 * 13, 16 * 19)
        shift = np.array([distance * _COSINE[side] >> 12, distance * _SINE[side] >> 12])
        covered = np.maximum(covered, _sample(neighbours, cell(neighbours), matrix(), shift))
    shift = np.array([draw(-64, 64), draw(-64, 64)])
    for paint, coverage in ((clutter, covered), (ink, _sample(glyph, cell(glyph), matrix(), shift))):
        coverage = coverage.astype(np.int16)[:, None]
        image += (paint[:, :, None, None] - image) * coverage >> 7
    noise = words[:, _PARAMETERS:].astype("<u8").view(np.uint8).reshape(image.shape).astype(np.int16) - 128
    image += noise * draw(8, 56).astype(np.int16)[:, None, None, None] >> 7
    return np.clip(image, 0, 255).astype(np.uint8)


def _stroke(half_degrees: np.ndarray, offset: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Coverage uint32 [images, 32, 32] of a stroke; `offset` from the centre, half `width` in 1/16 pixel."""
    place = 16 * np.arange(-(SIDE // 2) + 1, SIDE // 2 + 1, dtype=np.int32)
    normal_x, normal_y = _COSINE[half_degrees][:, None], _SINE[half_degrees][:, None]
    distance = ((normal_x * place)[:, None, :] + (normal_y * place)[:, :, None] >> 12) - offset[:, None, None]
    return np.clip(8 * (width[:, None, None] - np.abs(distance)), 0, _OPAQUE).astype(np.uint32)
