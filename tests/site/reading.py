"""What a page of the site holds, read from its HTML: ids, links, what it loads, pictures."""

from dataclasses import dataclass, field
from functools import cached_property
from html.parser import HTMLParser
from pathlib import Path

_LOADING = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "object": "data"}
_QUIET = {
    "canonical",
    "next",
    "prev",
    "index",
    "search",
    "genindex",
    "author",
    "copyright",
}  # rel of what is not loaded


class _Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.ids, self.links, self.loaded, self.pictures, self.text = set(), [], [], [], []
        self.styles, self._inside = [], []

    def handle_starttag(self, tag, attrs):
        of = {name: value or "" for name, value in attrs}
        self._inside.append(tag)
        if "id" in of:
            self.ids.add(of["id"])
        if tag == "a" and "href" in of:
            self.links.append(of["href"])
        if tag == "img":
            self.pictures.append(of)
        if tag == "link" and not set(of.get("rel", "").split()) & _QUIET:
            self.loaded.append(of["href"])
        elif tag in _LOADING and _LOADING[tag] in of:
            self.loaded.append(of[_LOADING[tag]])
        self.styles.append(of.get("style", ""))

    def handle_endtag(self, tag):
        while self._inside and self._inside.pop() != tag:
            pass

    def handle_data(self, data):
        inside = self._inside[-1] if self._inside else ""
        (self.styles if inside == "style" else [] if inside == "script" else self.text).append(data)


@dataclass(frozen=True)
class Page:
    path: Path
    html: str = field(repr=False)

    @cached_property
    def read(self) -> _Reader:
        reader = _Reader()
        reader.feed(self.html)
        return reader

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.read.text).split())


class Site:
    """The pages of a folder of HTML, by their paths in it."""

    def __init__(self, folder: Path, complaints: str, seconds: float):
        self.folder, self.complaints, self.seconds = folder, complaints, seconds  # of the processor
        self.pages = {
            path.relative_to(folder).as_posix(): Page(path, path.read_text(encoding="utf-8"))
            for path in sorted(folder.rglob("*.html"))
        }

    def __getitem__(self, name: str) -> Page:
        return self.pages[name]
