"""The figure of all claims: what makes it, and what it says."""

import pandas as pd

from singlefilter.studies.declaration import Declaration
from singlefilter.studies.scoreboard import charts, tables


def _alt(table: pd.DataFrame) -> str:
    counts = table["verdict"].value_counts()
    said = ", ".join(f"{counts.get(verdict, 0)} {verdict}" for verdict in charts.VERDICTS)
    return (
        "A row for each claim: its statement, a small axis with the statistic as a dot, its interval as a bar "
        "and the value to clear as a dashed line, the numbers, and the verdict as a coloured badge. Verdicts, "
        f"in all: {said}."
    )


def _title(table: pd.DataFrame) -> str:
    counts = table["verdict"].value_counts()
    said = ", ".join(f"{counts.get(verdict, 0)} {verdict}" for verdict in charts.VERDICTS)
    return f"Claims: {said}"


FIGURES = (
    Declaration(
        name="claims",
        title="The claims, measured",
        table=tables.claims,
        draw=charts.claims,
        notebook="10",
        shows="Every claim with its statistic, its interval and the verdict by a rule that was fixed beforehand.",
        note=(
            "A row: a claim in a profile, estimate (dot), 95\u00a0% interval (bar), n observations; "
            "dotted line: zero."
        ),
        alt=_alt,
        sees=_title,
    ),
)
