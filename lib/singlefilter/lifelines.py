"""Processes that work for this one, and that end when it does, however it ends: killed, it cannot end them itself."""

from __future__ import annotations

import functools
import os
import signal
import threading
import time
from pathlib import Path

import joblib

from singlefilter import store

SECONDS_BETWEEN_LOOKS = 0.5


def parallel(jobs: int, **options) -> joblib.Parallel:
    """`joblib.Parallel` of so many processes, each of which ends within a second of this one, and then removes from
    `runs/` what sweeps that were killed have left there."""
    mine = os.getpid(), str(store.runs_folder())
    return joblib.Parallel(n_jobs=jobs, initializer=end_with, initargs=mine, **options)


def end_with(parent: int, runs: str = "") -> None:
    """Let this process end within a second of the process `parent`, which started it; at once where that is gone.

    runs: folder from which it removes, before it ends, what sweeps that were killed have left.  A process that leads
    a group of its own takes that with it, whatever it has started.  More than one call does not do more.
    """
    if os.getpid() != parent:
        _watch(os.getpid(), parent, runs)


@functools.cache
def _watch(own: int, parent: int, runs: str) -> None:
    threading.Thread(target=_wait, args=(parent, runs), name=f"end with {parent}", daemon=True).start()


def _wait(parent: int, runs: str) -> None:
    # Not the signal that Linux sends when a parent ends: it comes when the thread that started the process does.
    while os.getppid() == parent:
        time.sleep(SECONDS_BETWEEN_LOOKS)
    try:
        if runs:
            store.remove_dead(Path(runs))
    finally:
        if os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
