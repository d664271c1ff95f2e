"""Tables of figures as they are saved: what columns hold, images as text, and reading them back from their files."""

import base64
import io
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, UnidentifiedImageError

from singlefilter.lettering import listed

# Text whatever stands in them: a label may be "nan", "1" or "None".
TEXT = frozenset(
    ("panel", "title", "label", "source", "png", "note", "split", "cut", "head", "true_label", "out_label")
    + ("claim", "statement", "statistic", "verdict", "profile", "data", "network", "seed")
    + ("benchmark", "case", "way", "machine", "task", "over")
    + ("model", "quantity")
    + ("series", "shows", "law")
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
        image = Image.open(io.BytesIO(base64.b64decode(text, validate=True)), formats=["PNG"]).convert("RGB")
    except (ValueError, UnidentifiedImageError, OSError) as error:
        raise TableError(f"Not a PNG in base64: '{text[:40]}'. Write the table again.") from error
    return np.moveaxis(np.asarray(image), -1, 0)


def read_table(path: Path | str) -> pd.DataFrame:
    """A figure's table from its file: text stays text, an empty number is NaN."""
    try:
        table = pd.read_csv(path, encoding="utf-8", dtype=str, na_filter=False)
    except pd.errors.EmptyDataError as error:
        raise TableError(f"{path} is empty. Write the table again by running the stage that makes it.") from error
    return table.assign(**{name: _numbers(table[name]) for name in table.columns if name not in TEXT})


def _numbers(column: pd.Series) -> pd.Series:
    """Whole numbers or else floats; text where neither. Python's reading of a float is exact."""
    for kind in (int, float):
        try:
            return pd.Series([kind(text or "nan") for text in column], index=column.index)
        except ValueError:
            continue
    return column
