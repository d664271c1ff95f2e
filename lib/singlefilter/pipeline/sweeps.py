"""Many small networks at once: every item a profile with stages of its own, resumed one by one, run in parallel.

On a CPU each item has a process and its share of the cores, so that threads do not fight; on a GPU several items
share it, since a small network alone does not fill one.  The same call runs on a Dask cluster.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass
from pathlib import Path

import joblib
import torch

from singlefilter import profiles, progress, store
from singlefilter.networks import epochs
from singlefilter.pipeline import pools, stages, workers
from singlefilter.pipeline.tasks import Task

log = logging.getLogger(__name__)

ON_A_GPU = 4  # small networks that share a GPU
CIFAR = 100, 500  # labels and training images of each, where a profile takes all there are


class Failed(RuntimeError):
    """Some items of a sweep failed; the message names each, and all others are done, or paused, and kept."""


@dataclass(frozen=True)
class Done:
    """A sweep that is over.

    items: how many it has; found: how many of them were in the store already; seconds: of this call, by the clock;
    alone: of the stages that it finished, added up, as the store noted them: each once, in whole when an earlier
    call had begun it, and as long as it took beside the others; threads: with how many its stages were computed,
    those found in the store too.
    """

    items: int
    found: int
    seconds: float
    alone: float
    threads: tuple[int, ...] = ()

    def __str__(self) -> str:
        threads = f"; threads of each: {', '.join(map(str, self.threads))} (another number gives other last digits)"
        if self.found == self.items:
            differ = threads if len(self.threads) > 1 else ""
            return f"{self.items} items, all of them in the store already{differ}"
        found = f" ({self.found} were in the store already)" if self.found else ""
        return (
            f"{self.items} items done in {self.seconds / 60:.1f} minutes{found}; one after the other they would have "
            f"taken {self.alone / 60:.1f}{threads if self.threads else ''}"
        )


def complete(
    runs: Sequence[stages.Run | Task], jobs: int | None = None, upto: str = "measure", scheduler: str | None = None
) -> Done:
    """Do the stages of every run up to the named one, `jobs` at a time (by default: a core each, or 4 on a GPU).

    A task (`tasks.Task`) is an item like a run, its one stage being what it asks for.

    What is in the store already takes no time, so an interrupted sweep repeats at most the items that were under
    way, and those go on from their checkpoints.  The most work starts first, so that no long item is left for the
    end.  Past the deadline of its run an item pauses at the end of its epoch, and none begins.  When a process dies,
    the items that were under way are run again: in the end, one by one, so that what one of them does to its process
    hits no other.  With one job they run in this process.

    scheduler: address of a Dask scheduler, such as `tcp://host:8786`; its workers do the items then, one at a time
    each, so give them a thread each (`dask worker --nthreads 1`).  This needs the extra `singlefilter[dask]`, and
    workers with the same packages that see the project's folder and the data under the same paths: everything goes
    through the store.  While no worker is left the sweep waits for one.

    Raises `ValueError` for an empty sweep, fewer than one job or an unknown stage; `ConnectionError`, within ten
    seconds, where no scheduler answers, it has no workers, or Dask is not installed; and after the last item `Failed`
    when any failed, else `epochs.Paused` when the time of any was up.
    """
    begun = time.perf_counter()
    if not runs:
        raise ValueError("a sweep has at least one item, none given")
    if upto not in stages.NAMES:
        raise ValueError(f"no stage named {upto!r}: there are {', '.join(stages.NAMES)}")
    jobs = _jobs(jobs, len(runs), here=scheduler is None)
    known = _folders_known(runs, upto)
    kept = {folder for folders in known for folder in folders if store.is_complete(folder)}
    waiting = {n: run for n, run in enumerate(runs) if not (known[n] and known[n] <= kept)}
    if not waiting:  # nothing is written then, as it may not be
        return Done(len(runs), len(runs), time.perf_counter() - begun, 0)
    costs = {n: run.cost if isinstance(run, Task) else _cost(run.profile) for n, run in waiting.items()}
    waiting = {n: waiting[n] for n in sorted(costs, key=costs.__getitem__, reverse=True)}
    with (
        pools.dask(scheduler, jobs) if scheduler else pools.processes(jobs) as (parallel, threads),
        store.folder_while_alive(store.runs_folder()) as ledger,
    ):
        place = workers.Place(workers.environment_here(), str(ledger), threads, workers.clock())
        ended = (outcome for outcome in _outcomes(waiting, upto, place, parallel) if not outcome.paused)
        ended = list(_watched(ended, costs, len(runs)))
    paused = len(waiting) - len(ended)
    if failures := sorted(outcome.failure for outcome in ended if outcome.failure):
        others = f"{paused} paused, the others are done" if paused else "the others are done"
        raise Failed(f"{len(failures)} of {len(runs)} items failed, {others}:\n" + "\n".join(failures))
    if paused:
        raise epochs.Paused(
            f"sweep paused: {len(runs) - paused} of {len(runs)} items are done; the same command goes on from here"
        )
    new = {folder for outcome in ended for folder in outcome.folders} - kept
    alone = sum(store.manifest(folder)["seconds"] for folder in new)
    threads = tuple(sorted(_threads(new | kept)))
    return Done(len(runs), len(runs) - len(waiting), time.perf_counter() - begun, alone, threads)


def _threads(folders: Iterable[Path]) -> set[int]:
    """With how many threads stages were computed, where they say so; that of images hangs on none."""
    manifests = [store.manifest(folder) for folder in folders]
    return {one["computing"]["threads"] for one in manifests if "computing" in one and one["name"] != "data"}


def _jobs(wanted: int | None, items: int, here: bool = True) -> int:
    """How many items at a time; a cluster counts its workers itself."""
    cores = os.cpu_count() or 1
    if wanted is not None and wanted < 1:
        raise ValueError(f"jobs: at least 1 is needed, {wanted} given")
    if not here:
        return wanted or items
    if torch.cuda.is_available():
        return min(wanted or ON_A_GPU, items)
    if wanted and wanted > cores:
        log.warning("jobs: %d asked for, there are %d cores, so %d run at a time", wanted, cores, cores)
    return min(wanted or cores, cores, items)


def _folders_known(runs: Sequence[stages.Run | Task], upto: str) -> list[frozenset[Path]]:
    """Folders of the stages of each run, none where its images are not in the store: drawing them is its own work."""
    there = set()
    for path in store.runs_folder().glob(f"data-*/{store.MANIFEST}"):
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError):  # a damaged one, which is as none
            config = store.manifest(path.parent)["config"]
            there.add((store.config_key(config["data"]), config["seed"]))
    known = []
    for run in runs:
        key = store.config_key(dataclasses.replace(run.profile.data, seed=None))  # as `data.stage` has it
        seed = run.profile.data.seed
        seeds = (run.profile.seed if seed is None else seed), None
        try:
            known.append(workers.folders(run, upto) if any((key, one) in there for one in seeds) else frozenset())
        except Exception:  # the item itself will say what is wrong
            known.append(frozenset())
    return known


def _cost(profile: profiles.Profile) -> float:
    """About how much work an item is beside others; only their order and the time left hang on it."""
    images = (profile.part.labels or profile.data.labels or CIFAR[0]) * (
        profile.part.train_per_label or profile.data.train_per_label or CIFAR[1]
    )
    passes = profile.training.epochs + (profile.heads.views or profile.heads.epochs) / 3  # heads need no gradients
    layers = profile.network.depth * (profile.network.width + 8) ** 2  # narrow ones wait for memory
    return images * passes * layers * profile.data.image_size**2


def _outcomes(
    runs: Mapping[int, stages.Run | Task], upto: str, place: workers.Place, parallel: pools.Parallel
) -> Iterator[workers.Outcome]:
    """The outcome of every run as it ends; a pool that breaks is replaced until each has one."""
    groups, in_vain = deque([list(runs)] if runs else []), 0
    while groups:
        left = dict.fromkeys(groups.popleft())
        try:
            for outcome in parallel(
                [joblib.delayed(workers.item)(number, runs[number], upto, place) for number in left]
            ):
                del left[outcome.number]
                yield outcome
        except BrokenExecutor as error:
            begun = [number for number in left if workers.tries_of(place, number)]
            rest = [number for number in left if number not in begun]
            in_vain = 0 if begun else in_vain + 1
            if in_vain == workers.TRIES:
                for number in rest:
                    yield workers.Outcome(
                        number, failure=f"{runs[number].profile.name}: processes die before it: {error}"
                    )
                continue
            names = ", ".join(runs[number].profile.name for number in begun)
            log.warning("a process of the sweep died, what was under way is run again later: %s", names or "nothing")
            groups.extend([number] for number in begun)
            if rest:
                groups.appendleft(rest)


def _watched(
    outcomes: Iterator[workers.Outcome], costs: Mapping[int, float], items: int
) -> Iterator[workers.Outcome]:
    """The same outcomes, with a bar that says how long the rest may take."""
    begun, left = time.perf_counter(), dict(costs)
    bar = progress.bar(outcomes, "sweep", "item", total=items, done=items - len(costs))
    bar.bar_format = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"  # its own guess counts items alike
    for outcome in bar:
        del left[outcome.number]
        ended = sum(costs.values()) - sum(left.values())
        seconds = (time.perf_counter() - begun) * sum(left.values()) / ended
        bar.set_postfix_str(progress.time_left(seconds) if left else "", refresh=False)
        yield outcome
