"""Tables of figures as they are saved: what columns hold, what a figure needs of them, and images as text."""

import base64
import io

import numpy as np
import pandas as pd
from PIL import Image, UnidentifiedImageError

from singlefilter.lettering import listed

# Text whatever stands in them: a label may be "nan", "1" or "None".
TEXT = frozenset(
    ("panel", "title", "label", "source", "png", "note", "split", "cut", "head", "true_label", "out_label")
    + ("claim", "statement", "statistic", "verdict", "profile", "data", "network", "seed")
    + ("benchmark", "case", "way", "machine", "task", "over")
    + ("model", "quantity", "view", "series", "shows", "law", "caution")
    + ("method", "moment", "design")
    + ("which",)
    + ("recipe", "stage", "bottleneck", "assumed_gpu", "unit")
)
LARGEST_PICTURE = 160  # pixels; an image is 0.8 inches wide, of 200 pixels each


class TableError(ValueError):
    """A table that a figure cannot be drawn from."""


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
