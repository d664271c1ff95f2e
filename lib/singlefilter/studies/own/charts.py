"""Figures of the own classifier of a ready network. Accuracies are drawn in percent."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from singlefilter import drawing as look
from singlefilter.studies.layers import pictures

_PANELS = {
    "accuracy": "accuracy on test images, %",
    "N_c": f"clusters per filter, {look.N_C}",
    "C_s": f"labels per cluster, {look.C_S}",
    "n": "noise per filter, n",
    "snr": "SNR = S / X",
    "dprime": "field SNR, d′",
}
_COLOURS = (look.INK, look.BLUE, look.ORANGE)
_INTERVALS = tuple(f"{name}{end}" for name in _PANELS for end in look.ENDS)


@look.draws("head", "outputs", "positions", *_INTERVALS, "others", "filters", "labels", "images")
def own_classifier(table: pd.DataFrame) -> Figure:
    """Six quantities of the head trained here and of the own classifier, among some outputs and among all."""
    fig = look.canvas(3.6)
    axes = fig.subplots(2, 3, sharey=True)
    places = np.arange(len(table))
    for ax, (name, title) in zip(axes.flat, _PANELS.items(), strict=True):
        scale = 100 if name == "accuracy" else 1
        values, low, high = (scale * table[f"{name}{end}"].to_numpy(float) for end in look.ENDS)
        for place, colour in zip(places, _COLOURS, strict=False):
            ends = np.nan_to_num([[values[place] - low[place]], [high[place] - values[place]]]).clip(0)
            ax.errorbar(values[place], place, xerr=ends, color=colour, marker="o", capsize=3.5)
            if np.isfinite(values[place]):
                number = f"{values[place]:.1f}" if values[place] >= 10 else f"{values[place]:.2f}"
                ax.annotate(
                    number,
                    (values[place], place),
                    (0, 6),
                    textcoords="offset points",
                    ha="center",
                    fontsize=look.SMALLEST,
                )
        ax.set_title(look.with_symbols(title), loc="left", fontsize=8.5)
        ax.set_yticks(places, [f"{look.fit(row.head, 1.6, 8, 2)} ({row.outputs:,})" for row in table.itertuples()])
        ax.set_ylim(len(table) - 0.5, -0.6)
        ax.set_xlim(0, 1.12 * np.nanmax([*values, *high]))
        ax.grid(False, axis="y")
    return fig


@look.draws(
    *("filter", "true_position", "true_label", "output", "out_label", "own", "cluster", "relative"),
    *("outputs", "labels", "threshold"),
)
def own_fields(table: pd.DataFrame) -> Figure:
    """The ones of a filter, labels in cluster order down, all outputs across; below, how many each output has."""
    labels, outputs = int(table["labels"].iloc[0]), int(table["outputs"].iloc[0])
    fig = look.canvas(4.4)
    ones, counts = fig.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    for cluster, rows in table.groupby("cluster"):
        colour = pictures.CLUSTERS[cluster % len(pictures.CLUSTERS)] if cluster >= 0 else pictures.NOISE
        of_label = rows["own"] == 1
        for which, size in ((of_label, 7), (~of_label, 1.2)):
            ones.scatter(
                rows.loc[which, "output"], rows.loc[which, "true_position"], s=size, color=colour, linewidths=0
            )
    ones.set(ylim=(labels - 0.5, -0.5), ylabel="labels in cluster order")
    per_output = table.groupby("output").size()
    counts.vlines(per_output.index, 0, per_output, color=pictures.NOISE, linewidth=0.6)
    counts.set(xlim=(-0.5, outputs - 0.5), ylim=(0, None), xlabel="output, in ImageNet's order", ylabel="ones")
    last = 0.0
    for output in per_output.sort_values(ascending=False, kind="stable").index[:6].sort_values():
        place = max(float(output), last + 0.11 * outputs)
        name = look.fit(look.spoken(table.loc[table["output"] == output, "out_label"].iloc[0]), 1.0, look.SMALLEST, 1)
        at = (min(place, 0.93 * outputs), 1.12 * per_output.max())
        counts.annotate(name, (output, per_output[output]), at, fontsize=look.SMALLEST, ha="center", color=look.INK)
        last = place
    return fig
