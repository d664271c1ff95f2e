"""One image file as pixels, whatever way it was kept: 8-bit RGB, upright, and nothing seen through."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image

from singlefilter.data.splits import DataError

ENDINGS = (
    *(".png", ".jpg", ".jpeg", ".webp"),
    *(".jfif", ".bmp", ".dib", ".ppm", ".pgm", ".pbm", ".pnm", ".tif", ".tiff", ".gif", ".jp2", ".avif"),
)
MOST_PIXELS = 100_000_000  # of an image: this many and more are refused before they are decoded
BACKGROUND = (255, 255, 255)  # what transparent images are laid over
CONVERTED, TRANSPARENT, DEEP, TURNED, SEVERAL = "converted", "transparent", "deep", "turned", "several"
WORDS = {  # what may have been done to an image, as it is said of how many
    CONVERTED: "were converted to RGB",
    TRANSPARENT: "are transparent: laid over white",
    DEEP: "have more than 8 bits a pixel: scaled to 8",
    TURNED: "were turned or mirrored as their EXIF says",
    SEVERAL: "hold several pictures: the first is taken",
}
# Not all that Pillow knows: some formats are handed on to other programs.
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "DIB", "PPM", "TIFF", "GIF", "JPEG2000", "AVIF")
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_image(path: Path, size: int | None) -> tuple[np.ndarray, frozenset[str]]:
    """One image, uint8 `[3, H, W]`, and what had to be done to it, among `WORDS`.

    With a size, its shorter side is scaled to it and the middle cut out.  Raises `DataError` for what is no image,
    and for one of `MOST_PIXELS` or more, before it is decoded.
    """
    try:
        with _opened(path) as image:
            picture, done = _upright(image)
    except DataError:
        raise
    except Exception as error:  # whatever Pillow makes of it
        raise DataError(f"{path} is not a readable image ({error}); replace or remove it") from error
    if size is not None and picture.size != (size, size):
        done.add(CONVERTED)
        scale = size / min(picture.size)
        wide, high = (max(size, round(side * scale)) for side in picture.size)
        picture = picture.resize((wide, high), Image.Resampling.BILINEAR)
        left, top = (wide - size) // 2, (high - size) // 2
        picture = picture.crop((left, top, left + size, top + size))
    return np.asarray(picture).transpose(2, 0, 1), frozenset(done)


def in_rgb(image: Image.Image) -> Image.Image:
    """A picture as `read_image` takes it: RGB, upright, scaled by its depth, laid over white where it is transparent.

    Raises `ValueError` for pixels of a depth that is not known.
    """
    return _upright(image)[0]


def read_otherwise(path: Path) -> bool:
    """Whether an image has other pixels by `read_image` than it had before depth, EXIF and transparency counted.

    Decodes only what may be transparent.
    """
    try:
        with _opened(path) as image:
            if _is_deep(image) or _orientation(image) != 1:
                return True
            return _may_be_transparent(image) and TRANSPARENT in _upright(image)[1]
    except Exception:  # said when it is decoded
        return False


def _opened(path: Path) -> Image.Image:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is below Pillow's error
        image = Image.open(path, formats=_FORMATS)
    wide, high = image.size
    if wide * high >= MOST_PIXELS:
        image.close()
        many = f"{wide} x {high} pixels, {MOST_PIXELS // 10**6} million or more"
        raise DataError(f"{path} has {many}: save it smaller, or remove it")
    return image


def _upright(image: Image.Image) -> tuple[Image.Image, set[str]]:
    """The picture in RGB, and what was done to it for that."""
    done = set() if image.mode == "RGB" else {CONVERTED}
    if getattr(image, "is_animated", False) and image.format != "MPO":  # cameras keep a small copy in these
        done.add(SEVERAL)
    image.load()
    turn = _TURNS.get(_orientation(image))
    if _is_deep(image):
        picture = _scaled(image)
        done.add(DEEP)
    else:
        picture = image
    if _may_be_transparent(picture):
        picture = picture.convert("RGBA")
        if picture.getchannel("A").getextrema()[0] < 255:
            done |= {TRANSPARENT, CONVERTED}
            picture = Image.alpha_composite(Image.new("RGBA", picture.size, (*BACKGROUND, 255)), picture)
    picture = picture.convert("RGB")
    if turn is not None:
        picture = picture.transpose(turn)
        done |= {TURNED, CONVERTED}
    return picture, done


def _is_deep(image: Image.Image) -> bool:
    return image.mode.startswith("I") or image.mode == "F"


def _scaled(image: Image.Image) -> Image.Image:
    """Grey of more than 8 bits as 8, by its depth; with alpha where one of its values is transparent."""
    bits = 16
    if image.format == "TIFF":
        bits = image.tag_v2.get(258, (16,))[0]
    known = image.mode.startswith("I;16") or image.format in ("PNG", "PPM", "JPEG2000")  # I is 16, too
    values = np.asarray(image)
    if not known or bits > 16 or image.mode == "F" or values.min() < 0:
        raise ValueError(f"pixels of mode {image.mode}, which may lie between any two numbers: save it with 8 bits")
    grey = Image.fromarray(np.rint(values.astype(np.float64) * (255 / (2**bits - 1))).astype(np.uint8))
    hidden = image.info.get("transparency")
    if isinstance(hidden, int):
        grey.putalpha(Image.fromarray(np.where(values == hidden, 0, 255).astype(np.uint8)))
    return grey


def _may_be_transparent(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info


def _orientation(image: Image.Image) -> int:
    try:
        return image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # a damaged note in a sound image
        return 1
