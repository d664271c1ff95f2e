"""Stage folders: a finished piece of work is a folder named by the hash of its configuration.

A stage is built in a work folder that survives interruptions (so that long work can go on from its own
checkpoints), sealed by a manifest with the checksum of every file, and moved into place in one step.  A folder
that does not verify is never used: it is set aside and the stage is built again.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from singlefilter import provenance
from singlefilter.store import manifests, refusals
from singlefilter.store.keys import config_key
from singlefilter.store.locks import locked, tidy
from singlefilter.store.manifests import MANIFEST
from singlefilter.store.writing import PARTIAL, TEMPORARY, note, noted, set_aside

log = logging.getLogger(__name__)

_SECONDS, _VERIFIED = ".seconds", ".verified"
LARGE = 2**30  # bytes of a stage that no process verifies again as long as it looks the same
_verified: set[tuple] = set()


def project_root() -> Path:
    """Folder that holds `notebooks/`, `runs/` and `figures/`: `$SINGLEFILTER_HOME`, the checkout, or here."""
    if home := os.environ.get("SINGLEFILTER_HOME"):
        return Path(home).expanduser().resolve()
    checkout = Path(__file__).resolve().parents[3]
    return checkout if (checkout / "pyproject.toml").exists() else Path.cwd()


def runs_folder() -> Path:
    """Where stages are kept: `runs/` in the project."""
    return project_root() / "runs"


def stage_folder(name: str, config: object) -> Path:
    """Folder that the stage of this name and configuration has, or will have."""
    return runs_folder() / f"{name}-{config_key(config)}"


def stage(name: str, config: object, build: Callable[[Path], None]) -> Path:
    """Folder of a finished stage; builds it only when it is not there or does not verify.

    `build(work)` writes the stage's files into `work`.  When it is interrupted or fails, `work` stays and the next
    call gets the same folder, so that a checkpoint in it can be taken up.  Two processes that ask for the same
    stage do not build it twice: the second waits.
    """
    folder = stage_folder(name, config)
    if is_complete(folder):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        if is_complete(folder):
            return folder
        _make_way(folder)
        work = folder.with_name(folder.name + PARTIAL)
        if work.exists() and not work.is_dir():
            set_aside(work)
        work.mkdir(exist_ok=True)
        for orphan in work.rglob(TEMPORARY + "*"):  # of a process that was killed while it wrote
            if orphan.is_file():
                orphan.unlink()
        code = provenance.commit()  # the code that ran, not what it was edited to meanwhile
        with refusals.naming(work):
            with _timed(folder.with_name(folder.name + _SECONDS)) as seconds:
                build(work)
            manifests.seal(work, name, config, seconds(), code)
        os.replace(work, folder)
    tidy(folder.parent)
    _remember(folder, _stamp(folder))
    return folder


def adopt(work: Path, folder: Path) -> None:
    """Move a sealed stage that was built elsewhere to its folder; one there that does not verify is set aside."""
    with locked(folder):
        _make_way(folder)
        os.replace(work, folder)


def is_complete(folder: Path) -> bool:
    """Whether a stage folder is there, its manifest is its own, and every file has the size and checksum of that.

    Checksums are taken once in a process, and of more than `LARGE` bytes once in all, as long as no file has another
    size or time.  Raises `OSError` where a file cannot be read.
    """
    if not (folder / MANIFEST).exists():
        return False
    stamp = _stamp(folder)
    if stamp in _verified:
        return True
    if _fault(folder, known=_noted(folder) == repr(stamp)):
        return False
    _remember(folder, stamp)
    return True


def manifest(folder: Path) -> dict:
    """Manifest of a finished stage: name, config, files, seconds, versions, machine, computing, commit, checksum.

    What was made before threads were noted lacks `computing`, and before manifests had one, `checksum`.  Raises
    `Unsealed`, a `ValueError`, for what is no manifest or that of another folder.
    """
    return manifests.read(folder)


def summary(folders: Iterable[Path]) -> dict:
    """What the manifests of some stages say together: how many stages, how many of them done, seconds of these added
    up, and the different commits, machines, versions and ways of computing (of those that note it)."""
    folders = set(folders)
    done = [manifest(folder) for folder in folders if is_complete(folder)]
    return {
        "stages": len(folders),
        "stages_done": len(done),
        "seconds": round(sum(each["seconds"] for each in done)),
    } | {
        plural: _different(each[key] for each in done if key in each)
        for plural, key in (
            *(("commits", "commit"), ("machines", "machine")),
            *(("versions", "versions"), ("computing", "computing")),
        )
    }


def _different(values: Iterable[object]) -> list:
    return [json.loads(one) for one in sorted({json.dumps(value, sort_keys=True) for value in values})]


def forget(folder: Path) -> bool:
    """Remove a stage and its unfinished work; says whether anything was there."""
    whole = [folder, folder.with_name(folder.name + PARTIAL)]
    found = any(path.exists() for path in whole)
    for path in (*whole, *(folder.with_name(folder.name + ending) for ending in (_SECONDS, _VERIFIED))):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return found


@contextmanager
def _timed(path: Path) -> Iterator[Callable[[], float]]:
    """A clock that goes on where an interrupted block stopped it; `path` keeps its seconds until one ends well."""
    start, before = time.perf_counter(), _seconds_before(path)

    def seconds() -> float:
        return before + time.perf_counter() - start

    try:
        yield seconds
    except BaseException:
        with contextlib.suppress(OSError):  # a disk without room: the first error is the one to be told
            note(path, f"{seconds():.3f}")
        raise
    path.unlink(missing_ok=True)


def _seconds_before(path: Path) -> float:
    """What interrupted attempts took; a note that does not verify is set aside with a word."""
    words = noted(path)
    if words is not None:
        return float(words)
    if os.path.lexists(path):
        aside = set_aside(path)
        log.warning(
            "%s: seconds of attempts before this one, not as they were written; set aside as %s, and counted from 0",
            path, aside.name,
        )  # fmt: skip
    return 0.0


def _make_way(folder: Path) -> None:
    """Set aside what is at the place of a stage and does not verify, with a word."""
    if os.path.lexists(folder):
        fault = _fault(folder) or "is in the way"
        aside = set_aside(folder)
        log.warning("%s: %s; set aside as %s and built again", folder.name, fault, aside.name)


def _fault(folder: Path, known: bool = False) -> str | None:
    """What is wrong with a stage, in words; None where it is as its manifest says.

    known: its files are known to be as they were when this was asked last.
    """
    try:
        content = manifests.read(folder)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise  # it may be as it was written
        return f"{MANIFEST} is missing or not as it was written"
    except manifests.Unsealed as error:
        return f"{MANIFEST} is missing or not as it was written: {error}"
    file = None if known else manifests.damaged_file(folder, content)
    return f"{file} is missing or not as it was written" if file else None


def _stamp(folder: Path) -> tuple:
    """What a verified folder looks like without reading it: its files, their sizes and times."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return str(folder), *((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files)


def _remember(folder: Path, stamp: tuple) -> None:
    """That a folder that looks like this is as it was written; for other processes too where that took long."""
    _verified.add(stamp)
    if sum(size for _, size, _ in stamp[1:]) > LARGE and _noted(folder) != repr(stamp):
        with contextlib.suppress(OSError):
            note(folder.with_name(folder.name + _VERIFIED), repr(stamp))


def _noted(folder: Path) -> str | None:
    """How the folder looked when it was last found as it was written, where that was noted."""
    with contextlib.suppress(OSError):
        return noted(folder.with_name(folder.name + _VERIFIED))
    return None
