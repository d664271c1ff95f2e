"""Stage folders: a finished piece of work is a folder named by the hash of its configuration.

A stage is built in a work folder that survives interruptions (so that long work can go on from its own
checkpoints), sealed by a manifest with the checksum of every file, and moved into place in one step.  A folder
that does not verify is never used: it is set aside and the stage is built again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from singlefilter import provenance

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
_TEMPORARY = ".unfinished-"
_VERIFIED = ".verified"
LARGE = 2**30  # bytes of a stage that no process verifies again as long as it looks the same
LEFT_OUT = {
    "left out of keys": "at its default"
}  # metadata of a field that came later than the keys of what is there
_verified: set[tuple] = set()


def project_root() -> Path:
    """Folder that holds `notebooks/`, `runs/` and `figures/`: `$SINGLEFILTER_HOME`, the checkout, or here."""
    if home := os.environ.get("SINGLEFILTER_HOME"):
        return Path(home).expanduser().resolve()
    checkout = Path(__file__).resolve().parents[2]
    return checkout if (checkout / "pyproject.toml").exists() else Path.cwd()


def runs_folder() -> Path:
    """Where stages are kept: `runs/` in the project."""
    return project_root() / "runs"


def config_key(config: object) -> str:
    """Twelve hexadecimal digits of the SHA-256 of a configuration (anything JSON or a dataclass)."""
    text = json.dumps(plain(config), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


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
    with FileLock(folder.with_name(folder.name + ".lock")):
        if is_complete(folder):
            return folder
        if folder.exists():
            _set_aside(folder)
        work = folder.with_name(folder.name + ".partial")
        work.mkdir(exist_ok=True)
        for orphan in work.rglob(_TEMPORARY + "*"):  # of a process that was killed while it wrote
            orphan.unlink()
        code = provenance.commit()  # the code that ran, not what it was edited to meanwhile
        with _timed(folder.with_name(folder.name + ".seconds")) as seconds:
            build(work)
        _seal(work, name, config, seconds(), code)
        os.replace(work, folder)
    _remember(folder, _stamp(folder))
    return folder


def adopt(work: Path, folder: Path) -> None:
    """Move a sealed stage that was built elsewhere to its folder; one there that does not verify is set aside."""
    with FileLock(folder.with_name(folder.name + ".lock")):
        if folder.exists():
            _set_aside(folder)
        os.replace(work, folder)


def is_complete(folder: Path) -> bool:
    """Whether a stage folder is there and every file has the size and checksum of its manifest.

    Checksums are taken once in a process, and of more than `LARGE` bytes once in all, as long as no file has another
    size or time.
    """
    if not (folder / MANIFEST).exists():
        return False
    stamp = _stamp(folder)
    if stamp in _verified:
        return True
    if _noted(folder) != repr(stamp) and _damaged_file(folder) is not None:
        return False
    _remember(folder, stamp)
    return True


def manifest(folder: Path) -> dict:
    """Manifest of a finished stage: name, config, files, seconds, versions, machine, computing, commit.

    What was made before threads were noted lacks `computing`.
    """
    return json.loads((folder / MANIFEST).read_text(encoding="utf-8"))


def summary(folders: Iterable[Path]) -> dict:
    """What the manifests of some stages say together: how many stages, how many of them done, seconds of these added
    up, and the different commits, machines, versions and ways of computing (of those that note it)."""
    folders = set(folders)
    manifests = [manifest(folder) for folder in folders if is_complete(folder)]
    return {
        "stages": len(folders),
        "stages_done": len(manifests),
        "seconds": round(sum(each["seconds"] for each in manifests)),
    } | {
        plural: _different(each[key] for each in manifests if key in each)
        for plural, key in (
            *(("commits", "commit"), ("machines", "machine")),
            *(("versions", "versions"), ("computing", "computing")),
        )
    }


def _different(values: Iterable[object]) -> list:
    return [json.loads(one) for one in sorted({json.dumps(value, sort_keys=True) for value in values})]


def forget(folder: Path) -> bool:
    """Remove a stage and its unfinished work; says whether anything was there."""
    found = False
    for path in (folder, folder.with_name(folder.name + ".partial")):
        if path.exists():
            shutil.rmtree(path)
            found = True
    for ending in (".seconds", _VERIFIED):
        folder.with_name(folder.name + ending).unlink(missing_ok=True)
    return found


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends well, and vanishes otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f"{_TEMPORARY}{path.name}.", suffix=path.suffix)
    os.close(handle)
    try:
        yield Path(temporary)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)


def write_json(path: Path, content: object) -> None:
    """Write JSON atomically, keys sorted, dataclasses as mappings."""
    with atomic_file(path) as temporary:
        text = json.dumps(plain(content), indent=1, sort_keys=True, ensure_ascii=False)
        temporary.write_text(text + "\n", encoding="utf-8")


def file_checksum(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _timed(path: Path) -> Iterator[Callable[[], float]]:
    """A clock that goes on where an interrupted block stopped it; `path` keeps its seconds until one ends well."""
    start, before = time.perf_counter(), float(path.read_text()) if path.exists() else 0.0

    def seconds() -> float:
        return before + time.perf_counter() - start

    try:
        yield seconds
    except BaseException:
        with atomic_file(path) as temporary:
            temporary.write_text(f"{seconds():.3f}")
        raise
    path.unlink(missing_ok=True)


def _seal(work: Path, name: str, config: object, seconds: float, code: str) -> None:
    files = {
        str(path.relative_to(work)): {"bytes": path.stat().st_size, "sha256": file_checksum(path)}
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
    write_json(work / MANIFEST, content)


def _set_aside(folder: Path) -> None:
    aside, file = folder.with_name(folder.name + f".damaged-{time.time_ns()}"), _damaged_file(folder)
    os.replace(folder, aside)
    log.warning(
        "%s: %s is missing or not as it was written; set aside as %s and built again", folder.name, file, aside.name
    )


def _damaged_file(folder: Path) -> str | None:
    """The first file of a stage that is not as its manifest says, or None when all are."""
    try:
        files = manifest(folder)["files"]
        entries = {name: (entry["bytes"], entry["sha256"]) for name, entry in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return MANIFEST
    for name, (size, checksum) in entries.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != size or file_checksum(path) != checksum:
            return name
    return None


def _stamp(folder: Path) -> tuple:
    """What a verified folder looks like without reading it: its files, their sizes and times."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return str(folder), *((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files)


def _remember(folder: Path, stamp: tuple) -> None:
    """That a folder that looks like this is as it was written; for other processes too where that took long."""
    _verified.add(stamp)
    if sum(size for _, size, _ in stamp[1:]) > LARGE and _noted(folder) != repr(stamp):
        with contextlib.suppress(OSError), atomic_file(folder.with_name(folder.name + _VERIFIED)) as temporary:
            temporary.write_text(repr(stamp), encoding="utf-8")


def _noted(folder: Path) -> str | None:
    """How the folder looked when it was last found as it was written, where that was noted."""
    path = folder.with_name(folder.name + _VERIFIED)
    return path.read_text(encoding="utf-8") if path.exists() else None


def plain(value: object) -> object:
    """The value as JSON can hold it: dataclasses as mappings, paths as text, tuples as lists.

    A field with the metadata `LEFT_OUT` is there only where it is not at its default, so that a key that a later
    version added changes no configuration that does without it.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        named = {item: getattr(value, item.name) for item in dataclasses.fields(value)}
        return {
            item.name: plain(inside)
            for item, inside in named.items()
            if not (item.metadata == LEFT_OUT and inside == item.default)
        }
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    return value
