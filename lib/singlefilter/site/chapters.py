"""Executed notebooks as chapters: what is in `build/<profile>/`, made ready for MyST-NB.

A notebook stays what it is, with its outputs.  Links lead to chapters of the same profile, widgets, which have no
kernel here, give way to the text beside them, and a chapter that did not run to its end says so.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from singlefilter import notebooks
from singlefilter.site.links import Places, relinked, unlinked

_WIDGETS = ("application/vnd.jupyter.widget-view+json", "application/vnd.jupyter.widget-state+json")
_KEPT = ("kernelspec", "language_info")  # of a notebook's metadata; the state of widgets is not
_QUESTION = re.compile(r"\*\*The question\.\*\*\s*(.+?)(?:\n\s*\n|\Z)", re.DOTALL)


@dataclass(frozen=True)
class Chapter:
    """An executed notebook.  `number`: "05" or "05b"; `problem`: why it is not whole, "" where it is."""

    path: Path
    title: str
    question: str
    problem: str
    content: dict

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def number(self) -> str:
        return notebooks.number(self.path)


def executed(folder: Path) -> list[Chapter]:
    """Chapters of a folder of notebooks, in the order of their numbers; what is no notebook is left out."""
    found = (_read(path) for path in notebooks.found_in(folder))
    return [chapter for chapter in found if chapter]


def _read(path: Path) -> Chapter | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        texts = ["".join(cell["source"]) for cell in content["cells"] if cell["cell_type"] == "markdown"]
        problem = _problem(content["cells"])
    except (OSError, ValueError, KeyError, TypeError):  # half written, or something else under that name
        return None
    prose = "\n\n".join(texts)
    title = next((line[2:].strip() for line in prose.splitlines() if line.startswith("# ")), path.stem)
    question = _QUESTION.search(prose)
    return Chapter(path, title, " ".join(question[1].split()) if question else "", problem, content)


def _problem(cells: Iterable[dict]) -> str:
    code = [cell for cell in cells if cell["cell_type"] == "code" and "".join(cell["source"]).strip()]
    for cell in code:
        for output in cell["outputs"]:
            if output["output_type"] == "error":
                return f"This run ended with an error, {output['ename']}; what stands below it was not run."
    if any(cell["execution_count"] is None for cell in code):
        return "This notebook has not been run to its end: some cells have no output yet."
    return ""


def staged(chapter: Chapter, suffix: str, to: str, places: Places) -> str:
    """A chapter as a source of the site, as JSON.

    `suffix`: what is added to its title (the profile, where there are several); `to`: its path in the sources.
    """
    cells, titled = [], False
    for cell in chapter.content["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            text = relinked(text, f"notebooks/{chapter.path.name}", to, places)
            if not titled and (title := re.search(r"^# .*$", text, re.MULTILINE)):
                titled = True
                note = f"\n\n```{{warning}}\n{chapter.problem}\n```" if chapter.problem else ""
                text = f"{text[: title.end()].rstrip()}{suffix}{note}{text[title.end() :]}"
        changed = cell | {"source": text}
        if cell["cell_type"] == "code":
            changed["outputs"] = [output for one in cell["outputs"] if (output := _shown(one))]
        cells.append(changed)
    metadata = {key: value for key, value in chapter.content["metadata"].items() if key in _KEPT}
    if not titled:
        cells.insert(0, {"cell_type": "markdown", "metadata": {}, "source": f"# {chapter.title}{suffix}"})
    for cell in cells:
        cell["metadata"] = {"tags": cell["metadata"].get("tags", [])}
        cell.pop("id", None)
    return json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 4})


def _shown(output: dict) -> dict | None:
    """An output without what needs a kernel, and without links to files; `None` where nothing else is in it."""
    if "data" not in output:
        return output
    data = {kind: content for kind, content in output["data"].items() if kind not in _WIDGETS}
    if len(data) < len(output["data"]) and not set(data) - {"text/plain"}:
        return None
    if "text/markdown" in data:
        data["text/markdown"] = unlinked("".join(data["text/markdown"]))
    return output | {"data": data}


def pictures(chapter: Chapter) -> dict[str, str]:
    """SHA-256 of each picture among the outputs, as MyST-NB names its file, -> what one sees in it.

    Where a picture says nothing of itself, the heading above it speaks for it.
    """
    said, heading = {}, chapter.title
    for cell in chapter.content["cells"]:
        if cell["cell_type"] == "markdown":
            for line in "".join(cell["source"]).splitlines():
                heading = line.lstrip("# ").strip() if re.match(r"#+ ", line) else heading
        for output in cell.get("outputs", []):
            for kind, content in output.get("data", {}).items():
                if kind.startswith("image/") and (digest := _digest(kind, "".join(content))):
                    alt = output.get("metadata", {}).get(kind, {}).get("alt")
                    said[digest] = alt or f"Picture to the section “{heading}”"
    return said


def _digest(kind: str, content: str) -> str | None:
    """What MyST-NB calls the file of a picture: SHA-256 of its bytes; `None` where it is damaged."""
    if kind == "image/svg+xml":
        return hashlib.sha256(os.linesep.join(content.splitlines()).encode()).hexdigest()
    try:
        return hashlib.sha256(base64.b64decode(content)).hexdigest()
    except binascii.Error:
        return None
