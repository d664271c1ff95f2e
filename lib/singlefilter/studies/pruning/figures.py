"""The figures of pruning: what makes them, and what they say."""

import pandas as pd

from singlefilter import drawing as look
from singlefilter.studies.declaration import Declaration, counted, course, number, span
from singlefilter.studies.pruning import charts, claims, designs, head_study, pareto_charts, study, tables
from singlefilter.studies.pruning.answers import AFTER


def _heads_note(table: pd.DataFrame) -> str:
    return (
        f"n = {_seeds_and_images(table)}. Bands, bars: {_intervals(table)}, paired where heads are "
        "compared. All masks keep as many connections as "
        "AFCC's, but for that of clusters of test images: what a leak is worth. Random AFCC starts from fresh "
        "weights."
    )


def _heads_alt(table: pd.DataFrame) -> str:
    last = table[(table["layer"] == table["layer"].max()) & (table["used"] > 0)]
    return (
        "Five panels. Four have the layer of the cut along the horizontal axis: accuracy right after masking and "
        "after retraining, the connections kept in percent, and what AFCC is ahead of other masks in points. The "
        "last has the connections kept at the last cut along it, and what AFCC is ahead. A colour stands for each "
        f"kind of mask. {_after_retraining(last)}"
    )


def _widths_note(table: pd.DataFrame) -> str:
    return (
        f"Head after layer {span(table['layer'])}, with {span(table['filters'])} filters. "
        f"n = {_seeds_and_images(table)} a point. Bars: {_intervals(table)}, paired where heads are compared. All "
        "masks keep as many connections as AFCC's, but for that of clusters of test images. Dense: retrained the "
        "same way."
    )


def _widths_alt(table: pd.DataFrame) -> str:
    afcc = table[(table["method"] == head_study.AFCC) & (table["moment"] == AFTER)]
    goes = (
        f" With AFCC the accuracy goes {course(afcc, 'accuracy', 'width', True)} and the connections kept go "
        f"{course(afcc, 'kept_fraction', 'width', True)}."
    )
    return (
        "Three panels with the width d of the network along a logarithmic horizontal axis: accuracy after "
        "retraining, what AFCC is ahead of other masks in points, and the connections kept in percent; a "
        f"colour for each kind of mask.{goes if len(afcc) else ''}"
    )


def _convolutions_note(table: pd.DataFrame) -> str:
    return (
        f"n = {_seeds_and_images(table)}. AFCC keeps a kernel where its two filters share labels; the others keep as "
        f"many in each layer. Bars: {_intervals(table)}; below, paired. Under the ticks: how many labels two filters "
        "have to share. Dense: retrained the same way."
    )


def _convolutions_alt(table: pd.DataFrame) -> str:
    chains = table.drop_duplicates("first_layer").sort_values("pairs")
    named = ", ".join(f"layers {row.first_layer} to {row.last_layer}" for row in chains.itertuples())
    shortest = table[table["first_layer"] == chains["first_layer"].iloc[0]]
    return (
        f"A column for each chain of layers ({named}) with the kernels that are kept along a logarithmic horizontal "
        "axis: accuracy in percent right after masking above, what AFCC is ahead of other masks after retraining, in "
        f"points, below. {_after_retraining(shortest, ' in the shortest chain')}"
    )


def _truncation_note(table: pd.DataFrame) -> str:
    return (
        f"n = {_seeds_and_images(table)}. Band and bars: {_intervals(table)}. Green: the first layer within "
        f"{100 * table['within'].iloc[0]:g} points of the best, and at how many seeds it is this one."
    )


def _truncation_alt(table: pd.DataFrame) -> str:
    layers = table[table["levels_off"] > 0].sort_values("layer")["layer"]
    off = f" Accuracy levels off at layer {look.listed(layers, ' or ')}." if len(layers) else ""
    return (
        "Two panels with the layer after which the network ends along the horizontal axis: accuracy in percent "
        "on the left, with points where all weights were retrained and green strokes where it levels off; "
        "multiply-adds and parameters in percent of the whole network on the right. As trained, the accuracy goes "
        f"{course(table, 'accuracy', percent=True)}.{off}"
    )


def _smaller_note(table: pd.DataFrame) -> str:
    return (
        f"n = {_seeds_and_images(table)}; {len(table)} networks. Upright bars: {_intervals(table)}; "
        f"level bars: quartiles of latency ({look.listed(table['machine'], '; ')}, {look.listed(table['threads'])} "
        f"threads). Open: baselines. Grey band: at most {100 * claims.POINT:g} point below dense, as trained or "
        "retrained. Numbers behind names: parts of the multiply-adds."
    )


def _smaller_alt(table: pd.DataFrame) -> str:
    best = table.loc[table["accuracy"].idxmax()]
    small = table.loc[table["parameters"].idxmin()]
    ends = "; ".join(
        f"{words}, {look.spoken(row['design'])}, has {number(100 * row['accuracy'])} %, "
        f"{number(row['parameters'] / 1e6)} million parameters and {number(row['latency_ms_1'])} ms"
        for words, row in (("the most accurate network", best), ("the smallest one", small))
    )
    return (
        "Two panels of points with accuracy in percent upwards, on the left against latency in "
        "milliseconds, on the right against millions of parameters, both logarithmic; a stepped line joins the "
        f"networks that no other beats in both, and these are named. Of the {len(table)} networks, {ends}."
    )


