"""The manifest that seals a stage: what it is, the checksum of every file, and where it comes from.

A manifest is of the folder it lies in: name and configuration in it give the folder's name.  It has a checksum of its
own fields, which those made before there was one lack; their configuration and files are covered all the same.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path, PurePosixPath

from singlefilter import provenance
from singlefilter.store import keys, writing

MANIFEST = "manifest.json"
CHECKSUM = "checksum"
_NEEDED = {
    "name": str,
    "config": dict,
    "files": dict,
    "seconds": int | float,
    "versions": dict,
    "machine": dict,
    "commit": str,
}
_MORE = {"computing": dict, "packed": dict, CHECKSUM: str}  # which came later, or only some have


class Unsealed(ValueError):
    """A manifest that is none, or not that of its folder; the message says why."""


def seal(work: Path, name: str, config: object, seconds: float, code: str) -> None:
    """Write the manifest of the files in a folder.  Raises `RuntimeError` where there are none."""
    files = {
        path.relative_to(work).as_posix(): {"bytes": path.stat().st_size, "sha256": writing.file_checksum(path)}
        for path in sorted(work.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    }
    if not files:
        raise RuntimeError(f"stage {name!r} wrote no files into {work}")
    content = {
        "name": name,
        "config": config,
        "files": files,
        "seconds": round(seconds, 2),
        "versions": provenance.versions(),
        "machine": provenance.machine(),
        "computing": provenance.computing(),
        "commit": code,
    }
    writing.write_json(work / MANIFEST, sealed(content))


def sealed(content: dict) -> dict:
    """The content of a manifest with its checksum, whatever it had before."""
    content = {key: value for key, value in content.items() if key != CHECKSUM}
    return content | {CHECKSUM: keys.digest(content)}


def read(folder: Path) -> dict:
    """Manifest of the stage in a folder, all fields there and of their kinds.

    Raises `Unsealed` for what is no manifest or another folder's, `FileNotFoundError` where there is none, and
    `OSError` where it cannot be read.
    """
    path = folder / MANIFEST
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise Unsealed("no file")
    return checked(path.read_bytes(), folder.name)


def checked(text: bytes, folder: str) -> dict:
    """Manifest from its text, known to be that of a folder of this name.  Raises `Unsealed`."""
    try:
        content = json.loads(text.decode("utf-8"), parse_constant=_refuse, object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as error:
        raise Unsealed(f"not readable ({error})") from error
    if not isinstance(content, dict):
        raise Unsealed("no mapping")
    if missing := sorted(_NEEDED.keys() - content.keys()):
        raise Unsealed(f"without {', '.join(missing)}")
    if unknown := sorted(content.keys() - _NEEDED.keys() - _MORE.keys()):
        raise Unsealed(f"with an unknown {unknown[0]!r}")
    for key, kind in (_NEEDED | _MORE).items():
        if key in content and (not isinstance(content[key], kind) or isinstance(content[key], bool)):
            raise Unsealed(f"{key} is no {getattr(kind, '__name__', 'number')}")
    if not (content["seconds"] >= 0 and math.isfinite(content["seconds"])):
        raise Unsealed(f"{content['seconds']} seconds")
    if CHECKSUM in content and content != sealed(content):
        raise Unsealed("its fields are not those it was written with")
    if (name := f"{content['name']}-{keys.config_key(content['config'])}") != folder:
        raise Unsealed(f"it is that of {name}")
    for file, entry in content["files"].items():
        _check_entry(file, entry)
    return content


def damaged_file(folder: Path, content: dict) -> str | None:
    """The first file of a stage that is not as its manifest says, or None when all are."""
    for name, entry in content["files"].items():
        path = folder / name
        there = path.is_file() and path.stat().st_size == entry["bytes"]
        if not there or writing.file_checksum(path) != entry["sha256"]:
            return name
    return None


def _check_entry(file: str, entry: object) -> None:
    """Raise `Unsealed` for a file that is outside of the folder, or has no size and checksum."""
    path = PurePosixPath(file)
    if not path.parts or path.is_absolute() or ".." in path.parts or "\\" in file or "\0" in file:
        raise Unsealed(f"it names {file!r}, which is no file of the folder")
    if not isinstance(entry, dict) or entry.keys() != {"bytes", "sha256"}:
        raise Unsealed(f"{file} without size and checksum")
    size, checksum = entry["bytes"], entry["sha256"]
    if type(size) is not int or not isinstance(checksum, str) or not re.fullmatch("[0-9a-f]{64}", checksum):
        raise Unsealed(f"{file} without size and checksum")


def _each_once(pairs: list[tuple[str, object]]) -> dict:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key twice")
    return dict(pairs)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")
