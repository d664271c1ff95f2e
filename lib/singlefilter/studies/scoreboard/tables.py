"""The claims of all studies in one table, of one profile and of all."""

from __future__ import annotations

import pandas as pd

from singlefilter import store, tablefiles
from singlefilter.pipeline import stages
from singlefilter.studies.growth import tables as growth
from singlefilter.studies.layers import tables
from singlefilter.studies.marking import marked
from singlefilter.studies.pruning import study


def claims(run: stages.Run) -> pd.DataFrame:
    """Every claim that the profile has networks for, with statistic, interval and verdict.

    Those about layers (`layers.tables.layer_claims`), about growth (`growth.tables.claims`) and about pruning
    (`pruning.study.decided`).
    """
    decided = [tables.layer_claims(run), growth.claims(run)] + ([study.decided(run)] if run.profile.afcc else [])
    found = pd.concat([marked(run, table) for table in decided if not table.empty], ignore_index=True)
    return _in_order(found)


def claims_of_all_profiles() -> pd.DataFrame:
    """The claims of every profile whose results are in the project, one row per claim and profile."""
    found = sorted((store.project_root() / "figures").glob("*/claims.csv"))
    return _in_order(pd.concat([tablefiles.read_table(path, ("claim",)) for path in found], ignore_index=True))


def _in_order(of_claims: pd.DataFrame) -> pd.DataFrame:
    """Rows by the number of their claim: C9 comes before C10."""
    number = of_claims["claim"].str.removeprefix("C").astype(int)
    return of_claims.loc[number.sort_values(kind="stable").index].reset_index(drop=True)
