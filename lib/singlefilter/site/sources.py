"""The sources of a site, from what a project holds: chapters, galleries, claims, its pages and its library's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from singlefilter.drawing import COMMON
from singlefilter.figures import registry
from singlefilter.site import chapters, claims, galleries, reference, start
from singlefilter.site.links import Places, page_of
from singlefilter.site.results import Results
from singlefilter.tablefiles import read_table

TOP = ("README.md", "DEVIATIONS.md", "CONTRIBUTING.md")
FIRST = ("method", "glossary", "results", "profiles", "course", "references")  # of docs/, others behind them


@dataclass
class Written:
    """What was written: pages by the project's path, alt texts by picture, and which pages are the same in another
    profile, for the switch: path of a page without ending -> profile -> path and what is there."""

    alts: dict[str, str] = field(default_factory=dict)
    switch: dict[str, list[tuple[str, str, str]]] = field(default_factory=dict)


def write(root: Path, of: Sequence[Results], folder: Path) -> Written:
    """Write the sources of the site of a project into a folder.

    `root`: the project; `of`: the results of its profiles, in the order in which readers see them.
    """
    pages = {name: name for name in (*TOP, *documents(root)) if (root / name).is_file()}
    written = Written()
    whole = [results for results in of if results.chapters]
    for results in reversed(of):  # the first one that has a chapter is where links to it lead
        pages |= {f"notebooks/{chapter.path.name}": results.staged(chapter) for chapter in results.chapters}
    pages |= {f"figures/{results.name}": results.gallery for results in of if results.figures}
    if galleries_there := [results.gallery for results in of if results.figures]:
        pages["figures"] = galleries_there[0]
    places = Places(root, folder, pages)
    for name in pages:
        if name.endswith(".md"):
            _put(folder / name, page_of((root / name).read_text(encoding="utf-8"), name, name, places))
    for results in of:
        _profile(results, len(whole) > 1, places, written)
    tables = {results.name: table for results in of if (table := _claims(results.folder)) is not None}
    if tables:
        homes = {results.name: results.home.removesuffix(".md") for results in of}
        method = "docs/method.md" if "docs/method.md" in pages else ""
        _put(folder / "claims.md", claims.page(tables, homes, method))
    for name, text in reference.pages().items():
        _put(folder / "api" / f"{name}.rst", text)
    _put(folder / "index.md", start.page(of, [name for name in pages if name.endswith(".md")], places, bool(tables)))
    written.switch = start.switch(of)
    return written


def documents(root: Path) -> list[str]:
    """Pages of `docs/` by their path in the project, in the order of reading."""
    stems = [path.stem for path in sorted((root / "docs").glob("*.md"))]
    order = [*(stem for stem in FIRST if stem in stems), *(stem for stem in stems if stem not in FIRST)]
    return [f"docs/{stem}.md" for stem in order]


def _profile(results: Results, several: bool, places: Places, written: Written) -> None:
    """The pages of one profile: its own, its chapters, its gallery, and its explorer as it is."""
    own = {f"notebooks/{chapter.path.name}": results.staged(chapter) for chapter in results.chapters}
    places = Places(places.root, places.sources, {**places.pages, **own})
    suffix = f" · {results.name}" if several else ""
    for chapter in results.chapters:
        to = results.staged(chapter)
        _put(places.sources / to, chapters.staged(chapter, suffix, to, places))
        written.alts |= chapters.pictures(chapter)
    if results.figures:
        titles = {chapter.number: (chapter.title, "") for chapter in chapters.executed(places.root / "notebooks")}
        titles |= {chapter.number: (chapter.title, results.staged(chapter)) for chapter in results.chapters}
        text = galleries.page(f"Figures of {results.name}", results.figures, results.gallery, titles, places.sources)
        _put(places.sources / results.gallery, text)
    _put(places.sources / results.home, start.of_profile(results, places))


def _claims(folder: Path) -> pd.DataFrame | None:
    try:
        return read_table(folder / "claims.csv", (*registry.figure("claims").columns, *COMMON))
    except (OSError, ValueError):  # the gallery says what is wrong with it
        return None


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
