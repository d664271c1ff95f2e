"""What every table ends with: the columns that say where it comes from."""

from __future__ import annotations

import pandas as pd

from singlefilter import data
from singlefilter.pipeline import stages
from singlefilter.studies.layers.tables import PHOTOGRAPHS

SEEN = "Its layers have seen photographs like these in training: test accuracy is not held out."


def marked(run: stages.Run, table: pd.DataFrame) -> pd.DataFrame:
    """The table with the columns that say where it comes from; what it says itself stays."""
    where = {
        "profile": run.profile.name,
        "data": data.title(run.profile.data.name),
        "network": run.profile.network.title,
        "seed": run.profile.seed,
    }
    if run.profile.ready and run.profile.data.name in PHOTOGRAPHS:
        where["caution"] = SEEN
    own = {name: table[name] for name in where if name in table}
    return table.drop(columns=list(own)).assign(**(where | own))
