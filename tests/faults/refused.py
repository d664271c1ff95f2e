"""Faults of what a run stands on: a disk that refuses, and an environment that means another repository."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from singlefilter import provenance, store
from tests.conftest import forget_caches
from tests.faults.harness import Bad, Family, Trial
from tests.faults.stored import CONFIG, CONTENT, build, finished

WRITING = [(os, "mkdir"), (os, "replace"), (tempfile, "mkstemp"), (Path, "write_text"), (Path, "write_bytes")]


class Disk:
    """One that does what it is asked for so many times, and then refuses, for good or once."""

    def __init__(self, number: int, left: int, once: bool):
        self.number, self.left, self.once, self.refused = number, left, once, 0

    def guard(self, does: Callable, names: bool) -> Callable:
        def guarded(*arguments, **options):
            self.left -= 1
            if self.left < 0 and not (self.once and self.refused):
                self.refused += 1
                path = [str(options.get("dir") or arguments[0])] if names else []  # a write that fails names no file
                raise OSError(self.number, os.strerror(self.number), *path)
            return does(*arguments, **options)

        return guarded


def refused(trial: Trial, numbers: list[int], says: str) -> None:
    """The stage before is whole, the error is said in words that name a file, and the same goes on when it may."""
    before = finished(CONFIG | {"seed": 2})
    rng = trial.rng
    disk = Disk(rng.choice(numbers), rng.randrange(12), rng.random() < 0.3)
    with pytest.MonkeyPatch.context() as patch:
        for module, name in WRITING:
            patch.setattr(module, name, disk.guard(getattr(module, name), module is not Path))
        try:
            store.stage("train", CONFIG, build)
        except OSError as error:
            trial.said.append(store.in_words(error))
    if disk.refused and trial.said:
        if says not in trial.said[0] or str(trial.home / "runs") not in trial.said[0]:
            raise Bad("unnamed", trial.said)
    elif not disk.refused and not store.is_complete(store.stage_folder("train", CONFIG)):
        raise Bad("lost", disk.left)
    forget_caches()
    if not store.is_complete(before):
        raise Bad("lost", before)
    folder = store.stage("train", CONFIG, build)
    if any((folder / name).read_bytes() != content for name, content in CONTENT.items()):
        raise Bad("wrong", folder)


def no_room(trial: Trial) -> None:
    refused(trial, [errno.ENOSPC, errno.EDQUOT], "no room on its disk")


def no_right(trial: Trial) -> None:
    refused(trial, [errno.EROFS, errno.EACCES, errno.EPERM], "cannot be written")


GIT = ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY"]
GIT += ["GIT_CEILING_DIRECTORIES", "GIT_NAMESPACE", "GIT_PREFIX", "GIT_CONFIG_COUNT", "GIT_CONFIG_GLOBAL"]


def of_another_repository(trial: Trial) -> None:
    """git's variables say something else; the commit is still this project's."""
    ours = provenance.commit()
    root = Path(provenance.__file__).resolve().parents[2]
    values = ["/nowhere", str(trial.home), str(root), str(root / "lib"), "nonsense", "", str(trial.home / ".git")]
    with pytest.MonkeyPatch.context() as patch:
        if shutil.which("git"):
            patch.setenv("GIT_DIR", str(trial.home / ".git"))
        for name in trial.rng.sample(GIT, trial.rng.randint(1, len(GIT))):
            patch.setenv(name, trial.rng.choice(values))
        if provenance.commit() != ours:
            raise Bad("wrong", {name: os.environ.get(name) for name in GIT})


FAMILIES = [
    Family(
        "a disk without room, or beyond its quota",
        "after so many writes, for good or once, in making a stage",
        "said with the file; what was finished is whole, and the same goes on later",
        80,
        no_room,
    ),
    Family(
        "a disk that may not be written any more",
        "after so many writes, for good or once, in making a stage",
        "said with the file; what was finished is whole, and the same goes on later",
        60,
        no_right,
    ),
    Family(
        "an environment of another repository",
        "git's variables, one or more of them, to a folder, a file, or nonsense",
        "the commit is this project's",
        20,
        of_another_repository,
    ),
]
