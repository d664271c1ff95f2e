"""The figure of recipes held against each other on training images held out. Accuracies are drawn in percent."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from singlefilter import drawing as look

_JUDGES = {
    "accuracy": ("held-out training images, which choose", look.BLUE, "o", -0.12),
    "test_accuracy": ("test images; trained on all training images", look.ORANGE, "s", 0.12),
}
_INTERVALS = tuple(f"{name}{end}" for name in _JUDGES for end in look.ENDS)


@look.draws("recipe", "epochs", *_INTERVALS, "images", "test_images", "seconds", "chosen")
def recipes(table: pd.DataFrame) -> Figure:
    """Accuracy after the last epoch of each recipe: on held-out images, which choose, and on test images."""
    fig = look.canvas(0.75 * len(table) + 1.0)
    ax = fig.subplots()
    places = np.arange(len(table))
    for name, (label, colour, marker, aside) in _JUDGES.items():
        percent = 100 * table[[f"{name}{end}" for end in look.ENDS]].to_numpy(float)
        bars = np.maximum([percent[:, 0] - percent[:, 1], percent[:, 2] - percent[:, 0]], 0)
        style = {"color": colour, "marker": marker, "linestyle": "none", "capsize": 3.5}
        ax.errorbar(percent[:, 0], places + aside, xerr=bars, label=label, **style)
        for place, (value, _, high) in zip(places, percent, strict=True):
            ax.annotate(f"  {value:.1f}", (high, place + aside), va="center", fontsize=7.5, color=colour)
    ticks = [
        f"{look.fit(row.recipe, 2.0, 8, 1)}{' (chosen)' if row.chosen else ''}\n"
        f"{row.epochs:,} epoch{'s' * (row.epochs != 1)}, {_duration(row.seconds)}"
        for row in table.itertuples()
    ]
    ax.set_yticks(places, ticks)
    ax.set_ylim(len(table) - 0.5, -0.5)
    ax.set_xlabel("accuracy after the last epoch, %")
    ax.margins(x=0.12)
    ax.grid(False, axis="y")
    ax.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=2, frameon=False)
    return fig


def _duration(seconds: float) -> str:
    return f"{seconds / 60:,.1f} minutes" if seconds >= 60 else f"{seconds:.2g} seconds"
