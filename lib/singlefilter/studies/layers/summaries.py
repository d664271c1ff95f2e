"""Tables of two figures that sum layers up: accuracy beside SNR, and how large clusters are."""

from __future__ import annotations

import numpy as np
import pandas as pd

from singlefilter.drawing import ENDS
from singlefilter.method import clusters, fields, statistics
from singlefilter.pipeline import stages
from singlefilter.studies.layers import tables

LARGEST = 10  # labels: all larger clusters are counted together

_PLACE, _ACCURACY = ["cut", "layer"], [f"accuracy{end}" for end in ENDS]
_SNR = [f"{name}{end}" for name in ("snr", "dprime") for end in ENDS]
_COMMON = ["profile", "data", "network", "seed"]


def accuracy_and_snr(run: stages.Run) -> pd.DataFrame:
    """Accuracy of the flat head and SNR at every cut, from the tables of both: `joined`."""
    return joined(tables.accuracy_by_layer(run), tables.statistics_by_layer(run))


def joined(accuracy: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """The tables `accuracy_by_layer` and `statistics_by_layer` of a network in one, a row a layer.

    Accuracy of the flat head on `images` test images; SNR and d' on the training images, or where these were not
    measured, on the split that was.  Each with its interval.
    """
    flat = accuracy[accuracy["head"] == "flat"].rename(columns={"low": "accuracy_low", "high": "accuracy_high"})
    splits = set(measured["split"])
    of_split = measured[measured["split"] == ("train" if "train" in splits else min(splits))]
    where = [name for name in _COMMON if name in accuracy]
    left = flat[[*_PLACE, *_ACCURACY, "n", *where]].rename(columns={"n": "images"})
    table = left.merge(of_split[[*_PLACE, "split", *_SNR, "filters"]], on=_PLACE, validate="one_to_one")
    return table[[*_PLACE, *_ACCURACY, "images", "split", *_SNR, "filters", *where]]


def cluster_sizes(run: stages.Run) -> pd.DataFrame:
    """How many labels clusters have, at every cut: a row a layer and size, sizes from `LARGEST` on counted together.

    `size`; `clusters`, how many have it; `share` of all clusters of the layer, with its interval by a bootstrap over
    filters, NaN where there is no cluster; `filters`.  Source: section 6.
    """
    measured, weights = stages.measurement(run), stages.heads(run)[0]
    rows = []
    for point in stages.flat_points(run):
        found = [
            clusters.find(clusters.clip(matrices, run.profile.analysis.threshold))
            for _, matrices in fields.chunks(measured.class_means[point.name], weights[point.name])
        ]
        of_filters = np.concatenate([_by_filter(part) for part in found])
        rows += [
            {"cut": point.cut.name, "layer": point.cut.layer} | row
            for row in shares(of_filters, run.profile.analysis.resamples, run.profile.seed)
        ]
    return pd.DataFrame(rows)


def shares(of_filters: np.ndarray, resamples: int, seed: int) -> list[dict[str, float]]:
    """Of clusters of each size, `of_filters[filters, size - 1]`, how many there are and their share of all.

    The interval draws filters, each with all of its clusters.
    """
    counts = of_filters.sum(0)
    drawn = statistics.resampled_sums(of_filters.astype(np.float64), resamples, np.random.default_rng(seed))
    with np.errstate(invalid="ignore"):
        share, again = counts / counts.sum(), drawn / drawn.sum(1, keepdims=True)
    low, high = statistics.percentile_interval(again)
    return [
        {"size": place + 1, "clusters": int(counts[place])}
        | {"share": share[place], "share_low": low[place], "share_high": high[place], "filters": len(of_filters)}
        for place in range(LARGEST)
    ]


def _by_filter(found: np.ndarray) -> np.ndarray:
    """Of each filter, how many clusters of each size up to `LARGEST`: int64 `[filters, LARGEST]`."""
    table = statistics.cluster_sizes(found)
    of = np.zeros((len(found), LARGEST), np.int64)
    np.add.at(of, (table["filter"], np.minimum(table["size"], LARGEST) - 1), 1)
    return of
