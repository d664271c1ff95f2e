"""Clusters and noise of every filter of a run, counted once for all tables that need them."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd

from singlefilter.method import clusters, fields, statistics
from singlefilter.pipeline import stages


@functools.lru_cache(maxsize=4)
def counts(run: stages.Run, split: str = "train", kind: str = "flat") -> dict[int, pd.DataFrame]:
    """Clusters and noise of every filter (`statistics.count_filters`), by layer, from the heads of a kind."""
    measured, weights = stages.measurement(run, split), stages.heads(run)[0]
    by_layer = {}
    for point in (point for point in stages.points(run) if point.kind == kind):
        parts = []
        for _, matrices in fields.chunks(measured.class_means[point.name], weights[point.name]):
            clipped = clusters.clip(matrices, run.profile.analysis.threshold)
            parts.append(statistics.count_filters(clipped, clusters.find(clipped)))
        table = pd.concat(parts, ignore_index=True)
        by_layer[point.cut.layer] = table.assign(filter=np.arange(len(table)))
    return by_layer
