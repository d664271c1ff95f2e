"""The figures of the controls: what makes them, and what they say."""

import pandas as pd

from singlefilter import drawing as look
from singlefilter.studies.controls import charts, tables
from singlefilter.studies.declaration import Declaration, counted, course, number, span
from singlefilter.studies.rules import TAU


def _thresholds_note(table: pd.DataFrame) -> str:
    return (
        f"n = {span(table['filters'])} filters a layer, training images. Bands and bars: 95 % intervals. Thick line "
        "and grey stroke: the threshold of the other figures."
    )


def _thresholds_alt(table: pd.DataFrame) -> str:
    once = table.drop_duplicates("threshold")
    low, high = (number(end) for end in (once["tau_snr"].min(), once["tau_snr"].max()))
    return (
        "Four panels of lines with layers along the horizontal axis, a line for each threshold: clusters per filter, "
        "labels per cluster, noise and SNR. In a fifth panel points with bars: Kendall's tau of layer and SNR, "
        f"and of layer and noise, against the threshold. Over {len(once)} thresholds tau of SNR is between "
        f"{low} and {high}."
    )


def _orders_note(table: pd.DataFrame) -> str:
    changed = table[table["quantity"] == "N_c"]["changed"]
    noise = table[table["quantity"] == "n"]["changed"]
    return (
        f"n = {span(table['orders'])} random orders, {span(table['filters'])} filters a layer. One order changes the "
        f"number of clusters in {_percents(changed)} of a layer's filters, their noise in {_percents(noise)}. "
        "Shaded: from the least to the most over orders. Covered labels and SNR do not depend on the order."
    )


def _orders_alt(table: pd.DataFrame) -> str:
    largest = 100 * table.groupby("quantity")["relative_change"].apply(lambda of: of.abs().max())
    of = {"N_c": "clusters per filter", "C_s": "labels per cluster", "n": "noise"}
    changes = ", ".join(f"{words} by {number(largest[name], 2)} %" for name, words in of.items() if name in largest)
    return (
        "Three columns of two panels with layers along the horizontal axis, for clusters per filter, labels per "
        "cluster and noise: above, the ascending order as a line beside the band of random orders; below, the "
        f"difference in percent. At most, the mean over random orders differs as follows: {changes}."
    )


def _splits_note(table: pd.DataFrame) -> str:
    return (
        f"n = {span(table['filters'])} filters a layer, of which {span(table['filters_compared'])} cover a label. "
        "Bands: 95 % intervals. By chance: as many labels, drawn at random. Internal noise: labels that share a "
        "cluster; external: n, ones outside every cluster."
    )


def _splits_alt(table: pd.DataFrame) -> str:
    return (
        "Three panels of lines with layers along the horizontal axis: the share of labels that a filter covers "
        "on both kinds of images in percent, noise on test images over that on training images, and the same "
        "ratio of SNR and of field SNR, with a line at one. The share goes "
        f"{course(table, 'jaccard', percent=True)}, the ratio of SNR {course(table, 'snr_ratio')}."
    )


def _seeds_note(table: pd.DataFrame) -> str:
    every = table["training_seed"].unique()
    bands = "Bands: least to most over seeds" if len(every) > 1 else "Bands: 95\u00a0% intervals of the one seed"
    count = f"n = {counted(len(every), 'training seed')}{', spread not known' * (len(every) == 1)}"
    seeds = f"Training seed{'s' * (len(every) > 1)}: {look.listed(sorted(every))}."
    filters = f"{span(table['filters'])} filters a layer"
    return f"{seeds} {count}; {filters}. {bands}. Lines: the mean, thin ones single seeds."


def _seeds_alt(table: pd.DataFrame) -> str:
    last = table[(table["layer"] == table["layer"].max()) & (table["split"] == table["split"].iloc[0])]
    low, high = (number(100 * end) for end in (last["accuracy"].min(), last["accuracy"].max()))
    return (
        "Six panels of lines with layers along the horizontal axis: accuracy, clusters per filter, labels per "
        "cluster, noise, SNR and field SNR. Blue is training images, orange test images; a thin line is a "
        "seed, a thick one the mean, a band their range. At the last layer the accuracy on "
        f"{'training' if last['split'].iloc[0] == 'train' else 'test'} images is between {low} and {high} %."
    )


def _percents(shares: pd.Series) -> str:
    low, high = 100 * shares.min(), 100 * shares.max()
    return f"{low:.0f} %" if f"{low:.0f}" == f"{high:.0f}" else f"{low:.0f}–{high:.0f} %"


def _thresholds_title(table: pd.DataFrame) -> str:
    once = table.drop_duplicates("threshold")
    rises = int((once["tau_snr_low"] >= TAU).sum())
    return f"SNR rises with the layer at {rises} of {counted(len(once), 'threshold')}"


def _orders_title(table: pd.DataFrame) -> str:
    largest = table.loc[table["quantity"] == "N_c", "relative_change"].abs().max()
    return f"Another order of labels changes clusters per filter by at most {number(100 * largest, 2)}\u00a0%"


def _splits_title(table: pd.DataFrame) -> str:
    least, most = 100 * table["jaccard"].min(), 100 * table["jaccard"].max()
    share = f"{least:.0f}" if f"{least:.0f}" == f"{most:.0f}" else f"{least:.0f} to {most:.0f}"
    return f"On new images filters cover {share}\u00a0% of the same labels"


def _seeds_title(table: pd.DataFrame) -> str:
    rows = table[(table["split"] == table["split"].iloc[0]) & (table["snr"].abs() < float("inf"))]
    tops = {seed: of.loc[of["snr"].idxmax(), "layer"] for seed, of in rows.groupby("training_seed")}
    if not tops:
        return "SNR has no value at any seed"
    return f"SNR is highest at layer {look.listed(sorted(set(tops.values())), ' or ')} in {_of_all(len(tops))}"


def _of_all(seeds: int) -> str:
    return {1: "one training", 2: "both trainings"}.get(seeds, f"all {seeds} trainings")


FIGURES = (
    Declaration(
        name="thresholds",
        title="Does it hang on the threshold?",
        table=tables.thresholds,
        draw=charts.thresholds,
        notebook="05c",
        shows="Clusters, noise and SNR by layer at every threshold, and their trends against the threshold.",
        note=_thresholds_note,
        alt=_thresholds_alt,
        sees=_thresholds_title,
    ),
    Declaration(
        name="label_orders",
        title="Does it hang on the order of labels?",
        table=tables.label_orders,
        draw=charts.label_orders,
        notebook="05c",
        shows=f"{look.N_C}, {look.C_S} and noise n in ascending order of labels, beside random orders.",
        note=_orders_note,
        alt=_orders_alt,
        sees=_orders_title,
    ),
    Declaration(
        name="splits",
        title="Do filters say the same of new images?",
        table=tables.splits,
        draw=charts.splits,
        notebook="05c",
        shows="Which labels filters cover on training and on test images; noise and SNR of the one over the other.",
        note=_splits_note,
        alt=_splits_alt,
        sees=_splits_title,
    ),
    Declaration(
        name="seeds",
        title="Does another training give the same?",
        table=tables.seeds,
        draw=charts.seeds,
        notebook="05c",
        shows="Accuracy, clusters, noise, SNR and field SNR by layer, of networks trained from other seeds.",
        note=_seeds_note,
        alt=_seeds_alt,
        sees=_seeds_title,
    ),
)
