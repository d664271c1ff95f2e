"""How time and memory are taken: ways in turn, medians, a clock that waits for the GPU, peaks in a new process."""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

STATUS = Path("/proc/self/status")  # of this process, on Linux


@dataclass(frozen=True)
class Way:
    """One way to a result.

    work: does it once and returns the result; share: the part of the whole task that `work` does, below 1 where the
    rest is extrapolated; warm_up: done once, uncounted, before any way is timed (None: `work` itself).
    """

    name: str
    work: Callable[[], Any]
    share: float = 1.0
    warm_up: Callable[[], object] | None = None


@dataclass(frozen=True)
class Timed:
    """Seconds of the whole task (extrapolated where `share` is below 1), and what the last round returned."""

    way: Way
    seconds: float
    low: float
    high: float
    result: Any = field(repr=False)

    @property
    def extrapolated(self) -> bool:
        return self.way.share < 1


def clock() -> float:
    """Seconds, with nothing still under way on a GPU."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def in_turn(ways: list[Way], rounds: int) -> dict[str, Timed]:
    """Time some ways A B A B ..., so that what slows the machine down slows all of them; by name.

    Every way is done once beforehand, uncounted.  `seconds` is the median, `low` and `high` the quartiles.
    Raises `ValueError` without at least one round.
    """
    if rounds < 1:
        raise ValueError(f"timing takes at least one round, {rounds} given")
    for way in ways:
        quietly(way.warm_up or way.work)
    times: dict[str, list[float]] = {way.name: [] for way in ways}
    results: dict[str, Any] = {}
    for _ in range(rounds):
        for way in ways:
            start = clock()
            results[way.name] = quietly(way.work)
            times[way.name].append(clock() - start)
    return {way.name: _timed(way, times[way.name], results[way.name]) for way in ways}


def _timed(way: Way, times: list[float], result: Any) -> Timed:
    low, median, high = np.percentile(times, (25, 50, 75)) / way.share
    return Timed(way, float(median), float(low), float(high), result)


def quietly(work: Callable[[], Any]) -> Any:
    """What `work` returns, without its bars of progress."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return work()


def in_new_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function of a module returns in a fresh process with as many threads: memory starts from nothing."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, torch.set_num_threads, (torch.get_num_threads(),)) as pool:
        return pool.submit(function, *arguments).result()


def peak_above_start(work: Callable[[], Any]) -> tuple[float, Any]:
    """Megabytes (10**6) that `work` needs at its peak above what this process holds before, and its result.

    To be called in a process in which nothing larger was freed before: outside Linux the peak of a process cannot
    be set back.
    """
    _forget_peak()
    before = peak_megabytes()
    result = work()
    return peak_megabytes() - before, result


def peak_megabytes() -> float:
    """Largest resident memory of this process so far, in megabytes (10**6)."""
    if STATUS.exists():  # getrusage would count the process that started this one, too
        line = next(line for line in STATUS.read_text(encoding="utf-8").splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _forget_peak() -> None:
    clear = STATUS.with_name("clear_refs")
    if clear.exists():
        try:
            clear.write_text("5", encoding="utf-8")
        except OSError:
            print("the peak of memory cannot be set back here: what was freed before counts as held", flush=True)
