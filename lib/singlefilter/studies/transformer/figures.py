"""The figure about a transformer: what makes it, and what it says."""

import pandas as pd

from singlefilter.studies.declaration import Declaration, course, span
from singlefilter.studies.rules import TAU, kendall_tau
from singlefilter.studies.transformer import charts, tables


def _note(table: pd.DataFrame) -> str:
    units = "; ".join(f"{span(rows['filters'])} {unit}" for unit, rows in table.groupby("unit", sort=False))
    return (
        f"n = {span(table['images'])} test images a point, and in a layer or block {units}. Bars: 95\u00a0% "
        "intervals, over images (accuracy, d\u2032) or units (SNR, noise). Dotted: chance."
    )


def _alt(table: pd.DataFrame) -> str:
    said = [
        f"Of {unit} accuracy goes {course(rows, 'accuracy', percent=True)} and SNR {course(rows, 'snr')}."
        for unit, rows in table.groupby("unit", sort=False)
    ]
    return (
        "Four panels with relative depth along the horizontal axis: accuracy of the linear head in percent, SNR, "
        f"noise of a unit, and field SNR, with a line for each kind of unit. {' '.join(said)}"
    )


def _title(table: pd.DataFrame) -> str:
    rises = [
        unit
        for unit, rows in table.groupby("unit", sort=False)
        if kendall_tau(rows.sort_values("depth")["snr"].to_numpy(float)) >= TAU
    ]
    return f"SNR rises with depth for {' and '.join(rises) or 'no kind of unit'}"


FIGURES = (
    Declaration(
        name="by_block",
        title="Filters, nodes and attention heads",
        table=tables.by_block,
        draw=charts.by_block,
        notebook="09",
        groups=("transformer",),
        shows="Accuracy, SNR, noise and field SNR of nodes and attention heads of a transformer by block, and of "
        "the filters of a convolutional network by layer.",
        note=_note,
        alt=_alt,
        sees=_title,
    ),
)
