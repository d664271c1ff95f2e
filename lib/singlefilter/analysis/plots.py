"""Figures of an analysis: its cuts, one filter, and several analyses side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from singlefilter import drawing as look
from singlefilter import store

_SHOWN = (("accuracy", "accuracy, %", 100), ("snr", "SNR", 1), ("dprime", "d\u2032", 1))
_NAMED = 30  # labels whose names can be read on an axis


def of_layers(tables: Mapping[str, pd.DataFrame], title: str) -> Figure:
    """Accuracy, SNR and d' by cut with 95 % intervals, a line for each table by its name."""
    with look.style("".join((title, *tables))):
        longest = max(tables.values(), key=len)
        same = all(list(table["module"]) == list(longest["module"]) for table in tables.values())
        fig = look.canvas(2.6 + 0.055 * min(12, max(map(len, longest["module"]))), width=8.4)
        for ax, (name, label, scale) in zip(fig.subplots(1, 3), _SHOWN, strict=True):
            for number, (who, table) in enumerate(tables.items()):
                values = scale * table[[name, f"{name}_low", f"{name}_high"]].to_numpy()
                places = np.arange(len(table)) if same else np.linspace(0, 1, len(table))
                bars = np.abs(values[:, 1:].T - values[:, 0])
                colour = look.PALETTE[number % len(look.PALETTE)]
                ax.errorbar(places, values[:, 0], yerr=bars, marker="o", capsize=2, color=colour, label=who)
            ax.set_title(label, loc="left")
            ax.margins(y=0.08)
            ax.set_ylim(bottom=min(0, ax.get_ylim()[0]))
            if same:
                ax.set_xticks(range(len(longest)), longest["module"], rotation=60, ha="right", rotation_mode="anchor")
            else:
                ax.set_xlabel("depth, from the first cut to the last")
        if len(tables) > 1:
            fig.axes[0].legend()
        return look.finish(fig, pd.DataFrame(), title, "Bars: 95 % intervals, over images or (SNR) filters.", ())


def of_filter(
    matrix: np.ndarray, ones: np.ndarray, found: np.ndarray, names: Sequence[str], threshold: float, title: str
) -> Figure:
    """One filter: field over its largest element, ones of the clip, labels in cluster order, clusters in colour.

    matrix: `[true_label, out_label]`; ones: bool, the same shape; found: the number of each label's cluster, -1 in
    none.
    """
    order = np.concatenate([np.flatnonzero(found == c) for c in _by_size(found)] + [np.flatnonzero(found < 0)])
    largest = matrix.max()
    relative = matrix / largest if largest > 0 else np.zeros_like(matrix)
    inside = (found[:, None] == found[None, :]) & (found[:, None] >= 0)
    coloured = np.where(ones & inside, 2 + _rank(found)[:, None] % 8, np.where(ones, 1, 0))
    with look.style("".join((title, *names))):
        fig = look.canvas(2.9, width=9.4)
        field, clipped, ordered = fig.subplots(1, 3)
        drawn = field.imshow(relative, cmap="vlag", vmin=-1, vmax=1, interpolation="none")
        fig.colorbar(drawn, ax=field, fraction=0.05, pad=0.02)
        clipped.imshow(ones, cmap="Greys", vmin=0, vmax=1, interpolation="none")
        colours = ListedColormap(["white", "0.35", *[look.PALETTE[number] for number in (0, 1, 2, 3, 4, 9, 5, 6)]])
        ordered.imshow(coloured[np.ix_(order, order)], cmap=colours, vmin=0, vmax=9, interpolation="none")
        given = range(len(found))
        noise = int((coloured == 1).sum())
        titles = "field / its largest element", f"ones: above {threshold:g}", "labels in cluster order"
        for ax, heading, places in zip((field, clipped, ordered), titles, (given, given, order), strict=True):
            ax.set_title(heading, loc="left")
            ax.set_xlabel("output")
            if len(found) <= _NAMED:
                spoken = [look.spoken(names[place]) for place in places]
                ax.set_xticks(range(len(found)), spoken, rotation=90, fontsize=6)
                ax.set_yticks(range(len(found)), spoken, fontsize=6)
            ax.grid(False)
        field.set_ylabel("true label")
        note = (
            f"K = {len(found)} labels. Colours: ones inside the square of a cluster; grey: noise, the {noise} "
            "ones outside every square. Order: largest cluster first, labels in no cluster last."
        )
        return look.finish(fig, pd.DataFrame(), title, note, ())


def written(figure: Figure, path: str | Path | None) -> Figure:
    """The figure, written to a path where one is given, whole or not at all."""
    if path is not None:
        with store.atomic_file(Path(path)) as temporary, look.style():
            figure.savefig(temporary, dpi=200)
    return figure


def as_text(layers: pd.DataFrame, html: bool = False) -> str:
    """The table of cuts as it is read: each quantity with its interval in one cell."""
    shown = layers[["module", "filters", "positions"]].copy()
    for name, digits, scale in (
        ("accuracy", 1, 100),
        ("N_c", 2, 1),
        ("C_s", 2, 1),
        ("n", 1, 1),
        ("snr", 2, 1),
        ("dprime", 2, 1),
    ):
        values = scale * layers[[name, f"{name}_low", f"{name}_high"]]
        told = {"accuracy": "accuracy, %", "snr": "SNR", "dprime": "d\u2032"}.get(name, name)
        shown[told] = [f"{m:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]" for m, low, high in values.to_numpy()]
    return look.with_symbols(shown.to_html(index=False)) if html else shown.to_string(index=False)


def _by_size(found: np.ndarray) -> list[int]:
    numbers = range(found.max() + 1)
    return sorted(numbers, key=lambda number: -int((found == number).sum()))


def _rank(found: np.ndarray) -> np.ndarray:
    """Place of each label's cluster among all by size, -1 in none."""
    rank = {number: place for place, number in enumerate(_by_size(found))}
    return np.array([rank.get(number, -1) for number in found])
