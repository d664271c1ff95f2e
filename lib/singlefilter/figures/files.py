"""The files of a figure, and drawing them again.

A figure is three files of one name in one folder: the table (.csv) and its drawings (.png, .svg), drawn from
the table as read back from its file, so that drawing again later gives the same bytes.
"""

import csv
import io
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from singlefilter import lettering, store
from singlefilter.drawing import TableError, require, style
from singlefilter.figures import registry
from singlefilter.tablefiles import read_table


class NotDrawn(TableError):
    """Some figures could not be drawn; the message names the table of each, and why; `written` are the others'."""

    def __init__(self, failed: list[str], written: list[Path], of: int):
        others = ", the others are drawn" if written else ""
        super().__init__("\n".join([f"{len(failed)} of {of} figures failed{others}:", *failed]))
        self.written = written


def publish(name: str, table: pd.DataFrame, folder: Path | str) -> Figure:
    """Write `folder/name.csv`, `.png` (200 dpi) and `.svg`; the figure, drawn from the written table.

    Each file is replaced as a whole or not at all. Raises `TableError` (a `ValueError`) for an unknown name
    and for a table without rows or without a column that the figure needs, nothing being written then, and
    `OSError` where a file cannot be written.
    """
    require(table, registry.figure(name).columns, f"The table of figure '{name}'")
    path = Path(folder) / f"{name}.csv"
    _write(path, _as_csv(table))
    return _draw(path)[0]


def redraw(folder: Path | str, names: Iterable[str] | None = None) -> list[Path]:
    """Draw the figures of a folder again from their tables alone; the paths of the drawings written.

    `names` chooses figures; left out, every .csv of the folder is drawn.  Raises `TableError` for a name that is no
    figure's and for a table that is not there, before anything is drawn, and `NotDrawn` in the end for tables that
    cannot be drawn from, all others being drawn.
    """
    folder = Path(folder)
    there = sorted(path.stem for path in folder.glob("*.csv"))
    if not there:
        raise TableError(f"No tables (.csv) to draw from in {folder}. Run a profile first; it writes them.")
    chosen = there if names is None else list(names)
    for name in chosen if names is not None else ():
        registry.figure(name)
        if name not in there:
            raise TableError(f"No table {folder / name}.csv. Tables in this folder: {', '.join(there)}.")
    written, failed = [], []
    for name in chosen:
        path = folder / f"{name}.csv"
        try:
            written += _draw(path)[1]
        except TableError as error:
            failed.append(str(error) if str(path) in str(error) else f"{path}: {error}")
        except Exception as error:  # whatever a chart makes of it
            failed.append(f"{path}: {type(error).__name__}: {error}")
    if failed:
        raise NotDrawn(failed, written, len(chosen))
    return written


def _draw(path: Path) -> tuple[Figure, list[Path]]:
    declared = registry.figure(path.stem)
    table = read_table(path, declared.columns)
    require(table, declared.columns, str(path))
    fig = declared.drawn(table)
    # No dates and no versions in the files: the same table gives the same bytes.
    without = {".png": {"Software": None}, ".svg": {"Date": None, "Creator": None}}
    for ending, metadata in without.items():
        drawing = io.BytesIO()
        with style():
            fig.savefig(drawing, format=ending[1:], dpi=200, metadata=metadata)
        _write(path.with_suffix(ending), drawing.getvalue())
    return fig, [path.with_suffix(ending) for ending in without]


def _as_csv(table: pd.DataFrame) -> bytes:
    flags = {column: int for column in table.columns if table[column].dtype == bool}
    # A carriage return in a name would end its line; where there is none, nothing is quoted that need not be.
    quoting = csv.QUOTE_ALL if "\r" in lettering.text_of(table) else csv.QUOTE_MINIMAL
    return table.astype(flags).to_csv(index=False, lineterminator="\n", quoting=quoting).encode("utf-8")


def _write(path: Path, content: bytes) -> None:
    with store.atomic_file(path) as temporary:
        temporary.write_bytes(content)
