"""Where the items of a sweep run: processes of this machine, or the workers of a Dask cluster.

Either is a context that gives a function from delayed calls (`joblib.delayed`) to their results, in the order in
which they end, and the threads that a call may use.  The function raises `BrokenExecutor` when a process died and
took the calls that are left with it; it can then be called again.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from types import ModuleType

import joblib

from singlefilter import lifelines

Parallel = Callable[[Iterable], Iterator]

_ONE_BY_ONE = {"batch_size": 1, "return_as": "generator_unordered"}
SECONDS_TO_CONNECT, SECONDS_FOR_WORKERS = 5, 3


@contextmanager
def processes(jobs: int) -> Iterator[tuple[Parallel, int]]:
    """Processes of this machine, each with its share of the cores; one job runs in this process."""

    def parallel(work: Iterable) -> Iterator:
        return lifelines.parallel(jobs, pre_dispatch="all", **_ONE_BY_ONE)(work)

    yield parallel, max(1, (os.cpu_count() or 1) // jobs)


@contextmanager
def dask(address: str, jobs: int) -> Iterator[tuple[Parallel, None]]:
    """Workers of the Dask cluster whose scheduler is at `address`, at most `jobs` calls at a time.

    Each worker knows its threads: `threads_of_worker`.  Raises `ConnectionError`, within ten seconds, when Dask is
    not installed, no scheduler answers, or it has no workers.
    """
    bridge = _joblib_and_dask()
    if bridge.distributed is None:
        raise ConnectionError("a sweep on a cluster needs Dask: pip install 'singlefilter[dask]'")
    try:
        _greet(bridge.distributed, address)
        client = bridge.Client(address, timeout=SECONDS_TO_CONNECT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ConnectionError(
            f"no Dask scheduler answers at {address} ({error}); `dask scheduler` starts one and says its address, "
            "such as tcp://host:8786"
        ) from error

    def parallel(work: Iterable) -> Iterator:
        wait_for_workers()
        return joblib.Parallel(backend=_dask_backend(bridge)(client=client), pre_dispatch=jobs, **_ONE_BY_ONE)(work)

    def wait_for_workers() -> None:
        try:
            client.wait_for_workers(1, timeout=SECONDS_FOR_WORKERS)
        except (OSError, ValueError, RuntimeError) as error:
            raise ConnectionError(
                f"the Dask scheduler at {address} has no workers; start some: dask worker {address} --nthreads 1"
            ) from error

    with client:
        wait_for_workers()
        yield parallel, None


def threads_of_worker() -> int:
    """Threads of the Dask worker that this is."""
    return _joblib_and_dask().distributed.get_worker().state.nthreads


def _greet(distributed: ModuleType, address: str) -> None:
    """Connect once: a client waits for ever for the first word of what listens there, if that is no scheduler."""

    async def greet() -> None:
        options = distributed.Security().get_connection_args("client")
        connecting = distributed.comm.connect(address, timeout=SECONDS_TO_CONNECT, **options)
        (await asyncio.wait_for(connecting, SECONDS_TO_CONNECT)).abort()

    with ThreadPoolExecutor(1) as thread:  # a notebook has a loop of its own running in this one
        thread.submit(asyncio.run, greet()).result()


def _joblib_and_dask() -> ModuleType:
    """Where joblib keeps its Dask backend and what it has of Dask; imported on demand, since it takes a second."""
    from joblib import _dask

    return _dask


def _dask_backend(bridge: ModuleType) -> type:
    class Backend(bridge.DaskDistributedBackend):
        """joblib's own waits for ever for a task whose workers died or whose scheduler went away."""

        def effective_n_jobs(self, n_jobs):
            return max(2, super().effective_n_jobs(n_jobs))  # for one, joblib would make the calls in this process

        def submit(self, func, callback=None):
            job = super().submit(func, callback)
            job.add_done_callback(lambda done: callback(done.exception()) if done.exception() else None)
            return job

        def retrieve_result_callback(self, out):
            if isinstance(out, bridge.distributed.KilledWorker | bridge.distributed.CancelledError):
                raise BrokenExecutor(str(out))
            if isinstance(out, Exception):
                raise ConnectionError(f"Dask workers cannot run an item: {type(out).__name__}: {out}") from out
            return super().retrieve_result_callback(out)

        def abort_everything(self, ensure_ready=True):
            self.client.cancel(list(self._callbacks))
            super().abort_everything(ensure_ready)

    return Backend
