"""What a pack may hold: figures and stages of one profile, and that profile, each of the size it says; nothing else.

All of this is known before anything is read: a pack may come from anywhere.
"""

from __future__ import annotations

import errno
import re
import shutil
import unicodedata
import zipfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from singlefilter import profiles, store
from singlefilter.figures import registry

MOST_FILES = 5000
LARGEST_FIGURE = 64 * 2**20  # bytes of a table or a drawing
LARGEST_TEXT = 2**20  # of a manifest, a profile, or provenance
FREE, MOST_TIMES = 16 * 2**20, 40  # what unpacks to more than the first is at most so many times as large as its pack

_PROFILE = r"(?P<profile>\w[\w.-]{0,99})"
_STAGE = re.compile(r"runs/(?P<stage>(?:train|heads|measure)-[0-9a-f]{12})/(?P<file>\w[\w.-]*)")
_FIGURE = re.compile(rf"figures/{_PROFILE}/(?P<figure>\w+)\.(?:csv|png|svg)")
_PROVENANCE = re.compile(rf"figures/{_PROFILE}/provenance\.json")
_YAML = re.compile(rf"runs/{_PROFILE}-packed\.yaml")


class PackError(RuntimeError):
    """A pack that cannot be made or put in place; the message says why and what to do."""


def belongs(path: str) -> bool:
    """Whether a file, by its path in the project, may be in a pack."""
    figure = _FIGURE.fullmatch(path)
    return bool(figure and figure["figure"] in registry.FIGURES) or any(
        pattern.fullmatch(path) for pattern in (_STAGE, _PROVENANCE, _YAML)
    )


def extract(archive: Path, to: Path, most: int) -> None:
    """Extract the archive of a pack, at most so many bytes, every file as it was written.

    Raises `PackError`, before anything is written outside of memory where the archive says it itself.
    """
    try:
        with zipfile.ZipFile(archive) as zipped:
            entries = _admitted(zipped.infolist(), archive.stat().st_size, most)
            _check_stages(zipped, entries)
            for entry in entries:
                path = to / entry.filename
                path.parent.mkdir(parents=True, exist_ok=True)
                with zipped.open(entry) as packed, path.open("xb") as file:
                    shutil.copyfileobj(packed, file)  # no more than the entry says
    except Exception as error:  # whatever zipfile makes of it
        if isinstance(error, PackError) or (isinstance(error, OSError) and error.errno != errno.EINVAL):
            raise
        raise PackError(f"the pack is no archive that can be read ({error}); fetch it again") from error
    _check_profile(to)


def _admitted(entries: Sequence[zipfile.ZipInfo], size: int, most: int) -> Sequence[zipfile.ZipInfo]:
    if len(entries) > MOST_FILES:
        raise PackError(f"the pack has {len(entries)} files, more than the {MOST_FILES} that one may have")
    if stray := [entry.filename for entry in entries if not belongs(entry.filename)]:
        raise PackError(
            f"the pack has {shown(stray[0])}, which is no stage, figure or profile of one; nothing was put in place"
        )
    names = [unicodedata.normalize("NFC", entry.filename).casefold() for entry in entries]
    if len(set(names)) < len(names):
        raise PackError("the pack has a file twice; nothing was put in place")
    for entry in entries:
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise PackError(f"the pack has {entry.filename} compressed in another way than packs are")
        limit = LARGEST_FIGURE if entry.filename.startswith("figures/") else most
        text = entry.filename.endswith((store.MANIFEST, ".yaml", "provenance.json"))
        if entry.file_size > (LARGEST_TEXT if text else limit):
            raise PackError(f"the pack has {entry.filename} of {entry.file_size} bytes, too many for what it is")
    total = sum(entry.file_size for entry in entries)
    if total > most or total > max(FREE, MOST_TIMES * size):
        raise PackError(f"the pack would unpack to {total} bytes, more than one has; nothing was put in place")
    return entries


def _check_stages(zipped: zipfile.ZipFile, entries: Sequence[zipfile.ZipInfo]) -> None:
    """Raise `PackError` unless the files of every stage are those of its manifest, of the sizes it says."""
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for entry in entries:
        if match := _STAGE.fullmatch(entry.filename):
            found[match["stage"]][match["file"]] = entry.file_size
    for stage, sizes in found.items():
        if store.MANIFEST not in sizes:
            raise PackError(f"the pack has {stage} without its manifest; nothing was put in place")
        try:
            said = store.checked(zipped.read(f"runs/{stage}/{store.MANIFEST}"), stage)["files"]
        except store.Unsealed as error:
            raise PackError(
                f"the pack has {stage} with a wrong manifest: {error}; nothing was put in place"
            ) from error
        there = {file: size for file, size in sizes.items() if file != store.MANIFEST}
        if there != {file: entry["bytes"] for file, entry in said.items()}:
            raise PackError(f"the pack has {stage} with other files than its manifest says; nothing was put in place")


def _check_profile(to: Path) -> None:
    """Raise `PackError` unless there is one profile, and figures of that."""
    found = sorted(to.glob("runs/*.yaml"))
    if len(found) != 1:
        raise PackError(f"the pack has {len(found)} profiles, where one belongs; nothing was put in place")
    name = _YAML.fullmatch(f"runs/{found[0].name}")["profile"]
    try:
        if profiles.load(found[0]).name != f"{name}-packed":
            raise profiles.ProfileError(f"{found[0].name}: name: not that of its file")
    except profiles.ProfileError as error:
        raise PackError(f"the pack has a profile that is none: {error}") from error
    if others := {path.name for path in to.glob("figures/*")} - {name}:
        raise PackError(f"the pack of {name} has figures of {others.pop()}; nothing was put in place")
    if name.casefold() in profiles.TAKEN:
        raise PackError(f"the pack has figures of {name}, which no profile is named; nothing was put in place")


def shown(name: str) -> str:
    """A name from a pack as one line of a message."""
    return repr(name if len(name) <= 100 else f"{name[:100]}...")
