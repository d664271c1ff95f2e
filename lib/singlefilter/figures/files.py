"""The files of a figure, and drawing them again.

A figure is three files of one name in one folder: the table (.csv) and its drawings (.png, .svg), drawn from
the table as read back from its file, so that drawing again later gives the same bytes.  For print it is a .pdf, its
title and caption in a page of text beside it.
"""

import csv
import io
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from singlefilter import lettering, store
from singlefilter.drawing import TableError, caption, in_print, read_table, require, style
from singlefilter.figures import registry


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

    `names` chooses figures; left out, every .csv of the folder is drawn. Raises `TableError` for a name
    or a table that is no figure's and for a table that is not there, before anything is drawn.
    """
    folder = Path(folder)
    return [path for name in _chosen(folder, names) for path in _draw(folder / f"{name}.csv")[1]]


def join(folder: Path | str) -> list[Path]:
    """Write the tables that a folder lacks and that can be made of others in it; their paths.

    Raises `TableError` where a table that one would be made of is not as it should be.
    """
    folder, written = Path(folder), []
    for declared in registry.FIGURES.values():
        path = folder / f"{declared.name}.csv"
        if declared.joined is None or path.exists():
            continue
        names, make = declared.joined
        sources = [folder / f"{name}.csv" for name in names]
        if all(source.exists() for source in sources):
            tables = [read_table(source) for source in sources]
            for name, table, source in zip(names, tables, sources, strict=True):
                require(table, registry.figure(name).columns, str(source))
            _write(path, _as_csv(make(*tables)))
            written.append(path)
    return written


def to_print(folder: Path | str, to: Path | str, names: Iterable[str] | None = None) -> list[Path]:
    """Draw the figures of a folder for print, from their tables alone, as `to/name.pdf`, and write `to/captions.md`.

    Each is as wide as one or both columns of a page, as its figure says, without title and caption, which are in
    the page of text in order, with its width.  Returns the paths; raises `TableError` as `redraw` does, before
    anything is drawn.
    """
    folder, to = Path(folder), Path(to)
    chosen = sorted(_chosen(folder, names), key=lambda name: [*registry.FIGURES, *registry.OF_A_MACHINE].index(name))
    tables = {name: read_table(folder / f"{name}.csv") for name in chosen}
    for name, table in tables.items():
        require(table, registry.figure(name).columns, str(folder / f"{name}.csv"))
    written, said = [], [f"# Figures of {folder.name}, for print\n"]
    for number, (name, table) in enumerate(tables.items(), 1):
        declared = registry.figure(name)
        with in_print(declared.across):
            fig = declared.drawn(table)
            drawing = io.BytesIO()
            with style():
                fig.savefig(drawing, format="pdf", metadata={"CreationDate": None, "Creator": None, "Producer": None})
        written.append(to / f"{name}.pdf")
        _write(written[-1], drawing.getvalue())
        words, width = declared.words(table), round(25.4 * fig.get_figwidth())
        text = caption(table, words.caption, declared.draw.common)
        said.append(
            f"**Figure {number}. {words.title}.** {text}\n\n{name}.pdf, {width} mm wide\n".replace("?.**", "?**")
        )
    written.append(to / "captions.md")
    _write(written[-1], "\n".join(said).encode("utf-8"))
    return written


def _chosen(folder: Path, names: Iterable[str] | None) -> list[str]:
    """The figures named, or all that a folder has tables of; `TableError` for one that is not there."""
    there = sorted(path.stem for path in folder.glob("*.csv"))
    if not there:
        raise TableError(f"No tables (.csv) to draw from in {folder}. Run a profile first; it writes them.")
    chosen = there if names is None else list(names)
    for name in chosen:
        registry.figure(name)
        if name not in there:
            raise TableError(f"No table {folder / name}.csv. Tables in this folder: {', '.join(there)}.")
    return chosen


def _draw(path: Path) -> tuple[Figure, list[Path]]:
    declared = registry.figure(path.stem)
    table = read_table(path)
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
