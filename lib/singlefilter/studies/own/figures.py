"""The figures of the own classifier: what makes them, and what they say."""

import pandas as pd

from singlefilter.studies.declaration import Declaration, counted, number, span
from singlefilter.studies.own import charts, tables


def _note(table: pd.DataFrame) -> str:
    last = table.iloc[-1]
    return (
        f"n = {span(table['filters'])} filters, {span(table['labels'])} labels, {span(table['images'])} test images. "
        "Accuracy and field SNR: test images; the rest: training images. Bars: 95\u00a0% intervals. In brackets: "
        f"outputs. With {last['outputs']:,} of them, {number(last['others'])} ones of a filter are on outputs of no "
        "label shown. The own classifier reads means over positions, so its field matrices are outer products."
    )


def _alt(table: pd.DataFrame) -> str:
    said = "; ".join(
        f"{row.head}, {row.outputs:,} outputs, has an accuracy of {number(100 * row.accuracy)} % and an SNR of "
        f"{number(row.snr)}"
        for row in table.itertuples()
    )
    return (
        "Six panels side by side, accuracy, clusters per filter, labels per cluster, noise, SNR and field SNR, with "
        f"a row for each head. Of these, {said}."
    )


def _fields_note(table: pd.DataFrame) -> str:
    one = table.iloc[0]
    clusters = table.loc[table["cluster"] >= 0, "cluster"].nunique()
    return (
        f"Filter {one['filter']}: n = {len(table):,} ones, above {one['threshold']:g} of its largest field, of "
        f"{one['labels']:,} labels and {one['outputs']:,} outputs; {counted(clusters, 'cluster')}. Large, in colour: "
        "inside a cluster; large, grey: outputs of other labels; small: outputs that are no label's. Below: for "
        "how many labels the filter speaks for an output."
    )


def _fields_alt(table: pd.DataFrame) -> str:
    most = table.groupby("output").size().max()
    return (
        f"Points in a plane of {table['labels'].iloc[0]:,} labels downwards and {table['outputs'].iloc[0]:,} outputs "
        "across, in columns, since the filter favours some outputs whatever it sees; below, a stroke for each. The "
        f"highest stands for {counted(most, 'label')}."
    )


FIGURES = (
    Declaration(
        name="own_classifier",
        title="The network's own classifier as a head",
        table=tables.own_classifier,
        draw=charts.own_classifier,
        notebook="04",
        groups=("ready",),
        shows="Accuracy, clusters, noise and SNR of the head trained on the last cut and of the network's own "
        "classifier, among the outputs of the labels shown and among all of its outputs.",
        note=_note,
        alt=_alt,
    ),
    Declaration(
        name="own_fields",
        title="One filter on all outputs of the network",
        table=tables.own_fields,
        draw=charts.own_fields,
        notebook="04",
        groups=("ready",),
        shows="Every element above the threshold of the field matrix of one filter on all outputs of the network.",
        note=_fields_note,
        alt=_fields_alt,
    ),
)
