"""Figures made of images and matrices: samples, one filter from field to clusters, images of its clusters."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from singlefilter import drawing as look
from singlefilter.studies.layers import tables

NOISE = (0.35, 0.35, 0.35)
# Grey is kept for noise; a cluster keeps its colour from one figure to the next.
CLUSTERS = [
    look.BLUE,
    look.ORANGE,
    look.GREEN,
    look.VERMILION,
    look.PURPLE,
    look.CYAN,
    look.BROWN,
    look.PINK,
    look.YELLOW,
]

IMAGES = 8  # in a row
_NAMED = 16  # labels whose names can be read on an axis
_CELL = 0.83  # inches from one image to the next


@look.draws("panel", "title", "position", "label", "source", "png", "note", common=("profile",), letters=False)
def samples(table: pd.DataFrame) -> Figure:
    """Eight images with different labels of each data set that is there, a panel each."""
    panels = there(table)
    pitch = _CELL + 0.66
    fig = look.canvas(pitch * len(panels) - 0.05, layout="none")
    for number, (name, rows) in enumerate(panels):
        top = number * pitch
        heading = look.box(fig, 0.12, top, look.PAGE - 0.24, 0.24)
        heading.text(0, 0.5, f"({name}) {rows['title'].iloc[0]}", va="center", fontsize=9.5, fontweight="bold")
        for place, row in enumerate(rows.head(IMAGES).itertuples()):
            _labelled(
                look.box(fig, 0.2 + place * _CELL, top + 0.28, _CELL - 0.08, _CELL - 0.08),
                row.png,
                row.label,
            )
    return fig


def there(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The panels of samples by their letters, which count those that are there alone."""
    every = [rows.sort_values("position") for _, rows in table.groupby("panel", sort=True)]
    return list(zip("ABCD", (rows for rows in every if (rows["png"] != "").any()), strict=False))


def missing(table: pd.DataFrame) -> list[str]:
    """Titles of the data sets that have no image in a table of samples."""
    return [rows["title"].iloc[0] for _, rows in table.groupby("panel", sort=True) if (rows["png"] == "").all()]


@look.draws(
    *(
        "cut",
        "layer",
        "filter",
        "true_index",
        "out_index",
        "true_label",
        "out_label",
        "field",
        "relative",
        "clipped",
    ),
    *("cluster", "true_position", "out_position", "threshold"),
)
def one_filter(table: pd.DataFrame) -> Figure:
    """Filters from field matrix to clusters: field, what is above the threshold, labels put in cluster order.

    Source: sections 3 to 5 of the method.
    """
    filters = [rows for _, rows in table.groupby(["cut", "filter"], sort=False)]
    size = int(table["true_index"].max()) + 1
    fig = look.canvas((2.05 if size <= _NAMED else 1.75) * len(filters) + 0.6)
    axes = fig.subplots(len(filters), 4, squeeze=False)
    threshold = table["threshold"].iloc[0]
    below = False  # whether a field is as negative as the scale, or more
    for (field, clipped, permuted, words), rows in zip(axes, filters, strict=True):
        shown = _matrix(rows, "relative", size, np.nan)
        below |= bool(np.nanmin(shown, initial=0) < -1)
        drawn = field.imshow(shown, cmap="vlag", vmin=-1, vmax=1, interpolation="none")
        clipped.imshow(_matrix(rows, "clipped", size, 0), cmap="Greys", vmin=0, vmax=1, interpolation="none")
        clipped.plot([-0.5, size - 0.5], [-0.5, size - 0.5], color=look.ORANGE, linewidth=0.8, alpha=0.8)
        _in_cluster_order(permuted, rows, size)
        _names(words, rows)
        names = rows.drop_duplicates("true_index").set_index("true_index")["true_label"]
        order = rows.drop_duplicates("true_position").set_index("true_position")["true_label"]
        for ax, labels in ((field, names), (clipped, names), (permuted, order)):
            _name_labels(ax, labels, size)
        typical = ", typical" if "which" in rows and rows["which"].iloc[0] == tables.TYPICAL else ""
        field.set_title(f"{rows['cut'].iloc[0]}, filter {rows['filter'].iloc[0]}{typical}", loc="left")
        field.set_ylabel("true label")
    titles = (f"ones: above {threshold:g}", "in cluster order", "clusters")
    for ax, title in zip(axes[0, 1:], titles, strict=True):
        ax.set_title(title)
    for ax in axes[-1, :3]:
        ax.set_xlabel("output unit")
    extend = "min" if below else "neither"
    thin = 0.06 / len(filters)  # of the height of all rows
    bar_of = {"location": "bottom", "extend": extend, "fraction": thin, "pad": 0.03 / len(filters), "aspect": 16}
    bar = fig.colorbar(drawn, ax=axes[:, 0].tolist(), **bar_of)
    bar.set_ticks([-1, 0, threshold, 1], labels=["\u22121", "0", f"{threshold:g}", "1"])
    bar.ax.axvline(threshold, color=look.INK, linewidth=1)
    bar.set_label("field / its largest element")
    return fig


