"""Links of the project's pages and notebooks, led to where their targets are in the site.

A page links to files of the project.  Some of them are pages of the site, under the same path or another one; other
files are taken along; what is neither has no place in the site, and its link becomes the text of it.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

_CODE = re.compile(
    r"^(?P<fence>```+|~~~+).*?^(?P=fence)|(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`)", re.DOTALL | re.MULTILINE
)
_LINK = re.compile(
    r"(?P<picture>!?)\[(?P<text>(?:[^\[\]]|\[[^\[\]]*\])*)\]"
    r"\((?:<(?P<spaced>[^<>\n]*)>|(?P<plain>[^()<>\s]+))(?P<title>\s+\"[^\"]*\")?\)"
)
_ANCHOR = re.compile(r'<a id="(?P<name>[^"]+)"></a>')


@dataclass(frozen=True)
class Places:
    """Where the files of a project are among the sources of a site.

    `root`: the project; `sources`: the folder that Sphinx reads; `pages`: path in the project -> path in the sources,
    of every page that the site has (`docs/method.md`, `notebooks/04_one_filter.ipynb`, `figures/laptop`).
    """

    root: Path
    sources: Path
    pages: Mapping[str, str] = field(default_factory=dict)

    def of(self, page: str, target: str) -> tuple[str, bool] | None:
        """Path in the sources of what a page (its path in the project) links to, and whether it is a page; else None.

        A file that is no page is copied beside the pages.
        """
        there = os.path.normpath(PurePosixPath(page).parent / target)
        if there in self.pages:
            return self.pages[there], True
        file = self.root / there
        if there.startswith("..") or not file.is_file() or there.endswith((".md", ".ipynb")):
            return None
        copy = self.sources / there
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
        return there, False


def relinked(text: str, page: str, staged: str, places: Places) -> str:
    """Markdown of a page with its relative links as they are in the site.

    `page`: its path in the project, from which its links start; `staged`: its path in the sources.  Links to other
    sites and into the page itself stay, and so does code.
    """

    def led(link: re.Match, path: str, mark: str, anchor: str) -> str:
        if (found := places.of(page, path)) is None:
            return link["text"]
        there, is_page = found
        relative = os.path.relpath(there, PurePosixPath(staged).parent)
        target = f"{relative}{mark}{anchor}" if is_page else relative
        target = f"<{target}>" if link["spaced"] else target
        return f"{link['picture']}[{link['text']}]({target}{link['title'] or ''})"

    return _each_relative(text, led)


def unlinked(text: str) -> str:
    """Markdown without its relative links, where MyST-NB takes them as they are: the output of a cell."""
    return _each_relative(text, lambda link, *_: link["text"])


def _each_relative(text: str, led: Callable[[re.Match, str, str, str], str]) -> str:
    """Text with each relative link replaced by what `led` makes of it, its path, "#" or "", and its anchor."""
    code = [span.span() for span in _CODE.finditer(text)]

    def one(link: re.Match) -> str:
        path, mark, anchor = (link["spaced"] or link["plain"] or "").partition("#")
        if not path or ":" in path or any(start <= link.start() < end for start, end in code):
            return link[0]
        return led(link, path, mark, anchor)

    return _LINK.sub(one, text)


def page_of(text: str, page: str, staged: str, places: Places) -> str:
    """Markdown of a page of the project as a source of the site: its links, and its anchors as MyST writes them."""
    return _ANCHOR.sub(r"[]{#\g<name>}", relinked(text, page, staged, places))
