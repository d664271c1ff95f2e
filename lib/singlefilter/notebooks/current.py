"""Executed notebooks that a run would only make again: nothing that they are made of has changed since."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from singlefilter import profiles, provenance, store, surroundings
from singlefilter.notebooks.originals import runs
from singlefilter.notebooks.running import Asked, Outcome, execute_all

_NOTE = ".made-of.json"  # beside the executed notebooks of a profile


def execute_changed(
    notebooks: Sequence[Path], asked: Asked, jobs: int | None = None, again: bool = False
) -> tuple[list[Outcome], list[Path]]:
    """Run notebooks that have to be run, all of them if `again`: what came of these, and those that were current,
    each of which is said to be up to date."""
    there = [] if again else current(notebooks, asked)
    for path in there:
        print(f"{path.stem} ... up to date", flush=True)
    return execute_all([path for path in notebooks if path not in there], asked, jobs), there


def current(notebooks: Sequence[Path], asked: Asked) -> list[Path]:
    """Those whose executed copy, its page and figures are what a run would make of them.

    A copy is current while the notebook, the library, the profile, the packages, what is in the store, the figures
    of the profile and the copy itself are as they were when the last run of all notebooks had ended.  One that
    gathers what others came to (`originals.about`) never is.
    """
    try:
        noted = dict(json.loads((_folder(asked) / _NOTE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return []
    if noted.pop("", None) != _around(asked):
        return []
    return [path for path in notebooks if runs(path) != "last" and noted.get(path.name) == _of(path, asked)]


def keep(notebooks: Iterable[Path], asked: Asked) -> None:
    """Note of what the executed copies of these notebooks are made, all of which ran to their end."""
    with contextlib.suppress(OSError):  # without it they are run again
        store.write_json(
            _folder(asked) / _NOTE, {"": _around(asked)} | {path.name: _of(path, asked) for path in notebooks}
        )


def _folder(asked: Asked) -> Path:
    return store.project_root() / "build" / asked.name


def _of(path: Path, asked: Asked) -> str:
    """What one copy is made of, and what it is itself."""
    copy = _folder(asked) / path.name
    return store.digest([store.file_checksum(path), *map(_stamp, (copy, copy.with_suffix(".html")))])


def _around(asked: Asked) -> str:
    """What all copies are made of beside their notebooks."""
    library = surroundings.LIBRARY / "singlefilter"
    code = sorted(path for path in library.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    root = store.project_root()
    written = [*store.runs_folder().glob(f"*/{store.MANIFEST}"), *(root / "figures" / asked.name).glob("*")]
    return store.digest(
        [
            [(str(path.relative_to(library)), store.file_checksum(path)) for path in code],
            provenance.versions(),
            profiles.load(asked.profile),
            str(asked.data_dir),
            [(str(path.relative_to(root)), _stamp(path)) for path in sorted(written)],
        ]
    )


def _stamp(path: Path) -> list[int]:
    """Size and time of a file, nothing where there is none."""
    with contextlib.suppress(OSError):
        of = path.stat()
        return [of.st_size, of.st_mtime_ns]
    return []
