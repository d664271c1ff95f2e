"""What every table ends with: the columns that say where it comes from."""

from __future__ import annotations

import pandas as pd

from singlefilter import data
from singlefilter.pipeline import stages


def marked(run: stages.Run, table: pd.DataFrame) -> pd.DataFrame:
    """The table with the columns that say where it comes from; what it says itself stays."""
    where = {
        "profile": run.profile.name,
        "data": data.title(run.profile.data.name),
        "network": run.profile.network.title,
        "seed": run.profile.seed,
    }
    own = {name: table[name] for name in where if name in table}
    return table.drop(columns=list(own)).assign(**(where | own))