@look.draws("cut", "layer", "filter", "cluster", "labels", "label", "png")
def cluster_images(table: pd.DataFrame) -> Figure:
    """Images of the labels of each cluster of a filter, a row each; cluster -1: labels in no cluster.

    `labels`: how many labels the cluster has, of which not all need be shown.
    """
    groups = list(table.groupby(["cut", "filter", "cluster"], sort=False))
    aside, pitch, cell = 1.13, 1.06, 0.73
    fig = look.canvas(pitch * len(groups), layout="none")
    for number, ((cut, which, cluster), rows) in enumerate(groups):
        top = number * pitch
        labels, seen = int(rows["labels"].iloc[0]), rows["label"].nunique()
        name = f"cluster {cluster}" if cluster >= 0 else "in no cluster"
        count = f"{seen} of {labels} labels" if seen < labels else f"{labels} label{'s' * (labels != 1)}"
        words = f"{cut}, filter {which}\n{count}"
        heading = look.box(fig, 0.1, top, aside - 0.16, cell - 0.06)
        heading.add_patch(Rectangle((0, 0), 0.05, 1, color=_colour(cluster), transform=heading.transAxes))
        heading.text(0.1, 0.62, name, fontsize=8, fontweight="bold", va="bottom")
        heading.text(0.1, 0.54, look.fit(cut, aside, 7, 1) + words[len(cut) :], fontsize=7, color="0.3", va="top")
        # One image of each label before a second one of any.
        turn = rows.groupby("label", sort=False).cumcount()
        for place, row in enumerate(rows.loc[turn.sort_values(kind="stable").index].head(IMAGES).itertuples()):
            _labelled(look.box(fig, aside + place * cell, top, cell - 0.06, cell - 0.06), row.png, row.label, cell)
    return fig


def _labelled(ax: Axes, png: str, label: str, width: float = _CELL) -> None:
    look.picture(ax, png)
    words = look.fit(look.spoken(label), width, look.SMALLEST, 2)
    points = 7 if len(words) > 1 else 9
    at = {"transform": ax.transAxes, "ha": "center", "va": "baseline"}
    # Baselines of first lines stand side by side, whatever the letters; one line is 0.15 of an image high.
    ax.text(0.5, -0.16 - 0.15 * words.count("\n"), words, fontsize=points, color=look.INK, linespacing=1.05, **at)


def _colour(cluster: int) -> tuple[float, float, float]:
    return CLUSTERS[cluster % len(CLUSTERS)] if cluster >= 0 else NOISE


def _matrix(rows: pd.DataFrame, column: str, size: int, missing: float) -> np.ndarray:
    matrix = np.full((size, size), missing, dtype=float)
    matrix[rows["true_index"], rows["out_index"]] = rows[column]
    return matrix


def _clusters(rows: pd.DataFrame) -> Iterator[tuple[int, pd.DataFrame]]:
    """Number and diagonal elements of each cluster, in display order."""
    diagonal = rows[(rows["true_index"] == rows["out_index"]) & (rows["cluster"] >= 0)].sort_values("true_position")
    yield from diagonal.groupby("cluster", sort=False)


def _in_cluster_order(ax: Axes, rows: pd.DataFrame, size: int) -> None:
    image = np.ones((size, size, 3))
    for row in rows[rows["clipped"] == 1].itertuples():
        image[row.true_position, row.out_position] = _colour(row.cluster)
    ax.imshow(image, interpolation="none")
    for cluster, members in _clusters(rows):
        first, count = members["true_position"].min() - 0.5, len(members)
        ax.add_patch(Rectangle((first, first), count, count, fill=False, edgecolor=_colour(cluster), linewidth=1.2))


def _names(ax: Axes, rows: pd.DataFrame) -> None:
    """The labels of each cluster beside its colour, as many clusters as there is room for."""
    ax.set_axis_off()
    ax.set_box_aspect(1)
    clusters = list(_clusters(rows))
    line, free = 0, 9  # lines; one more says how many are left, and one the noise
    for number, (cluster, members) in enumerate(clusters):
        labels = members["true_label"]
        between = ", " if labels.str.len().max() > 1 else "  "  # a comma may be a label
        words = look.fit(f"{cluster}:  {between.join(map(look.spoken, labels))}", 1.3, look.SMALLEST, 3)
        needed = words.count("\n") + 1
        if line + needed > free:
            _entry(ax, line, "none", f"and {len(clusters) - number} more")
            line += 1
            break
        _entry(ax, line, _colour(cluster), words)
        line += needed
    noise = int(((rows["clipped"] == 1) & (rows["cluster"] < 0)).sum())
    _entry(ax, line, NOISE, f"noise: {noise} element{'s' * (noise != 1)}")


def _entry(ax: Axes, line: int, colour: tuple | str, words: str) -> None:
    place = {"xy": (0, 1), "xycoords": "axes fraction", "textcoords": "offset points", "in_layout": False}
    down = -3 - 9.8 * line
    ax.annotate("■", xytext=(0, down), color=colour, fontsize=9, va="top", **place)
    ax.annotate(words, xytext=(12, down), color=look.INK, fontsize=7, va="top", linespacing=1.15, **place)


def _name_labels(ax: Axes, labels: pd.Series, size: int) -> None:
    """Names on the axes where they can be read, else numbers."""
    ax.grid(False)
    ax.tick_params(labelsize=7)
    if size > _NAMED:
        ax.set_xticks(ticks := [*range(0, size, 20 if size > 50 else 10)])
        ax.set_yticks(ticks)
        return
    names = [look.fit(look.spoken(labels.get(place, "")), 0.8, 7, 1) for place in range(size)]
    upright = max(map(len, names)) > 2
    ax.set_xticks(range(size), names, rotation=90 if upright else 0)
    ax.set_yticks(range(size), names)
