"""Every figure of a profile without notebooks: which table it is drawn from, and which networks that takes.

`TABLES` says what the notebooks publish, in their order; a test holds the two together.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from singlefilter.figures import publishing
from singlefilter.pipeline import stages
from singlefilter.studies import scoreboard
from singlefilter.studies.chance import tables as chance
from singlefilter.studies.controls import tables as controls
from singlefilter.studies.growth import series
from singlefilter.studies.growth import tables as growth
from singlefilter.studies.layers import tables
from singlefilter.studies.pruning import study
from singlefilter.studies.pruning import tables as pruning_tables
from singlefilter.studies.recipes import tables as choice


@dataclass(frozen=True)
class Source:
    """What makes the table of a figure, and the groups that a profile has to have for it."""

    table: Callable[[stages.Run], pd.DataFrame]
    groups: tuple[str, ...] = ()


TABLES: dict[str, Source] = {
    "samples": Source(tables.samples),
    "curves": Source(tables.curves),
    "recipes": Source(choice.table, ("choice",)),
    "accuracy_by_layer": Source(tables.accuracy_by_layer),
    "one_filter": Source(tables.one_filter),
    "cluster_images": Source(tables.cluster_images),
    "statistics_by_layer": Source(tables.statistics_by_layer),
    "clusters_are_real": Source(chance.clusters_are_real),
    "thresholds": Source(controls.thresholds),
    "label_orders": Source(controls.label_orders),
    "splits": Source(controls.splits),
    "seeds": Source(controls.seeds),
    "error_by_labels": Source(growth.error_by_labels, ("by_labels",)),
    "laws_of_error": Source(growth.laws_of_error, ("by_labels",)),
    "statistics_by_labels": Source(growth.statistics_by_labels, ("by_labels",)),
    "trends_by_labels": Source(growth.trends_by_labels, ("by_labels",)),
    "noise_by_width": Source(growth.noise_by_width, ("by_width",)),
    "masked_heads": Source(pruning_tables.masked_heads, ("afcc",)),
    "masked_heads_by_width": Source(pruning_tables.masked_heads_by_width, ("afcc", "by_width")),
    "masked_convolutions": Source(pruning_tables.masked_convolutions, ("afcc",)),
    "truncation": Source(pruning_tables.truncated, ("afcc",)),
    "smaller_networks": Source(study.pareto, ("afcc",)),
    "claims": Source(scoreboard.claims),
}


class Failed(RuntimeError):
    """Some figures could not be made; the message names each, and all others are written."""


def networks(run: stages.Run) -> list[stages.Run]:
    """Every network that the notebooks of a profile need: its own, its controls, the choice of
    a recipe, and those of its series."""
    seeds = [controls.with_seed(run, seed) for seed in run.profile.controls.seeds]
    untrained = [chance.untrained(run)] if run.profile.controls.untrained else []
    items = series.by_labels(run) if run.profile.by_labels else []
    items += series.by_width(run) if run.profile.by_width else []
    pruned = study.seeded(run) if run.profile.afcc else []
    return [run, *seeds, *untrained, *choice.networks(run), *pruned, *(item.run for item in items)]


def publish(run: stages.Run, names: Sequence[str] | None = None) -> None:
    """Write the named figures (`None`: every one) with their tables, and say which; what is missing is computed.

    A figure that needs a group which the profile lacks is passed over.  Raises `KeyError` for a name that is no
    figure's, before any work, and `Failed` in the end where a table could not be made or drawn.
    """
    failed = []
    for name, source in [(name, TABLES[name]) for name in names or TABLES]:
        if lacking := [group for group in source.groups if getattr(run.profile, group) is None]:
            print(f"{name} ... passed over: profile {run.profile.name} has no group {' and no group '.join(lacking)}")
            continue
        print(f"{name} ...", end=" ", flush=True)
        start = time.perf_counter()
        try:
            publishing.publish(run, name, source.table(run))
        except Exception as error:  # whatever it is, it is no reason to lose hours of the others
            failed.append(f"{name}: {type(error).__name__}: {error}")
            print("failed", flush=True)
        else:
            print(f"{time.perf_counter() - start:.0f} s", flush=True)
    print(f"figures of {run.profile.name}: {publishing.folder(run)}")
    if failed:
        raise Failed("\n".join([f"{len(failed)} figures failed, the others are written:", *failed]))
