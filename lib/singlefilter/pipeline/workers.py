"""One item of a sweep, in the process that does it: its place, its tries, and what became of it."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import joblib
import torch

from singlefilter import data, progress, store
from singlefilter.networks import epochs
from singlefilter.pipeline import pools, stages
from singlefilter.pipeline.tasks import Task

log = logging.getLogger(__name__)

TRIES = 3  # an item that was under way this often when its process died is not begun again

_one_item = threading.Lock()  # torch and the environment belong to the process, so a worker does one item at a time


@dataclass(frozen=True)
class Place:
    """What an item has to know wherever it runs; `ledger` is a folder that says which items were begun, how often.

    clock: seconds that the wall clock is ahead of `time.monotonic` where deadlines were set.  Monotonic clocks of two
    machines have nothing in common, and time left, as it was when an item was handed over, would not count how long
    it waits for its turn; wall clocks of a cluster agree to a second or so.
    """

    environment: dict[str, str]
    ledger: str
    threads: int | None  # None: those of the Dask worker
    clock: float


@dataclass(frozen=True)
class Outcome:
    """What came of the item of this number: the folders of its stages, or what went wrong, in a line, or a pause."""

    number: int
    folders: frozenset[Path] = frozenset()
    failure: str | None = None
    paused: bool = False


def environment_here() -> dict[str, str]:
    """Folders as this process sees them; and items have no progress bars."""
    folders = {"SINGLEFILTER_HOME": store.project_root(), "SINGLEFILTER_DATA": data.data_folder()}
    return {name: str(folder) for name, folder in folders.items()} | {progress.UNWATCHED: progress.SILENT}


def item(number: int, run: stages.Run | Task, upto: str, place: Place) -> Outcome:
    """One item, in whatever process: what came of it, whatever happens."""
    try:
        with _one_item, in_place(place):
            deadline = run.deadline + place.clock - clock()
            if time.monotonic() > deadline:
                return Outcome(number, paused=True)
            tries = tries_of(place, number)
            if tries >= TRIES:
                raise BrokenExecutor(f"its process died {tries} times (killed, or out of memory?)")
            ledger = ledger_of(place, number)
            ledger.write_text(str(tries + 1), encoding="utf-8")
            try:
                own = run.until(deadline)
                if isinstance(own, Task):
                    own.complete()
                else:
                    stages.complete(own, upto)
                return Outcome(number, folders(run, upto))
            finally:  # a process that dies does not come here
                with contextlib.suppress(OSError):  # the folder is removed in the end
                    ledger.unlink(missing_ok=True)
    except epochs.Paused:
        return Outcome(number, paused=True)
    except Exception as error:  # whatever it is, it must not take the other items with it
        return Outcome(number, failure=f"{run.profile.name}: {type(error).__name__}: {store.in_words(error)}")


def clock() -> float:
    """Seconds that the wall clock is ahead of `time.monotonic` here."""
    return time.time() - time.monotonic()


def ledger_of(place: Place, number: int) -> Path:
    return Path(place.ledger) / str(number)


def tries_of(place: Place, number: int) -> int:
    """How often an item was begun without an end."""
    path = ledger_of(place, number)
    return int(path.read_text(encoding="utf-8")) if path.exists() else 0


@contextmanager
def in_place(place: Place) -> Iterator[None]:
    """The environment and the threads of an item, for the time of it.

    Raises `NotADirectoryError` on a worker that does not see the store.
    """
    if not Path(place.ledger).is_dir():
        raise NotADirectoryError(
            f"{place.ledger} is not there: workers need the project's folder under the same path"
        )
    environment, threads = dict(os.environ), torch.get_num_threads()
    os.environ |= place.environment
    try:
        torch.set_num_threads(place.threads or pools.threads_of_worker())
        # Images are decoded in parallel, too: on a cluster here, not as tasks of it that wait for this item.
        with contextlib.nullcontext() if place.threads else joblib.parallel_config("threading"):
            yield
    finally:
        torch.set_num_threads(threads)
        for name in place.environment:
            if name in environment:
                os.environ[name] = environment[name]
            else:
                del os.environ[name]
        stages.splits.cache_clear()  # images of one item are of no use to the next


def folders(run: stages.Run | Task, upto: str) -> frozenset[Path]:
    """Folders of the stages that `complete` asks of a run, or of a task."""
    if isinstance(run, Task):
        return frozenset({run.folder()})
    reached = stages.NAMES[: stages.NAMES.index(upto) + 1]
    wanted = {"train", "heads"} | {f"measure-{split}" for split in run.profile.analysis.splits}
    found = stages.folders(run).items()
    stored = {path for name, path in found if name in wanted and name.split("-")[0] in reached}
    return frozenset({stages.data_folder(run)} | stored)
