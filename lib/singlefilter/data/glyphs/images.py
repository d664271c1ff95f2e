"""Images of characters: turned, coloured, over a shaded background with pieces of others, under noise."""

from __future__ import annotations

import math

import numpy as np

from singlefilter.data.glyphs.alphabet import FONTS, characters, fonts, integer
from singlefilter.data.glyphs.outlines import CELL, OPAQUE, draws, fill

SIDE = 32


# Random numbers of one image: 16 words of 64 bits for its parameters, then one byte of noise for each value.
_PARAMETERS = 16
WORDS = _PARAMETERS + 3 * SIDE * SIDE // 8
_NEIGHBOURS = "AEFHKMNRSTXZ2357"  # pieces of these stand beside the character
_HALF_DEGREES = 720
_COSINE = np.array([round(4096 * math.cos(math.pi * k / 360)) for k in range(_HALF_DEGREES)], np.int32)
_SINE = np.array([round(4096 * math.sin(math.pi * k / 360)) for k in range(_HALF_DEGREES)], np.int32)
_LUMINANCE = np.array([77, 150, 29], np.int32)  # parts of 256


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
    per_label = integer("The number of images per label", per_label, 1)
    seed = integer("The seed of the glyphs", seed, 0)
    chunk_images = integer("The number of images per chunk", chunk_images, 1)
    font_paths = fonts(split)
    neighbours = packed(fill(tuple(_NEIGHBOURS), font_paths))
    images = np.empty((len(names) * per_label, 3, SIDE, SIDE), np.uint8)
    for label, name in enumerate(names):
        glyph = packed(fill((name,), tuple(path for path in font_paths if draws(path, name))))
        stream = np.random.PCG64([seed, list(FONTS).index(split), ord(name)])
        for start in range(0, per_label, chunk_images):
            stop = min(start + chunk_images, per_label)
            # random_raw is the part of numpy's random numbers that never changes from one version to the next
            words = stream.random_raw((stop - start) * WORDS).reshape(-1, WORDS)
            images[label * per_label + start : label * per_label + stop] = compose(words, glyph, neighbours)
    return images, np.repeat(np.arange(len(names), dtype=np.int64), per_label), names


def packed(coverage: np.ndarray) -> np.ndarray:
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


def sample(packed: np.ndarray, cell: np.ndarray, matrix: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Coverage uint32 [images, 32, 32], 0 to 128: the cell of each image under its affine map, bilinear.

    `matrix` int32 [2, 2, images] maps image to cell pixels, in 1/4096; `shift` int32 [2, images] is where
    the centre of the cell lies from that of the image, in 1/16 pixel.
    """
    place = 16 * np.arange(SIDE, dtype=np.int32) - 8 * (SIDE - 1)
    x, y = (place - shift[axis][:, None] for axis in (0, 1))
    middle, last = (CELL - 1) << 15, ((CELL - 1) << 16) - 1
    u, v = (
        (row[0][:, None] * x)[:, None, :] + (row[1][:, None] * y + middle)[:, :, None]
        for row in matrix.astype(np.int32)
    )
    u, v = u.clip(0, last), v.clip(0, last)  # the border of a cell is empty
    word = packed[(cell * CELL**2).astype(np.int32)[:, None, None] + (v >> 16) * CELL + (u >> 16)]
    u, v = ((part >> 12 & 15).astype(np.uint32) for part in (u, v))
    # the 16-bit halves of a word hold the upper and the lower row
    rows = (word & 0x00FF00FF) * (16 - u) + (word >> 8 & 0x00FF00FF) * u
    return ((rows & 0xFFFF) * (16 - v) + (rows >> 16) * v) >> 8


def compose(words: np.ndarray, glyph: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    """Images uint8 [images, 3, 32, 32] from random words uint64 [images, WORDS] and packed cells.

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
        return draw(0, len(packed) // CELL**2 - 1)

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
        covered = np.maximum(covered, sample(neighbours, cell(neighbours), matrix(), shift))
    shift = np.array([draw(-64, 64), draw(-64, 64)])
    for paint, coverage in ((clutter, covered), (ink, sample(glyph, cell(glyph), matrix(), shift))):
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
    return np.clip(8 * (width[:, None, None] - np.abs(distance)), 0, OPAQUE).astype(np.uint32)