def _after_retraining(rows: pd.DataFrame, where: str = "") -> str:
    """What the masks reach, where there are several values the best of each."""
    best = 100 * rows[rows["moment"] == AFTER].groupby("method")["accuracy"].max()
    said = [f"{charts.LOOKS[method]['label']} {number(best[method])}" for method in charts.LOOKS if method in best]
    return f"Accuracy after retraining{where}, in percent, at best: {', '.join(said) or 'none'}."


def _intervals(table: pd.DataFrame) -> str:
    return "95 % bootstrap intervals over images" + (" and seeds" if table["seeds"].max() > 1 else "")


def _seeds_and_images(table: pd.DataFrame) -> str:
    seeds = span(table["seeds"])
    return f"{seeds} training {'seed' if seeds == '1' else 'seeds'}, {span(table['images'])} test images"


def _heads_title(table: pd.DataFrame) -> str:
    rows = table[(table["layer"] == table["layer"].max()) & (table["used"] > 0)]
    return f"{_kept_and_lost(rows)} at layer {rows['layer'].iloc[0]}" if len(rows) else "Masked heads"


def _widths_title(table: pd.DataFrame) -> str:
    rows = table[table["width"] == table["width"].max()]
    return f"{_kept_and_lost(rows)} at d = {rows['width'].iloc[0]}"


def _kept_and_lost(rows: pd.DataFrame) -> str:
    """What AFCC keeps, and the accuracy after retraining against the better dense head, as in claim C7."""
    afcc = rows[(rows["method"] == head_study.AFCC) & (rows["moment"] == AFTER)]
    dense = rows[rows["method"] == head_study.DENSE]
    if afcc.empty or dense.empty:
        return "Masked heads"
    points = 100 * (afcc["accuracy"].mean() - dense.groupby("moment")["accuracy"].mean().max())
    return f"AFCC keeps {number(100 * afcc['kept_fraction'].mean(), 2)}\u00a0% of the connections and {_lost(points)}"


def _lost(points: float) -> str:
    return f"{'loses' if points < 0 else 'gains'} {abs(points):.1f} points"


def _convolutions_title(table: pd.DataFrame) -> str:
    rows = table[(table["moment"] == AFTER) & (table["method"] == head_study.RANDOM)]
    better = int((rows["ahead_low"] > 0).sum())
    return f"AFCC is clearly better than random pruning in {better} of {counted(len(rows), 'case')}"


def _truncation_title(table: pd.DataFrame) -> str:
    layers = table[table["levels_off"] > 0].sort_values("layer")["layer"]
    where = f"at layer {look.listed(layers, ' or ')}" if len(layers) else "at no layer"
    return f"Accuracy levels off {where}"


def _smaller_title(table: pd.DataFrame) -> str:
    dense = table[table["design"] == designs.DENSE]
    others = table[table["design"] != designs.DENSE]
    if dense.empty:
        return f"Accuracy and cost of {counted(len(others), 'smaller network')}"
    near = int((others["accuracy"] >= dense["accuracy"].max() - claims.POINT).sum())
    point = f"{100 * claims.POINT:g} point of dense"
    return f"{near or 'None'} of {counted(len(others), 'smaller network')} within {point}"


FIGURES = (
    Declaration(
        name="masked_heads",
        title="What masks leave of the accuracy of heads",
        table=tables.masked_heads,
        draw=charts.masked_heads,
        notebook="08",
        groups=("afcc",),
        shows="Accuracy of heads under masks, right after masking and after retraining, and what the masks keep.",
        note=_heads_note,
        alt=_heads_alt,
        sees=_heads_title,
    ),
    Declaration(
        name="masked_heads_by_width",
        title="Masked heads of wider networks",
        table=tables.masked_heads_by_width,
        draw=charts.masked_heads_by_width,
        notebook="08",
        groups=("afcc", "by_width"),
        shows="Masked heads at the last cut against the width d: accuracy, what AFCC is ahead, and what is kept.",
        note=_widths_note,
        alt=_widths_alt,
        sees=_widths_title,
    ),
    Declaration(
        name="masked_convolutions",
        title="Convolutions pruned by shared labels",
        table=tables.masked_convolutions,
        draw=charts.masked_convolutions,
        notebook="08",
        groups=("afcc", "afcc.convolutions"),
        shows="Accuracy of the network against the kernels kept in chains of layers, and what AFCC is ahead.",
        note=_convolutions_note,
        alt=_convolutions_alt,
        sees=_convolutions_title,
    ),
    Declaration(
        name="truncation",
        title="Where a network may end",
        table=tables.truncated,
        draw=charts.truncation,
        notebook="08",
        groups=("afcc", "afcc.networks"),
        shows="Accuracy of the network that ends at each cut, as trained and retrained, and the cost that is left.",
        note=_truncation_note,
        alt=_truncation_alt,
        sees=_truncation_title,
    ),
    Declaration(
        name="smaller_networks",
        title="Networks that are really smaller",
        table=study.pareto,
        draw=pareto_charts.smaller_networks,
        notebook="08",
        groups=("afcc", "afcc.networks"),
        shows="Accuracy of every smaller network against its latency with one image at a time, and its parameters.",
        note=_smaller_note,
        alt=_smaller_alt,
        sees=_smaller_title,
    ),
)
