"""The figure of geometry: what makes it, and what it says."""

import pandas as pd

from singlefilter import drawing as look
from singlefilter.studies.declaration import Declaration, course, number, span
from singlefilter.studies.geometry import charts, tables


def _note(table: pd.DataFrame) -> str:
    pooled = table[table["view"] == "pooled"]
    seen = f"Pooled: averaged to {span(pooled['positions'])} position{_s(pooled)}. " if len(pooled) else ""
    inside = table[table["view"] == tables.VIEWS["unpooled"]]
    before = f"Before the last pool: {span(inside['positions'])} positions. " if len(inside) else ""
    return (
        f"n = {span(table['filters'])} filters a layer, training images. {seen}{before}Bands and bars: 95 % "
        "intervals over filters. The rank is at most the number of positions; of one position, any two labels on the "
        "diagonal are linked."
    )


def _s(rows: pd.DataFrame) -> str:
    return "" if rows["positions"].max() == 1 else "s"


def _alt(table: pd.DataFrame) -> str:
    flat = table[table["view"] == tables.VIEWS["flat"]]
    pooled = table[table["view"] == tables.VIEWS["pooled"]]
    text = (
        "Six panels of lines with layers along the horizontal axis: rank of a field matrix, pairs of labels that are "
        "linked, clusters per filter, labels per cluster, noise and SNR; blue for the map as it is, orange for the "
        f"map pooled. As it is, the rank goes {course(flat, 'rank')} and SNR {course(flat, 'snr')}. "
    )
    if len(pooled):
        text += f"Pooled, SNR goes {course(pooled, 'snr')}. "
    inside = table[table["view"] == tables.VIEWS["unpooled"]]
    for row in inside.itertuples():
        text += f"Layer {row.layer} before its pool has an SNR of {number(row.snr)}. "
    return text.strip()


FIGURES = (
    Declaration(
        name="geometry",
        title="What is geometry, and what is learnt?",
        table=tables.geometry,
        draw=charts.geometry,
        notebook="05b",
        shows=f"Rank of field matrices, {look.N_C}, {look.C_S}, noise and SNR of the same filters, through heads "
        "that see each map as it is, and pooled.",
        note=_note,
        alt=_alt,
    ),
)
