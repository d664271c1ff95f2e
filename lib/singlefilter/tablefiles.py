"""Tables of figures as they lie in files, which may have become anything since they were written."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from singlefilter.drawing import TEXT, TableError, decode_png, listed

LARGEST = 64 * 2**20  # bytes of a file; the largest there are take four million
LONGEST, LONGEST_PICTURE = 2_000, 200_000  # characters of a cell; pictures of figures take half of that at most
BEYOND = 1e18  # no number of a figure is as large
AGAIN = "Write the table again by running the stage that makes it."


def read_table(path: Path | str, columns: Sequence[str] = ()) -> pd.DataFrame:
    """A figure's table from its file: text stays text, an empty number is NaN.

    columns: those that a figure needs; each has to be there, with numbers where numbers are due.

    Raises `TableError`, which names the file and the line where there is one, for what is no such table: no UTF-8,
    lines of different length, a column or a row twice, a cell longer than any is, a picture that is none.
    """
    path = Path(path)
    text = _text_of(path)
    lines, records = _records(text, path)
    header, lines, records = records[0], lines[1:], records[1:]
    if twice := [name for place, name in enumerate(header) if name in header[:place]]:
        raise _wrong(path, 1, f"column {twice[0]} is there twice")
    if missing := [name for name in columns if name not in header]:
        raise TableError(f"{path} has no column {', '.join(missing)}. Columns it has: {listed(header)}. {AGAIN}")
    seen: dict[tuple[str, ...], int] = {}
    for line, record in zip(lines, records, strict=True):
        if len(record) != len(header):
            raise _wrong(path, line, f"{len(record)} fields, where the first line has {len(header)}")
        if (before := seen.setdefault(tuple(record), line)) != line:
            raise _wrong(path, line, f"the same as line {before}")
        for name, cell in zip(header, record, strict=True):
            if problem := _problem(name, cell, name in columns):
                raise _wrong(path, line, f"column {name}: {problem}")
    table = pd.DataFrame({name: pd.Series(column, dtype=str) for name, column in _by_column(header, records)})
    return table.assign(**{name: _numbers(table[name]) for name in header if name not in TEXT})


def _text_of(path: Path) -> str:
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise TableError(f"{path} is no file. Move it away. {AGAIN}")
    size = path.stat().st_size
    if size > LARGEST:
        raise TableError(f"{path} has {size} bytes, more than a table has ({LARGEST} at most). {AGAIN}")
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")  # programs that show tables put a mark at the beginning
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _wrong(path, line, f"a byte that is no UTF-8 (0x{content[error.start]:02x})") from error
    if "\0" in text:
        raise _wrong(path, text.count("\n", 0, text.index("\0")) + 1, "a byte that is zero")
    if not text.strip():
        raise TableError(f"{path} is empty. {AGAIN}")
    return text


def _records(text: str, path: Path) -> tuple[list[int], list[list[str]]]:
    """Records of a text, empty lines left out, and the line at which each begins."""
    lines, records, begun = [], [], 1
    before = csv.field_size_limit(LARGEST)  # of cells that are too long we say so ourselves
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for record in reader:
            if record:
                lines.append(begun)
                records.append(record)
            begun = reader.line_num + 1
    except csv.Error as error:
        raise _wrong(path, begun, f"cannot be read ({error})") from error
    finally:
        csv.field_size_limit(before)
    return lines, records


def _problem(name: str, cell: str, needed: bool) -> str:
    """What is wrong with a cell, "" where nothing is."""
    most = LONGEST_PICTURE if name == "png" else LONGEST
    if len(cell) > most:
        return f"{len(cell)} characters, more than a cell has ({most} at most)"
    if name == "png" and cell:
        try:
            decode_png(cell)
        except TableError as error:
            return str(error)
    if needed and name not in TEXT:
        try:
            number = float(cell or "nan")
        except ValueError:
            return f"{cell[:40]!r}, where a number is due"
        if BEYOND < abs(number) < math.inf or len(cell) > 100:
            return f"{cell[:40]!r}, which is no number that a figure can show"
    return ""


def _wrong(path: Path, line: int, problem: str) -> TableError:
    return TableError(f"{path}, line {line}: {re.sub(r'[.]$', '', problem)}. {AGAIN}")


def _by_column(header: list[str], records: list[list[str]]) -> list[tuple[str, list[str]]]:
    return [(name, [record[place] for record in records]) for place, name in enumerate(header)]


def _numbers(column: pd.Series) -> pd.Series:
    """Whole numbers or else floats; text where neither. Python's reading of a float is exact."""
    for kind in (int, float):
        try:
            return pd.Series([kind(text or "nan") for text in column], index=column.index)
        except ValueError:
            continue
    return column
