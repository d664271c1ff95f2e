"""A figure of a run: its table and drawings in the run's folder, and where they come from."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from singlefilter import store
from singlefilter.figures import files
from singlefilter.pipeline import stages
from singlefilter.studies.growth import series
from singlefilter.studies.marking import marked
from singlefilter.studies.pruning import tables as pruning_tables
from singlefilter.studies.recipes import tables as choice


def folder(run: stages.Run) -> Path:
    """Folder of a run's figures and tables: `figures/<profile>/` in the project."""
    return store.project_root() / "figures" / run.profile.name


def publish(run: stages.Run, name: str, table: pd.DataFrame) -> Figure:
    """Write a figure's table and drawings into the run's folder, its provenance beside them; returns the figure."""
    figure = files.publish(name, marked(run, table), folder(run))
    parts = series.provenance(run) | choice.provenance(run) | pruning_tables.provenance(run)
    store.write_json(folder(run) / "provenance.json", stages.provenance(run) | {"series": parts})
    return figure


def preview(run: stages.Run, name: str, table: pd.DataFrame) -> Figure:
    """The figure of a table, drawn and not written."""
    return files.FIGURES[name](marked(run, table))
