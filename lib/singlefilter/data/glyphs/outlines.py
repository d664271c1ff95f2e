"""Outlines of characters, filled into cells of pixels by integer arithmetic."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from matplotlib.ft2font import FT2Font, LoadFlags

# A glyph is filled into a cell of CELL x CELL pixels, each cut into _SUB x _SUB: EM pixels to the em, and
# its longer side between _SMALLEST and _LARGEST. A cell pixel is about 2/3 of an image pixel.
CELL, _SUB, EM, _LARGEST, _SMALLEST = 48, 4, 40, 36, 16
_BENDS = 8  # edges that stand for one curve of an outline


OPAQUE = 128  # coverage of a pixel that lies inside the outline


@cache
def drawable(path: Path) -> frozenset[int]:
    return frozenset(FT2Font(str(path)).get_charmap())


def draws(path: Path, character: str) -> bool:
    return ord(character) in drawable(path)


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


def fill(characters: tuple[str, ...], font_paths: tuple[Path, ...]) -> np.ndarray:
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
    natural = side * EM // (_BENDS**2 * ems)
    wanted = np.clip(natural, _SMALLEST, _LARGEST)
    # cell pixels = edges * pixels / units; the places below are in 1/256 of a sub-pixel
    pixels = np.where(wanted == natural, EM, wanted)[glyph, None]
    units = np.where(wanted == natural, _BENDS**2 * ems, side)[glyph, None]
    twice = 2 * edges - np.tile((low + high)[glyph], 2)
    x0, y0, x1, y1 = (twice * pixels * (_SUB * 128) // units + CELL * _SUB * 128).T

    first = (np.minimum(y0, y1) + 127) >> 8  # rows whose centre line the edge crosses
    rows = ((np.maximum(y0, y1) + 127) >> 8) - first
    edge = np.repeat(np.arange(len(rows)), rows)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(rows) - rows, rows) + first[edge]
    rise = (y1 - y0)[edge]
    column = (x0[edge] + (x1 - x0)[edge] * (row * 256 + 128 - y0[edge]) // rise + 127) >> 8
    size = CELL * _SUB
    winding = np.zeros((len(ems), size, size), np.int8)
    np.add.at(winding, (glyph[edge], size - 1 - row, column), np.sign(rise).astype(np.int8))
    inside = (np.cumsum(winding, axis=2, dtype=np.int8) != 0).view(np.uint8)
    inside = inside.reshape(-1, CELL, _SUB, size).sum(axis=2, dtype=np.uint8)
    inside = sum(inside[:, :, part::_SUB] for part in range(_SUB)) * np.uint8(OPAQUE // _SUB**2)
    return inside.reshape(len(characters), len(font_paths), CELL, CELL)
