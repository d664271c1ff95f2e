"""What a run leaves behind, in a few small files: enough to draw from on another machine, without the networks.

A pack holds a profile's figures as they are, and the stages that notebooks 03 to 05 draw from, of every network that
these compare: curves, head weights and class means, right answers and d'.  Left out are the trained networks, the
series over labels and widths and what was pruned, whose figures are there, and the images: the other machine needs
the same ones, since stages are found by their checksums.

Nothing is rounded, so what is drawn from a pack is the same to the byte.  In half precision all cuts of a large
network would be too much still, and field matrices are clipped at a threshold: rounded, some elements fall on its
other side.  What does not fit is left out by whole cuts.  Heads share no parameter, so those at some cuts of a
profile are the heads of a profile that names these cuts alone; a pack brings that profile, `<name>-packed`, and its
stages are found and verified like any others.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import math
import re
import shutil
import tempfile
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pandas as pd
import safetensors.torch
import yaml

from singlefilter import profiles, store
from singlefilter.figures import contents, publishing, registry
from singlefilter.figures.contents import PackError
from singlefilter.pipeline import stages

log = logging.getLogger(__name__)

LARGEST = 16 * 2**20  # bytes of a file
FILES = 8
MOST_TIMES = 2  # as many bytes as these hold is what a pack may unpack to; weights can hardly be compressed
_PART = re.compile(r"(?P<pack>.+-(?P<digest>[0-9a-f]{12}))-(?P<number>\d+)-of-(?P<parts>\d+)\.pack")
_MIB = 2**20


def packed(run: stages.Run, cuts: Sequence[int] = ()) -> stages.Run:
    """The run that is drawn from a pack: heads at these cuts (none given: at all), no series and no pruning.

    Raises `ProfileError` for a cut without a head, and in a profile with the group `choice` where the last one, which
    recipes are judged at, is not among them.
    """
    profile, there = run.profile, [point.cut.layer for point in stages.flat_points(run)]
    needed = {there[-1]} if profile.choice else set()
    if cuts and not needed <= set(cuts) <= set(there):
        among = f", {there[-1]} among them" if needed else ""
        raise profiles.ProfileError(
            f"--cuts: a pack of {profile.name} takes some of {_listed(there)}{among}, not {_listed(sorted(cuts))}"
        )
    heads = dataclasses.replace(profile.heads, cuts=tuple(sorted(set(cuts)))) if cuts else profile.heads
    changed = {
        "name": f"{profile.name}-packed",
        "purpose": f"Profile {profile.name} as it was packed, to draw from; cuts {_listed(sorted(cuts) or there)}",
        "heads": heads,
    }
    groups = dict.fromkeys(("by_labels", "by_width", "afcc"))
    return dataclasses.replace(run, profile=dataclasses.replace(profile, **changed, **groups))


def pack(run: stages.Run, to: Path, cuts: Sequence[int] = ()) -> list[Path]:
    """Write the pack of a run, `<profile>-<checksum>-<number>-of-<parts>.pack`, into a folder; its files.

    The files, at most `FILES` of at most `LARGEST` bytes, are one zip archive in pieces.  Raises `ProfileError` as
    `packed` does, and `PackError` where the pack would be too large; the message says by how much, and what each cut
    takes.  A stage that is not done is named and left out.
    """
    to.mkdir(parents=True, exist_ok=True)
    with (
        store.naming(to),
        tempfile.TemporaryDirectory(dir=to, prefix=".unfinished-", ignore_cleanup_errors=True) as work,
    ):
        archive = Path(work) / "archive.zip"
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
            for path, content in _contents(run, packed(run, cuts)):
                # without the time of day: the same content is the same pack
                zipped.writestr(zipfile.ZipInfo(path), content, zipfile.ZIP_DEFLATED)
            unpacked = sum(entry.file_size for entry in zipped.infolist())
        size, parts = archive.stat().st_size, math.ceil(archive.stat().st_size / LARGEST)
        if parts > FILES or unpacked > MOST_TIMES * FILES * LARGEST:
            raise PackError(_too_large(archive, size))
        name = f"{run.profile.name}-{store.file_checksum(archive)[:12]}"
        written = [to / f"{name}-{number}-of-{parts}.pack" for number in range(1, parts + 1)]
        with archive.open("rb") as whole:
            for path in written:
                with store.atomic_file(path) as temporary:
                    temporary.write_bytes(whole.read(LARGEST))
    return written


def unpack(files: Iterable[Path]) -> list[Path]:
    """Put the files of one pack or several in place, into `runs/` and `figures/`; what is there now.

    Raises `PackError` where a file of a pack is missing or is not as it was written, and where something complete and
    different is there already, before anything is put in place.
    """
    runs, found = store.runs_folder(), []
    runs.mkdir(parents=True, exist_ok=True)
    for pieces in _by_pack(files):
        with (
            store.naming(runs),
            tempfile.TemporaryDirectory(dir=runs, prefix=".unfinished-", ignore_cleanup_errors=True) as work,
        ):
            found += _put_in_place(_extracted(pieces, Path(work)))
    return found


def _contents(run: stages.Run, drawn: stages.Run) -> Iterator[tuple[str, bytes]]:
    """Path in the project and content of every file of a pack."""
    folder = publishing.folder(run)
    there = {f"figures/{folder.name}/{path.name}": path for path in sorted(folder.glob("*")) if path.is_file()}
    for name, path in there.items():
        if contents.belongs(name):
            yield name, path.read_bytes()
    if stray := [name for name in there if not contents.belongs(name)]:
        log.warning("left out, since no figures: %s", ", ".join(stray))
    yield f"runs/{drawn.profile.name}.yaml", _as_yaml(drawn.profile).encode()
    pairs, missing = {}, []
    for whole, part in zip(registry.networks(packed(run)), registry.networks(drawn), strict=True):
        theirs = stages.folders(part)
        for name, source in stages.folders(whole).items():
            if store.is_complete(source):
                pairs[theirs[name]] = source, theirs["heads"], part
            elif name in ("train", "heads", *(f"measure-{split}" for split in whole.profile.analysis.splits)):
                missing.append(f"{name} of {whole.profile.name}, seed {whole.profile.seed}")
    if missing:
        log.warning("left out, since not done (`sweep` does all): %s", "; ".join(dict.fromkeys(missing)))
    for target, (source, heads, part) in pairs.items():
        for name, content in _of_stage(source, target, heads, part).items():
            yield f"runs/{target.name}/{name}", content


def _of_stage(source: Path, target: Path, heads: Path, part: stages.Run) -> dict[str, bytes]:
    """Files of a stage by name as they go into a pack: those of the heads that the run has, and their manifest."""
    manifest, names = store.manifest(source), {point.name for point in stages.points(part)}
    files = {name: source / name for name in manifest["files"] if name != stages.NETWORK}
    left_out = sorted(manifest["files"].keys() - files.keys())
    if source.name == target.name:
        kept = {name: path.read_bytes() for name, path in files.items()}
    else:
        kept = {name: _of_heads(path, names) for name, path in files.items()}
        of_heads = store.plain(part.profile.heads) if target == heads else heads.name.rpartition("-")[2]
        manifest["config"] |= {"heads": of_heads}
    manifest["files"] = {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()} for name, content in kept.items()
    }
    manifest["packed"] = {"from": source.name, "left_out": left_out}
    manifest = store.sealed(manifest)
    return kept | {store.MANIFEST: json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False).encode()}


def _of_heads(path: Path, names: set[str]) -> bytes:
    """A file of a stage with what belongs to some heads, by their names: the same values as in the whole one."""
    if path.suffix == ".csv":
        curves = pd.read_csv(path, dtype=str, na_filter=False)
        return curves[curves["head"].isin(names)].to_csv(index=False).encode()
    tensors = safetensors.torch.load_file(path)
    return safetensors.torch.save({key: tensors[key] for key in tensors if key.rpartition("/")[2] in names})


def _as_yaml(profile: profiles.Profile) -> str:
    content = json.loads(json.dumps(dataclasses.asdict(profile)))  # YAML has no tuples
    if profile.choice is not None:
        content["choice"]["recipes"] = dict(content["choice"]["recipes"])
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def _too_large(archive: Path, size: int) -> str:
    by_layer: Counter[int] = Counter()
    with zipfile.ZipFile(archive) as zipped:
        for name in zipped.namelist():
            if name.endswith(".safetensors"):
                tensors = safetensors.torch.load(zipped.read(name))
                for key, tensor in tensors.items():
                    by_layer[int(re.search(r"layer(\d+)_", key)[1])] += tensor.nbytes
    cuts = ", ".join(f"{layer} ({bytes_ / _MIB:.1f} MiB)" for layer, bytes_ in sorted(by_layer.items()))
    return (
        f"the pack takes {size / _MIB:.1f} MiB, {(size - FILES * LARGEST) / _MIB:.1f} more than {FILES} files of "
        f"{LARGEST / _MIB:g} MiB hold; name the cuts that are to go into it with --cuts. They take, before they are "
        f"compressed: {cuts}"
    )


def _by_pack(files: Iterable[Path]) -> list[list[Path]]:
    """The pieces of each pack in order."""
    packs: dict[tuple[str, int], dict[int, Path]] = defaultdict(dict)
    for path in files:
        if (match := _PART.fullmatch(path.name)) is None:
            raise PackError(f"{path} is not named like a file of a pack, <profile>-<checksum>-1-of-3.pack")
        packs[match["pack"], int(match["parts"])][int(match["number"])] = path
    for (name, parts), there in packs.items():
        if not 1 <= parts <= FILES:
            raise PackError(f"pack {name} has {parts} files; there are {FILES} at most")
        if missing := sorted(set(range(1, parts + 1)) - there.keys()):
            raise PackError(f"pack {name} has {parts} files; missing: {_listed(missing)}")
    return [[there[number] for number in sorted(there)] for there in packs.values()]


def _extracted(pieces: Sequence[Path], work: Path) -> Path:
    """Folder with `runs/` and `figures/` as the pieces of a pack hold them, every file as it was written."""
    if large := [piece.name for piece in pieces if not piece.is_file() or piece.stat().st_size > LARGEST]:
        raise PackError(f"{large[0]} is no file of at most {LARGEST / _MIB:g} MiB, as those of a pack are")
    archive = work / "archive.zip"
    with archive.open("wb") as whole:
        for piece in pieces:
            with piece.open("rb") as file:
                shutil.copyfileobj(file, whole)
    if not store.file_checksum(archive).startswith(_PART.fullmatch(pieces[0].name)["digest"]):
        raise PackError(f"{pieces[0].name} and what belongs to it are not as they were written; fetch them again")
    contents.extract(archive, work / "content", MOST_TIMES * FILES * LARGEST)
    archive.unlink()
    return work / "content"


def _put_in_place(content: Path) -> list[Path]:
    home = store.project_root()
    folders = {path.parent for path in content.glob(f"runs/*/{store.MANIFEST}")}
    files = {path for path in content.rglob("*") if path.is_file() and path.parent not in folders}
    place = {path: home / path.relative_to(content) for path in sorted(folders | files)}
    damaged = [target for path, target in place.items() if path in folders and not store.is_complete(path)]
    if damaged:
        raise PackError(f"not as their manifests say, so that nothing was put in place: {_listed(damaged)}")
    there = {
        path: target
        for path, target in place.items()
        if (store.is_complete(target) if path in folders else target.exists())
    }
    different = [target for path, target in there.items() if not _holds(target, path)]
    if different:
        raise PackError(f"there already, and different; move away or remove: {_listed(different)}")
    for path, target in place.items():
        if path in there:
            continue
        if path in folders:
            store.adopt(path, target)
        else:
            with store.atomic_file(target) as temporary:
                shutil.copyfile(path, temporary)
    return list(place.values())


def _holds(there: Path, packed: Path) -> bool:
    """Whether a file is that of a pack, or a stage has all files of it: here with its network, there without."""
    if packed.is_file():
        return there.is_file() and there.read_bytes() == packed.read_bytes()
    return store.manifest(packed)["files"].items() <= store.manifest(there)["files"].items()


def _listed(items: Iterable[object]) -> str:
    return ", ".join(map(str, items))
