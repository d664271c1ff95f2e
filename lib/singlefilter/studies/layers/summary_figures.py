"""The figures that sum layers up: what makes them, and what they say."""

import pandas as pd

from singlefilter.studies.declaration import Declaration, course, number, peak, span
from singlefilter.studies.layers import summaries, summary_charts

KINDS = {"train": "training", "test": "test"}  # of images


def finite(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """The rows in which a quantity is a finite number."""
    return table[table[name].abs() < float("inf")]


def _both_title(table: pd.DataFrame) -> str:
    accuracy, snr = peak(table, "accuracy"), peak(finite(table, "snr"), "snr")
    if accuracy == snr:
        return f"Accuracy and SNR: each {accuracy}"
    return f"Accuracy {accuracy}, SNR {snr}"


def _both_note(table: pd.DataFrame) -> str:
    return (
        f"n = {span(table['images'])} test images (accuracy) and {span(table['filters'])} filters a layer (SNR, on "
        f"{KINDS[table['split'].iloc[0]]} images). Bars: 95\u00a0% intervals. Dotted: where each is highest."
    )


def _both_alt(table: pd.DataFrame) -> str:
    return (
        "Two panels above each other with the layer of the cut along the horizontal axis: accuracy of the head in "
        "percent above, SNR on a logarithmic axis below, each with a dotted line where it is highest. Accuracy goes "
        f"{course(table, 'accuracy', percent=True)}, SNR {course(table, 'snr')}."
    )


def _sizes_title(table: pd.DataFrame) -> str:
    last = table[table["layer"] == table["layer"].max()].set_index("size")
    alone = last["share"].get(1, float("nan"))
    return f"At layer {table['layer'].max()}, {number(100 * alone, 2)}\u00a0% of clusters are of one label"


def _sizes_note(table: pd.DataFrame) -> str:
    return (
        f"n = {span(table['filters'])} filters a layer, training images. Bars: clusters of so many "
        f"labels, of all of a layer; strokes: 95\u00a0% intervals over filters. At "
        f"{table['size'].max()}+: as many or more labels."
    )


def _sizes_alt(table: pd.DataFrame) -> str:
    alone = table[table["size"] == 1]
    return (
        "Three histograms, of the first, a middle and the last layer, with the number of labels in a cluster along "
        "the horizontal axis and the share of the clusters of the layer upwards. Over all layers the share of "
        f"clusters of a single label goes {course(alone, 'share', percent=True)}."
    )


FIGURES = (
    Declaration(
        name="accuracy_and_snr",
        title="Accuracy beside signal-to-noise ratio, by layer",
        table=summaries.accuracy_and_snr,
        draw=summary_charts.accuracy_and_snr,
        notebook="05",
        shows="Accuracy of the head and SNR at every cut, one above the other.",
        note=_both_note,
        alt=_both_alt,
        sees=_both_title,
        across=1,
        joined=(("accuracy_by_layer", "statistics_by_layer"), summaries.joined),
    ),
    Declaration(
        name="cluster_sizes",
        title="How many labels a cluster has",
        table=summaries.cluster_sizes,
        draw=summary_charts.cluster_sizes,
        notebook="05",
        shows="How many labels the clusters of a layer have: in the first, a middle and the last layer.",
        note=_sizes_note,
        alt=_sizes_alt,
        sees=_sizes_title,
    ),
)
