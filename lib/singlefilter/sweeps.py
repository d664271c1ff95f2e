"""Many small networks at once: every item a profile with stages of its own, resumed one by one, run in parallel.

On a CPU each item has a process and its share of the cores, so that threads do not fight; on a GPU several items
share it, since a small network alone does not fill one.
"""

from __future__ import annotations

import dataclasses
import itertools
import logging
import os
from collections.abc import Mapping, Sequence

import joblib
import torch

from singlefilter import profiles, progress, stages, store

log = logging.getLogger(__name__)

ON_A_GPU = 4  # small networks that share a GPU


class Failed(RuntimeError):
    """Some items of a sweep failed; the message names each, and all others are done and kept."""


def variations(profile: profiles.Profile, values: Mapping[str, Sequence]) -> list[profiles.Profile]:
    """A profile for every combination of values, by dotted keys: `{"network.width": [4, 8], "seed": [1, 2]}`.

    Each is named after what it changes, such as `laptop-width4-seed1`.  Raises `ProfileError` for a key that is not
    there, an empty list, or a value that does not fit.
    """
    for key, several in values.items():
        if not several:
            raise profiles.ProfileError(f"profile {profile.name}: no values given for {key}")
    made = []
    for chosen in itertools.product(*values.values()):
        content = dataclasses.asdict(profile)
        for key, value in zip(values, chosen, strict=True):
            *groups, last = key.split(".")
            inside = content
            for group in groups:
                inside = inside.setdefault(group, {})
            inside[last] = value
            content["name"] += f"-{last}{value}"
        made.append(profiles.from_mapping(content, f"profile {profile.name}"))
    return made


def complete(runs: Sequence[stages.Run], jobs: int | None = None, upto: str = "measure") -> None:
    """Do the stages of every run up to the named one, `jobs` at a time (by default: a core each, or 4 on a GPU).

    What is in the store already takes no time, so an interrupted sweep repeats at most the items that were under
    way, and those go on from their checkpoints.  Raises `ValueError` for an empty sweep or fewer than one job, and
    `Failed` after the last item when any failed.
    """
    if not runs:
        raise ValueError("a sweep has at least one item, none given")
    jobs = _jobs(jobs, len(runs))
    threads = max(1, (os.cpu_count() or 1) // jobs)
    work = (joblib.delayed(_item)(run, upto, threads, str(store.project_root())) for run in runs)
    done = joblib.Parallel(n_jobs=jobs, return_as="generator_unordered", pre_dispatch="all")(work)
    failures = [failure for failure in progress.bar(done, "sweep", "item", total=len(runs)) if failure]
    if failures:
        raise Failed(
            f"{len(failures)} of {len(runs)} items failed, the others are done:\n" + "\n".join(sorted(failures))
        )


def _jobs(wanted: int | None, items: int) -> int:
    cores = os.cpu_count() or 1
    if wanted is not None and wanted < 1:
        raise ValueError(f"jobs: at least 1 is needed, {wanted} given")
    if torch.cuda.is_available():
        return min(wanted or ON_A_GPU, items)
    if wanted and wanted > cores:
        log.warning("jobs: %d asked for, there are %d cores, so %d run at a time", wanted, cores, cores)
    return min(wanted or cores, cores, items)


def _item(run: stages.Run, upto: str, threads: int, home: str) -> str | None:
    """One item in a process of the sweep; what went wrong in a line, or None."""
    os.environ |= {"SINGLEFILTER_HOME": home, progress.UNWATCHED: progress.SILENT}
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        stages.complete(run, upto)
    except Exception as error:  # whatever it is, it must not take the other items with it
        return f"{run.profile.name}: {type(error).__name__}: {error}"
    finally:
        torch.set_num_threads(before)
        stages.splits.cache_clear()  # images of one item are of no use to the next
    return None
