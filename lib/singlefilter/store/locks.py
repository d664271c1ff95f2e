"""Locks, which die with the process that holds them: one for each stage that is being built, all in one folder."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from singlefilter.store.manifests import MANIFEST

LOCKS = ".locks"  # its files stay: one that is removed while somebody waits for it locks nothing any more
SWEEPS = ".sweeps"
SECONDS_TO_DIE = 24 * 3600  # what a sweep without a lock has not touched for so long is no sweep any more
_ENDING = ".lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Inside, no other process is where the same stage is locked, be it of a version that had locks beside stages."""
    beside = folder.with_name(folder.name + _ENDING)
    with _lock(folder.parent, folder.name), FileLock(beside) if beside.exists() else contextlib.nullcontext():
        yield


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
