"""The figures of growth: what makes them, and what they say."""

import pandas as pd

from singlefilter import drawing as look
from singlefilter.studies.declaration import Declaration, counted, course, number, span
from singlefilter.studies.growth import charts, error_charts, tables
from singlefilter.studies.rules import TAU, kendall_tau


def _error_note(table: pd.DataFrame) -> str:
    name = table["series"].iloc[0]
    first = table[table["series"] == name]
    return (
        f"{name}: n = {span(first['networks'])} networks a point, on {span(first['subsets'])} "
        f"subsets of labels; {span(first['images'])} training images per label, "
        f"{span(first['epochs'])} epochs. All series: {span(table['images'])} images per label, "
        f"{span(table['epochs'])} epochs. Bars: 95 % bootstrap intervals over subsets, and seeds inside them; "
        "a maximum over few subsets comes out too low."
    )


def _error_alt(table: pd.DataFrame) -> str:
    first = table[(table["series"] == table["series"].iloc[0]) & (table["shows"] == "mean")]
    return (
        "Two panels with the number of labels K along the horizontal axis and the error on test images in "
        "percent: on the left mean and maximum of the first series with laws as lines, on the right the means of "
        f"{table['series'].nunique()} series on logarithmic axes. The mean error of the first series goes "
        f"{course(first, 'error', 'labels', True)}."
    )


def _laws_note(table: pd.DataFrame) -> str:
    return (
        f"n = {span(table['K'])} K a fit, least squares. Bars: 95 % bootstrap intervals over subsets, and "
        f"seeds inside them. Grey: laws within {error_charts.AS_GOOD} of the best describe the points equally well. "
        "Held out: each K in turn, predicted from the others."
    )


def _laws_alt(table: pd.DataFrame) -> str:
    best = table[table["delta"] == 0]["law"].value_counts()
    names = {law: words for law, (words, *_) in error_charts.LAWS.items()}
    count = ", ".join(f"{names.get(law, law)} {times} times" for law, times in best.items())
    describes = f" The law that describes the points best is: {count}." if count else ""
    return (
        f"A row for each of {table[['series', 'shows']].drop_duplicates().shape[0]} series and three panels across: "
        "exponents with bars, how far each law is from the best one, and the error where a number of labels was left "
        f"out.{describes}"
    )


def _statistics_note(table: pd.DataFrame) -> str:
    return (
        f"n = {span(table['networks'])} networks a point, on {span(table['subsets'])} subsets of "
        "labels; training images. Bands: 95 % bootstrap intervals over subsets, and seeds inside them. Gaps: a "
        f"network without cluster ({look.C_S}) or without noise (SNR). Field SNR: from K = "
        f"{charts.FEWEST_FOR_DPRIME} on, since with fewer labels it divides by the spread of two or three logits."
    )


def _statistics_alt(table: pd.DataFrame) -> str:
    last = table[table["layer"] == table["layer"].max()]
    return (
        "Six panels of lines with the number of labels K along a logarithmic horizontal axis, a line for each cut of "
        "the network and the last one bold: clusters per filter, labels per cluster and noise in the upper row, SNR, "
        f"covered labels and field SNR in the lower one. At the last cut clusters per filter go "
        f"{course(last, 'N_c', 'labels')}, labels per cluster {course(last, 'C_s', 'labels')}."
    )


def _trends_note(table: pd.DataFrame) -> str:
    networks = table.drop_duplicates(["labels", "subset", "seed_of_network"]).groupby("labels").size()
    return (
        f"n = {span(networks)} networks for each K. Lines: their mean; bands: the least to the most of them. "
        "SNR on training images, accuracy on test images. Tau: 1 where the mean rises with every layer; dashed: the "
        "bar of claim C5. Gaps: a network without noise or without value."
    )


def _trends_alt(table: pd.DataFrame) -> str:
    return (
        "Three panels: accuracy and SNR against the layer of the cut, a line for each number of labels K, and "
        "Kendall's tau of the layer with both against K, with a dashed line at the bar of the claim. Over all "
        f"networks, with {span(table['labels'])} labels, the mean accuracy goes "
        f"{course(table, 'accuracy', percent=True)}."
    )


def _width_note(table: pd.DataFrame) -> str:
    return (
        f"n = {len(table)} networks, {span(table['filters'])} filters each; "
        f"{span(table['labels'])} labels, {span(table['images'])} training images per label, "
        f"{span(table['epochs'])} epochs. A point: a network, its bar the 95 % bootstrap interval over "
        "filters. Lines: power law fitted to the means over seeds (left), means over seeds (right)."
    )


