"""Files that are there as a whole or not at all, their checksums, and what is moved out of the way."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from singlefilter.store import refusals
from singlefilter.store.keys import plain

TEMPORARY = ".unfinished-"
PARTIAL = ".partial"  # what the work folder of a stage ends in


@contextmanager
def atomic_file(path: Path, size: int | None = None) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends well, and vanishes otherwise.

    size: bytes that are to be written, where that is known.  Raises `refusals.Full` where the disk has no room.
    """
    with refusals.naming(path, size):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{TEMPORARY}{path.name}.", suffix=path.suffix)
        except OSError as error:  # names a file that nobody has heard of
            raise OSError(error.errno, error.strerror, str(path)) from error
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(temporary, 0o666 & ~umask)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):  # the first error is the one to be told
                temporary.unlink(missing_ok=True)
            raise


def write_json(path: Path, content: object) -> None:
    """Write JSON atomically, keys sorted, dataclasses as mappings."""
    text = json.dumps(plain(content), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    with atomic_file(path, len(text.encode())) as temporary:
        temporary.write_text(text, encoding="utf-8")


def file_checksum(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def note(path: Path, words: str) -> None:
    """Keep a few words beside a stage, with the name that they lie under and a checksum, best read by `noted`."""
    if path.exists() and not path.is_file():
        set_aside(path)
    with atomic_file(path) as temporary:
        temporary.write_text(f"{words}\n{_sum(path, words)}\n", encoding="utf-8")


def noted(path: Path) -> str | None:
    """What `note` kept there; None where there is nothing, or something else.

    Raises `OSError` where it cannot be read.
    """
    if not path.is_file():  # a pipe would be waited for
        return None
    with contextlib.suppress(UnicodeDecodeError):
        words, _, checksum = path.read_text(encoding="utf-8").removesuffix("\n").rpartition("\n")
        if checksum == _sum(path, words):
            return words
    return None


def _sum(path: Path, words: str) -> str:
    return hashlib.sha256(f"{path.name}\n{words}".encode()).hexdigest()


def stage_of(path: Path) -> str:
    """The name of the stage in whose work folder a file lies, "" for one elsewhere."""
    return path.parent.name.removesuffix(PARTIAL) if path.parent.name.endswith(PARTIAL) else ""


def set_aside(path: Path) -> Path:
    """Move what is not as it should be out of the way, whatever it is; its new place.

    That is beside it, or beside the stage whose work folder it lies in, since that becomes the stage.
    """
    name = f"{path.name}.damaged-{time.time_ns()}"
    stage = stage_of(path)
    aside = path.parent.with_name(f"{stage}.{name}") if stage else path.with_name(name)
    os.replace(path, aside)
    return aside
