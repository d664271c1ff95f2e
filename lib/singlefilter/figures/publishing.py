"""The figures of a run, one or all: table and drawings in the run's folder, and where they come from."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from singlefilter import store
from singlefilter.figures import files, registry
from singlefilter.pipeline import stages
from singlefilter.studies.geometry import tables as geometry
from singlefilter.studies.growth import series
from singlefilter.studies.marking import marked
from singlefilter.studies.pruning import tables as pruning_tables
from singlefilter.studies.recipes import tables as choice
from singlefilter.studies.transformer import tables as transformer


class Failed(RuntimeError):
    """Some figures could not be made; the message names each, and all others are written."""


def folder(run: stages.Run) -> Path:
    """Folder of a run's figures and tables: `figures/<profile>/` in the project."""
    return store.project_root() / "figures" / run.profile.name


def show(run: stages.Run, name: str, table: pd.DataFrame | None = None) -> Figure:
    """Make a figure's table, write it and its drawings into the run's folder, provenance beside them; the figure.

    `table`: one that is made already. What is missing for it is computed. Raises `TableError` for a name that is no
    figure's or not one of a profile, for a table without rows or without a column that the figure needs, and
    `ProfileError` where the profile has no group that the figure is about.
    """
    declared = registry.figure(name)
    if table is None:
        if declared.table is None:
            raise files.TableError(f"Figure '{name}' belongs to a machine, not to a profile: give its table.")
        table = declared.table(run)
    figure = files.publish(name, marked(run, table), folder(run))
    parts = series.provenance(run) | choice.provenance(run) | pruning_tables.provenance(run)
    parts |= transformer.provenance(run) | geometry.provenance(run)
    store.write_json(folder(run) / "provenance.json", stages.provenance(run) | {"series": parts})
    return figure


def preview(run: stages.Run, name: str, table: pd.DataFrame) -> Figure:
    """The figure of a table, drawn and not written; raises `TableError` as `show` does."""
    return registry.figure(name).drawn(marked(run, table))


def show_all(run: stages.Run, names: Sequence[str] | None = None) -> None:
    """Write the named figures (`None`: every one) with their tables, and say which; what is missing is computed.

    A figure that needs a group which the profile lacks is passed over.  Raises `KeyError` for a name that is no
    figure's of a profile, before any work, and `Failed` in the end where a table could not be made or drawn.
    """
    failed = []
    for declared in [registry.FIGURES[name] for name in names or registry.FIGURES]:
        if lacking := [group for group in declared.groups if getattr(run.profile, group) is None]:
            missing = " and no group ".join(lacking)
            print(f"{declared.name} ... passed over: profile {run.profile.name} has no group {missing}")
            continue
        print(f"{declared.name} ...", end=" ", flush=True)
        start = time.perf_counter()
        try:
            show(run, declared.name)
        except Exception as error:  # whatever it is, it is no reason to lose hours of the others
            failed.append(f"{declared.name}: {type(error).__name__}: {store.in_words(error)}")
            print("failed", flush=True)
        else:
            print(f"{time.perf_counter() - start:.0f} s", flush=True)
    print(f"figures of {run.profile.name}: {folder(run)}")
    if failed:
        raise Failed("\n".join([f"{len(failed)} figures failed, the others are written:", *failed]))