def _width_alt(table: pd.DataFrame) -> str:
    depths = [
        f"With depth {depth} noise goes from {number(means.iloc[0])} at {means.index[0]:,} to "
        f"{number(means.iloc[-1])} at {means.index[-1]:,} filters."
        for depth, rows in table.groupby("depth")
        for means in [rows.groupby("filters")["n"].mean()]
    ]
    return (
        "Two panels with the number of filters at the last cut along a logarithmic horizontal axis: noise per filter "
        f"on the left, accuracy in percent on the right, a colour for each depth. {' '.join(depths)}"
    )


def _error_title(table: pd.DataFrame) -> str:
    first = table[(table["series"] == table["series"].iloc[0]) & (table["shows"] == table["shows"].iloc[0])]
    return f"Error goes {course(first.assign(error=first['error'].round(3)), 'error', 'labels', True)}"


def _laws_title(table: pd.DataFrame) -> str:
    best = table[table["delta"] == 0]["law"].value_counts()
    curves = table.groupby(["series", "shows"]).ngroups
    if best.empty:
        return "No law describes the error"
    name = {"linear": "A straight line", "power": "A power law", "logarithm": "A logarithm"}[best.index[0]]
    return f"{name} describes the error best in {best.iloc[0]} of {counted(curves, 'curve')}"


def _statistics_title(table: pd.DataFrame) -> str:
    last = table[table["layer"] == table["layer"].max()]
    counts = f"{_at_ends(last, 'N_c')} clusters per filter, {_at_ends(last, 'C_s')} labels each"
    return f"At layer {last['layer'].iloc[0]}: {counts}"


def _at_ends(table: pd.DataFrame, name: str) -> str:
    """The values at the least and the most K: `1.0 to 1.7`."""
    means = table.groupby("labels")[name].mean().sort_index()
    ends = [number(means.iloc[place], 2) for place in (0, -1)]
    return " to ".join(dict.fromkeys(ends))


def _trends_title(table: pd.DataFrame) -> str:
    means = table.groupby(["labels", "layer"])["snr"].mean().unstack("layer")
    rises = int((kendall_tau(means.to_numpy(float)) >= TAU).sum())
    return f"At {rises} of {len(means)} numbers of labels SNR rises with the layer"


def _width_title(table: pd.DataFrame) -> str:
    return f"Noise per filter goes {course(table, 'n', 'filters').replace('at filters', 'at')} filters"


FIGURES = (
    Declaration(
        name="error_by_labels",
        title="Error against the number of labels",
        table=tables.error_by_labels,
        draw=error_charts.error_by_labels,
        notebook="06",
        groups=("by_labels",),
        shows="How the error on test images grows with the number of labels K, in every series of networks.",
        note=_error_note,
        alt=_error_alt,
        sees=_error_title,
    ),
    Declaration(
        name="laws_of_error",
        title="Which law does the error follow?",
        table=tables.laws_of_error,
        draw=error_charts.laws_of_error,
        notebook="06",
        groups=("by_labels",),
        shows="Exponents of the laws fitted to every series, how far each is from the best, and its error held out.",
        note=_laws_note,
        alt=_laws_alt,
        sees=_laws_title,
    ),
    Declaration(
        name="statistics_by_labels",
        title="Clusters and noise against the number of labels",
        table=tables.statistics_by_labels,
        draw=charts.statistics_by_labels,
        notebook="06",
        groups=("by_labels",),
        shows="Clusters, noise, SNR, covered labels and field SNR against the number of labels K, at every cut.",
        note=_statistics_note,
        alt=_statistics_alt,
        sees=_statistics_title,
    ),
    Declaration(
        name="trends_by_labels",
        title="Do the trends hold at every number of labels?",
        table=tables.trends_by_labels,
        draw=charts.trends_by_labels,
        notebook="06",
        groups=("by_labels",),
        shows="Accuracy and SNR by layer for each number of labels K, and their trend with the layer against K.",
        note=_trends_note,
        alt=_trends_alt,
        sees=_trends_title,
    ),
    Declaration(
        name="noise_by_width",
        title="Noise against the number of filters",
        table=tables.noise_by_width,
        draw=charts.noise_by_width,
        notebook="07",
        groups=("by_width",),
        shows="Noise per filter at the last cut, and the accuracy of its head, against the number of filters.",
        note=_width_note,
        alt=_width_alt,
        sees=_width_title,
    ),
)
