"""What a disk refuses, in words: no room, or no right to write; which file it was, what is safe, and what to do."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_NO_RIGHT = (errno.EROFS, errno.EACCES, errno.EPERM)
_OF_DISKS = (*_NO_RIGHT, errno.EIO, errno.EFBIG)
# How libraries say that less was written than was to be: numpy, torch twice, and Rust.
_CUT_SHORT = re.compile(
    r"requested and \d+ written|iostream error|unexpected pos \d+ vs|PytorchStreamWriter failed"
    rf"|os error ({'|'.join(map(str, NO_ROOM))})\b"
)
_SAFE = "what was finished before is kept: make room, and the same command goes on from there"


class Full(OSError):
    """A disk without room; the message names the file, how much was to be written, if known, and what is safe."""

    def __str__(self) -> str:
        return self.strerror


def full(path: Path, needed: int | None = None) -> Full:
    """The error of a disk that has no room for a file of so many bytes, where that is known."""
    sizes = [] if needed is None else [f"{in_bytes(needed)} to be written"]
    with contextlib.suppress(OSError):
        there = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
        sizes.append(f"{in_bytes(shutil.disk_usage(there).free)} free")
    return Full(errno.ENOSPC, f"{path}: no room on its disk, or in its quota ({', '.join(sizes)}); {_SAFE}")


def is_full(error: BaseException | None) -> bool:
    """Whether this is the error of a disk without room, or was raised because of or after one."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            return True
        if isinstance(error, Exception) and _CUT_SHORT.search(str(error)):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextmanager
def naming(path: Path, needed: int | None = None) -> Iterator[None]:
    """Inside, what a disk refuses names this file, or in a folder the file written to last; no room is a `Full`.

    What is known of it already inside is said as it is there.
    """
    try:
        yield
    except Full:
        raise
    except Exception as error:
        if is_full(error):
            raise full(_last_written(path), needed) from error
        if isinstance(error, OSError) and error.errno in _OF_DISKS and error.filename is None:
            raise OSError(error.errno, error.strerror, str(_last_written(path))) from error
        raise


def in_words(error: Exception) -> str:
    """What an error says; of one of the file system with what to do about it, where that is known."""
    if not isinstance(error, OSError):
        return str(error)
    if isinstance(error, Full) or error.errno is None or error.filename is None:
        no_folder = isinstance(error, FileNotFoundError) and "temporary directory" in str(error)
        advice = "; let TMPDIR name a folder that can be written" if no_folder else ""
        return f"{error if error.errno not in NO_ROOM or isinstance(error, Full) else full(Path.cwd())}{advice}"
    path = Path(os.fsdecode(error.filename))
    if error.errno in NO_ROOM:
        return str(full(path))
    if error.errno in _NO_RIGHT:
        if error.errno != errno.EROFS and path.exists() and not os.access(path, os.R_OK):
            return f"{path} cannot be read ({error.strerror}): see to whom it belongs"
        return (
            f"{path} cannot be written ({error.strerror}): make it so, copy the project to a folder of yours, or let "
            "SINGLEFILTER_HOME name one, with notebooks/ in it where notebooks are to run"
        )
    return str(error)


def in_bytes(number: int) -> str:
    """A number of bytes as people say it."""
    for unit in ("bytes", "kB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "bytes" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"


def _last_written(path: Path) -> Path:
    """The file in a folder that was written to last; the path itself where it is none, or empty."""
    files = []
    with contextlib.suppress(OSError):
        inside = path.rglob("*") if path.is_dir() else ()
        files = [(file.stat().st_mtime_ns, file) for file in inside if file.is_file()]
    return max(files)[1] if files else path
