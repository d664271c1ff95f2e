"""What there is of each profile: chapters in `build/<profile>/`, figures in `figures/<profile>/`."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from singlefilter import notebooks, profiles
from singlefilter.site import chapters, galleries
from singlefilter.site.chapters import Chapter
from singlefilter.site.galleries import Shown

_EXPLORER = "explorer.html"


@dataclass(frozen=True)
class Results:
    """The chapters and figures of a profile.  `folder`: that of its figures; `expected`: number and title of each
    notebook of the project; `explorer`: a page to play with, where one was made."""

    name: str
    folder: Path
    chapters: tuple[Chapter, ...]
    figures: tuple[Shown, ...]
    explorer: Path | None

    @property
    def place(self) -> str:
        """Folder of its pages in the site."""
        return "profiles/" + re.sub(r"[^A-Za-z0-9.-]", lambda sign: f"_{ord(sign[0]):x}", self.name)

    @property
    def home(self) -> str:
        return f"{self.place}/index.md"

    @property
    def gallery(self) -> str:
        return f"{self.place}/gallery.rst"

    def staged(self, chapter: Chapter) -> str:
        """Path of a chapter in the sources."""
        return f"{self.place}/{chapter.path.name}"

    @property
    def of_a_machine(self) -> bool:
        """Whether its figures are those of a machine, and of no profile."""
        return bool(self.figures) and all(one.declared.notebook is None for one in self.figures)

    def purpose(self) -> str:
        """What the profile is for, in a sentence; "" where nobody knows."""
        try:
            return profiles.load(self.name).purpose
        except profiles.ProfileError:
            return str(self.provenance().get("profile", {}).get("purpose", ""))

    def provenance(self) -> dict:
        """Where its figures say they come from; empty where they do not."""
        try:
            found = json.loads((self.folder / "provenance.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


def found(root: Path, first: Sequence[str]) -> list[Results]:
    """The results of every profile of a project: those named first, then those with chapters, then the others.

    A profile without chapters and without figures is left out.
    """
    built = {path.name for path in (root / "build").glob("*/") if notebooks.found_in(path)}
    drawn = {path.parent.name for path in (root / "figures").glob("*/*.csv")}
    every = [_of(root, name) for name in dict.fromkeys([*first, *sorted(built | drawn)]) if name in built | drawn]

    def place(one: Results) -> int:
        return 0 if one.name in first else 1 if one.chapters else 3 if one.of_a_machine else 2

    return sorted((one for one in every if one.chapters or one.figures), key=place)


def _of(root: Path, name: str) -> Results:
    folder = root / "figures" / name
    explorers = (place / _EXPLORER for place in (root / "build" / name, folder))
    return Results(
        name,
        folder,
        tuple(chapters.executed(root / "build" / name)),
        tuple(galleries.figures(folder)),
        next((path for path in explorers if path.is_file()), None),
    )
