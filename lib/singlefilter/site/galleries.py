"""A page for each folder of figures: every figure with its caption, what one sees in it, and its table."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from singlefilter.drawing import require
from singlefilter.figures import registry
from singlefilter.site.words import escaped, with_symbols
from singlefilter.studies.declaration import Declaration, Words
from singlefilter.tablefiles import read_table

_FILES = {".csv": "table (.csv)", ".svg": "drawing (.svg)"}


@dataclass(frozen=True)
class Shown:
    """A figure in a folder; `words` is `None` where its table cannot be read, `problem` says why."""

    declared: Declaration
    picture: Path
    words: Words | None
    problem: str = ""


def figures(folder: Path) -> list[Shown]:
    """The figures in a folder, in the order of the registry."""
    every = registry.FIGURES | registry.OF_A_MACHINE
    return [_read(declared, folder) for name, declared in every.items() if (folder / f"{name}.png").is_file()]


def _read(declared: Declaration, folder: Path) -> Shown:
    picture = folder / f"{declared.name}.png"
    try:
        table = read_table(picture.with_suffix(".csv"), declared.columns)
        require(table, declared.columns, str(picture.with_suffix(".csv")))
        return Shown(declared, picture, declared.words(table))
    except (OSError, ValueError) as error:  # a TableError is one, and so is what no table is
        return Shown(declared, picture, None, str(error))


def anchor(notebook: str | None) -> str:
    """Name of the place in a gallery where the figures of a notebook begin."""
    return f"figures-of-{notebook or 'a-machine'}"


def page(title: str, shown: Sequence[Shown], staged: str, chapters: dict[str, tuple[str, str]], sources: Path) -> str:
    """A gallery in reStructuredText; pictures and tables are copied beside it.

    `staged`: its path in the sources; `chapters`: number of a notebook -> title of its chapter and its path there.
    """
    folder = (sources / staged).parent
    copies = folder / f"{PurePosixPath(staged).stem}_files"
    copies.mkdir(parents=True, exist_ok=True)
    for one in shown:
        shutil.copyfile(one.picture, copies / one.picture.name)
    lines = [_title(escaped(title), "="), *_thumbnails(shown, copies.name)]
    for number in dict.fromkeys(one.declared.notebook for one in shown):
        heading, chapter = chapters.get(number or "", (f"Notebook {number}" if number else "Of one machine", ""))
        relative = os.path.relpath(chapter, PurePosixPath(staged).parent) if chapter else ""
        lines += ["", *_anchor(anchor(number)), "", _title(escaped(heading), "-")]
        if relative:
            lines += [f":doc:`The chapter <{relative.removesuffix('.ipynb')}>` has the words around them.", ""]
        for one in (one for one in shown if one.declared.notebook == number):
            lines += _figure(one, copies)
    return "\n".join(lines) + "\n"


def _title(text: str, line: str) -> str:
    return f"{text}\n{line * max(len(text), 4)}\n"


def _thumbnails(shown: Iterable[Shown], folder: str) -> list[str]:
    lines = [".. container:: thumbnails", ""]
    for one in shown:
        lines += [
            f"   .. image:: {folder}/{one.picture.name}",
            f"      :target: #figure-{one.declared.name}",
            f"      :alt: {_plain(one.declared.title)}",
            "",
        ]
    return lines


def _figure(one: Shown, copies: Path) -> list[str]:
    links = []
    for ending, said in _FILES.items():
        if (file := one.picture.with_suffix(ending)).is_file():
            shutil.copyfile(file, copies / file.name)
            links.append(f":download:`{said} <{copies.name}/{file.name}>`")
    title = one.words.title if one.words else one.declared.title
    caption = with_symbols(one.words.caption) if one.words else escaped(f"{one.declared.shows} {one.problem}")
    alt = one.words.alt if one.words else one.declared.title
    return [
        "",
        *_anchor(f"figure-{one.declared.name}"),
        "",
        _title(with_symbols(title), "~"),
        f".. figure:: {copies.name}/{one.picture.name}",
        f"   :alt: {_plain(alt)}",
        "",
        f"   {caption}",
        "",
        " · ".join(links),
        "",
    ]


def _anchor(name: str) -> list[str]:
    return [".. raw:: html", "", f'   <span class="place" id="{name}"></span>']


def _plain(text: str) -> str:
    """Words in one line for an option of a directive, where a backslash alone is a mark."""
    return " ".join(text.split()).replace("\\", "\\\\")
