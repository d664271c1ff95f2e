"""The files of a figure, and drawing them again.

A figure is three files of one name in one folder: the table (.csv) and its drawings (.png, .svg), drawn from
the table as read back from its file, so that drawing again later gives the same bytes.  For print it is a .pdf, its
title and caption in a page of text beside it.
"""

import csv
import io
from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from singlefilter import lettering, store
from singlefilter.drawing import TableError, caption, in_print, require, style
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
    return _each(folder, _chosen(folder, names), lambda path: _draw(path)[1])


def join(folder: Path | str) -> list[Path]:
    """Write the tables that a folder lacks and that can be made of others in it; their paths.

    One of which a table is damaged is left out: `redraw` names what is wrong with that.
    """
    folder, written = Path(folder), []
    for declared in registry.FIGURES.values():
        path = folder / f"{declared.name}.csv"
        if declared.joined is None or path.exists():
            continue
        names, make = declared.joined
        sources = [folder / f"{name}.csv" for name in names]
        if all(source.exists() for source in sources):
            try:
                tables = [_table(name, source) for name, source in zip(names, sources, strict=True)]
            except TableError:
                continue
            _write(path, _as_csv(make(*tables)))
            written.append(path)
    return written


def to_print(folder: Path | str, to: Path | str, names: Iterable[str] | None = None) -> list[Path]:
    """Draw the figures of a folder for print, from their tables alone, as `to/name.pdf`, and write `to/captions.md`.

    Each is as wide as one or both columns of a page, as its figure says, without title and caption, which are in
    the page of text in order, with its width.  Returns the paths; raises as `redraw` does.
    """
    folder, to = Path(folder), Path(to)
    order = {name: place for place, name in enumerate([*registry.FIGURES, *registry.OF_A_MACHINE])}
    chosen = sorted(_chosen(folder, names), key=lambda name: order.get(name, len(order)))
    said = []

    def printed(path: Path) -> list[Path]:
        name, declared = path.stem, registry.figure(path.stem)
        table = _table(name, path)
        with in_print(declared.across):
            fig = declared.drawn(table)
            drawing = io.BytesIO()
            with style():
                fig.savefig(drawing, format="pdf", metadata={"CreationDate": None, "Creator": None, "Producer": None})
        _write(to / f"{name}.pdf", drawing.getvalue())
        words, width = declared.words(table), round(25.4 * fig.get_figwidth())
        text = caption(table, words.caption, declared.draw.common)
        title = f"**Figure {len(said) + 1}. {words.title}.**".replace("?.**", "?**")
        said.append(f"{title} {text}\n\n{name}.pdf, {width} mm wide\n")
        return [to / f"{name}.pdf"]

    try:
        written = _each(folder, chosen, printed)
    finally:
        captions = "\n".join([f"# Figures of {folder.name}, for print\n", *said])
        _write(to / "captions.md", captions.encode("utf-8"))
    return [*written, to / "captions.md"]


def _each(folder: Path, names: list[str], draw: Callable[[Path], list[Path]]) -> list[Path]:
    """What is written of each table; `NotDrawn` in the end for those that cannot be drawn from."""
    written, failed = [], []
    for name in names:
        path = folder / f"{name}.csv"
        try:
            written += draw(path)
        except TableError as error:
            failed.append(str(error) if str(path) in str(error) else f"{path}: {error}")
        except OSError:  # of the disk, and no fault of a table
            raise
        except Exception as error:  # whatever a chart makes of it
            failed.append(f"{path}: {type(error).__name__}: {error}")
    if failed:
        raise NotDrawn(failed, written, len(names))
    return written


def _table(name: str, path: Path) -> pd.DataFrame:
    """The table of a figure, with all that the figure needs."""
    columns = registry.figure(name).columns
    table = read_table(path, columns)
    require(table, columns, str(path))
    return table


def _chosen(folder: Path, names: Iterable[str] | None) -> list[str]:
    """The figures named, or all that a folder has tables of; `TableError` for one that is not there."""
    there = sorted(path.stem for path in folder.glob("*.csv"))
    if not there:
        raise TableError(f"No tables (.csv) to draw from in {folder}. Run a profile first; it writes them.")
    chosen = there if names is None else list(names)
    for name in chosen if names is not None else ():
        registry.figure(name)
        if name not in there:
            raise TableError(f"No table {folder / name}.csv. Tables in this folder: {', '.join(there)}.")
    return chosen


def _draw(path: Path) -> tuple[Figure, list[Path]]:
    declared = registry.figure(path.stem)
    table = _table(path.stem, path)
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
