"""Locks, which die with the process that holds them: one for each stage that is being built, all in one folder.

Who has to wait says so, once, and names who has the lock.
"""

from __future__ import annotations

import contextlib
import getpass
import logging
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from singlefilter.store import writing
from singlefilter.store.manifests import MANIFEST

log = logging.getLogger(__name__)

LOCKS = ".locks"  # its files stay: one that is removed while somebody waits for it locks nothing any more
SWEEPS = ".sweeps"
SECONDS_TO_DIE = 24 * 3600  # what a sweep without a lock has not touched for so long is no sweep any more
_ENDING = ".lock"
_HOLDER = ".by"  # a note beside a lock, of who has it


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Inside, no other process is where the same stage is locked, be it of a version that had locks beside stages."""
    beside = folder.with_name(folder.name + _ENDING)
    with (
        held(_lock(folder.parent, folder.name), folder.name),
        held(FileLock(beside), folder.name) if beside.exists() else contextlib.nullcontext(),
    ):
        yield


@contextmanager
def held(lock: FileLock, what: str) -> Iterator[None]:
    """Inside, this process has a lock; where another has it, that is said, and its end waited for.

    what: what the lock is for, in words.
    """
    holder = Path(lock.lock_file + _HOLDER)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        log.warning("%s: another run is at it (%s); this one waits until that one is done", what, _named(holder))
        lock.acquire()
    try:
        with contextlib.suppress(OSError):
            writing.note(holder, _who())
        yield
    finally:
        with contextlib.suppress(OSError):
            holder.unlink(missing_ok=True)
        lock.release()


def tidy(runs: Path) -> None:
    """Remove locks that were left beside stages, of those that are finished and that nobody holds."""
    for path in runs.glob(f"*-*{_ENDING}"):
        if (path.with_suffix("") / MANIFEST).exists():
            with contextlib.suppress(OSError), FileLock(path, timeout=0):
                path.unlink()


@contextmanager
def folder_while_alive(runs: Path) -> Iterator[Path]:
    """A folder in the store for as long as this process is in here; those of processes that died are removed."""
    folders = runs / SWEEPS
    folders.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as held:
        with _lock(runs, SWEEPS.strip(".")):
            _remove_dead(runs)
            own = Path(tempfile.mkdtemp(prefix="sweep-", dir=folders))
            held.callback(shutil.rmtree, own, ignore_errors=True)
            held.enter_context(FileLock(own / _ENDING))
        yield own


def remove_dead(runs: Path) -> None:
    """Remove the folders of processes that died; what cannot be removed is left for the next one."""
    if (runs / SWEEPS).is_dir():
        with contextlib.suppress(OSError), _lock(runs, SWEEPS.strip("."), seconds=1):
            _remove_dead(runs)


def _remove_dead(runs: Path) -> None:
    for left in (runs / SWEEPS).iterdir():
        with contextlib.suppress(OSError), FileLock(left / _ENDING, timeout=0):
            shutil.rmtree(left, ignore_errors=True)
    for left in runs.glob("sweep-*"):  # of a version that had them here, without a lock
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > SECONDS_TO_DIE and all(
                path.name.isdigit() for path in left.iterdir()
            ):
                shutil.rmtree(left, ignore_errors=True)


def _lock(runs: Path, name: str, seconds: float = -1) -> FileLock:
    (runs / LOCKS).mkdir(parents=True, exist_ok=True)
    return FileLock(runs / LOCKS / f"{name}{_ENDING}", timeout=seconds)


def _who() -> str:
    """This process in words, a line that begins with its number and its machine."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a number without a name
        user = str(os.getuid())
    return f"{os.getpid()} {socket.gethostname()} {user}, since {time.strftime('%H:%M')}"


def _named(holder: Path) -> str:
    """Who has a lock, as its note says; a note may be left of somebody who was killed."""
    with contextlib.suppress(OSError, ValueError):
        number, machine, more = (writing.noted(holder) or "").split(" ", 2)
        if machine != socket.gethostname() or _is_alive(int(number)):
            return f"process {number} on {machine}, of {more}"
    return "it does not say who"


def _is_alive(process: int) -> bool:
    with contextlib.suppress(PermissionError):  # of somebody else
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return False
    return True
