"""Faults of what lies in runs/: stages, their manifests, and notes beside them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from singlefilter import store
from tests.conftest import forget_caches
from tests.faults.harness import Bad, Family, Trial, in_its_place, mutated, mutated_json

CONFIG = {"learning_rate": 0.1, "seed": 1, "images": {"a.npy": "0" * 64}}
CONTENT = {"network.bin": bytes(range(256)) * 4, "sub/curves.csv": b"epoch\n1\n2\n"}


def build(work: Path) -> None:
    for name, content in CONTENT.items():
        (work / name).parent.mkdir(exist_ok=True)
        (work / name).write_bytes(content)


def finished(config: dict = CONFIG) -> Path:
    return store.stage("train", config, build)


def check(trial: Trial, folder: Path, changed: Path) -> None:
    """The stage is as it was built, and what was at fault was set aside, whole, with a word."""
    forget_caches()
    before, known = _everything(trial.home), store.is_complete(folder)
    built = store.stage("train", CONFIG, build)
    if built != folder or any((folder / name).read_bytes() != content for name, content in CONTENT.items()):
        raise Bad("wrong", folder)
    said = store.manifest(folder)
    if (said["name"], said["config"]) != ("train", CONFIG) or not 0 <= said["seconds"] < 100:
        raise Bad("wrong", said)
    if not known:
        trial.named(changed if changed.parent != folder.parent else folder)
    if missing := before - _everything(trial.home):
        raise Bad("lost", missing)


def _everything(home: Path) -> set[bytes]:
    """Content of all files in runs/ but locks."""
    found = [path for path in (home / "runs").rglob("*") if path.is_file() and ".locks" not in path.parts]
    return {path.read_bytes() for path in found if not path.name.endswith((".seconds", ".verified"))}


def manifest_mutated(trial: Trial) -> None:
    folder = finished()
    path = folder / store.MANIFEST
    content = json.loads(path.read_text(encoding="utf-8"))
    changed = mutated_json(content, trial.rng)
    path.write_text(json.dumps(changed, indent=trial.rng.choice([None, 1])), encoding="utf-8")
    left = {key: value for key, value in content.items() if key != "checksum"}
    if changed != left and store.is_complete(folder):  # without its checksum, it is one of before there were any
        raise Bad("wrong", changed)
    check(trial, folder, folder)


def manifest_of_before_mutated(trial: Trial) -> None:
    """One without a checksum: a field gone or of another kind, or another configuration or file."""
    folder = finished()
    path = folder / store.MANIFEST
    content = {key: value for key, value in json.loads(path.read_text(encoding="utf-8")).items() if key != "checksum"}
    key = trial.rng.choice(["name", "config", "files", "seconds", "versions", "machine", "commit"])
    how = trial.rng.choice(["gone", "kind", "inside"])
    if how == "gone":
        del content[key]
    elif how == "kind" or key not in ("name", "config", "files"):
        content[key] = trial.rng.choice([None, True, [1], [], "x" if not isinstance(content[key], str) else 7])
    else:
        content[key] = mutated_json(content[key], trial.rng)
    path.write_text(json.dumps(content), encoding="utf-8")
    fewer = key == "files" and isinstance(content.get(key), dict) and len(content[key]) == 1  # whose files are right
    if store.is_complete(folder) and not fewer:
        raise Bad("wrong", content)
    check(trial, folder, folder)


def bytes_mutated(trial: Trial) -> None:
    folder = finished()
    path = folder / trial.rng.choice([*CONTENT, store.MANIFEST])
    content = path.read_bytes()
    path.write_bytes(mutated(content, trial.rng))
    if path.name == store.MANIFEST and _same(content, path.read_bytes()):
        return  # only how it is set
    check(trial, folder, folder)


def _same(one: bytes, other: bytes) -> bool:
    try:
        return json.loads(one) == json.loads(other)
    except ValueError:
        return False


def something_else(trial: Trial) -> None:
    folder = finished()
    path = folder / trial.rng.choice([*CONTENT, store.MANIFEST])
    in_its_place(path, trial.rng)
    check(trial, folder, path)


def renamed(trial: Trial) -> None:
    other = CONFIG | {trial.rng.choice(["learning_rate", "seed", "more"]): trial.rng.random()}
    folder = store.stage_folder("train", CONFIG)
    finished(other).rename(folder)
    check(trial, folder, folder)


def interrupted(trial: Trial) -> Path:
    """The folder of a stage whose first attempt was interrupted."""

    def stop(work: Path) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.stage("train", CONFIG, stop)
    return store.stage_folder("train", CONFIG)


def seconds_mutated(trial: Trial) -> None:
    folder = interrupted(trial)
    path = folder.with_name(folder.name + ".seconds")
    kind = trial.rng.choice(["bytes", "word", "thing"])
    if kind == "bytes":
        path.write_bytes(mutated(path.read_bytes(), trial.rng))
    elif kind == "word":
        words = ["", "nan", "inf", "-inf", "-1e9", "1e300", "12.5", "x", "1\n2", "[]", "\x00", "9" * 400]
        path.write_text(trial.rng.choice(words), encoding="utf-8")
    else:
        in_its_place(path, trial.rng)
    check(trial, folder, path)


def verified_mutated(trial: Trial) -> None:
    """A note that a large stage need not be read again, wrong, beside a file that is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store.stages, "LARGE", 0)
        folder = finished()
        path = folder.with_name(folder.name + ".verified")
        if trial.rng.random() < 0.7:
            path.write_bytes(mutated(path.read_bytes(), trial.rng))
        else:
            in_its_place(path, trial.rng)
        file = folder / trial.rng.choice([*CONTENT])
        before = file.stat()
        content = bytearray(file.read_bytes())
        content[trial.rng.randrange(len(content))] ^= 1
        file.write_bytes(content)
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + trial.rng.choice([0, 1])))  # as if not written to
        check(trial, folder, file)


def work_in_the_way(trial: Trial) -> None:
    folder = interrupted(trial)
    work = folder.with_name(folder.name + ".partial")
    kind = trial.rng.choice(["work", "stage"])
    if kind == "work":
        work.rmdir()
        work.write_text("x", encoding="utf-8")
        store.stage("train", CONFIG, build)
        if not store.is_complete(folder):
            raise Bad("wrong", folder)
        return
    in_its_place(folder, trial.rng)
    check(trial, folder, folder)


AGAIN = "set aside with a word that names it, and made again"
FAMILIES = [
    Family("a manifest with another word", "one value, key or kind in it changed", AGAIN, 300, manifest_mutated),
    Family(
        "the same, of before manifests had checksums",
        "a field gone or of another kind; another name, configuration or file",
        AGAIN,
        100,
        manifest_of_before_mutated,
    ),
    Family("a file of a stage", "bytes flipped, zero, cut, added, swapped", AGAIN, 100, bytes_mutated),
    Family("no file where one was", "a folder, a pipe, a link in its place", AGAIN, 30, something_else),
    Family("a stage of another configuration", "its folder renamed to this one's name", AGAIN, 20, renamed),
    Family(
        "seconds of interrupted attempts",
        "bytes of the note changed; nan, inf, below 0, no number; no file",
        "set aside with a word, and counted from 0",
        80,
        seconds_mutated,
    ),
    Family(
        "a note that a large stage is as it was",
        "bytes of it changed, or no file; and a byte of the stage, its time as before",
        "the stage is read again, and made again",
        60,
        verified_mutated,
    ),
    Family("something in the way of a stage", "a file, folder, pipe or link", AGAIN, 20, work_in_the_way),
]
