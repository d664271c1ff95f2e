"""A filter to play with: choose layer, filter and threshold; see its matrix, its clusters and their names.

Where nobody can move a slider, in a notebook that papermill runs, the static figure takes the widgets' place.
"""

from __future__ import annotations

import dataclasses

from ipywidgets import FloatSlider, IntSlider, interactive
from matplotlib.figure import Figure

from singlefilter import figures, progress
from singlefilter.pipeline import stages
from singlefilter.studies.layers import tables


def filter_figure(run: stages.Run, layer: int, filter_: int, threshold: float) -> Figure:
    """The figure of one filter, from field matrix to clusters, at a threshold of one's own.

    Raises `ValueError` for a layer or a filter that is not there, or a threshold outside (0, 1).
    Source: sections 3 to 5.
    """
    analysis = dataclasses.replace(run.profile.analysis, threshold=threshold)
    turned = dataclasses.replace(run, profile=dataclasses.replace(run.profile, analysis=analysis))
    return figures.preview(turned, "one_filter", tables.one_filter(turned, (layer,), filter_))


def explore(run: stages.Run) -> interactive | Figure:
    """Sliders for layer, filter and threshold over `filter_figure`, or the figure alone where nobody watches.

    The filter that is shown first is the one worth seeing in the last layer.
    """
    filters = {point.cut.layer: point.cut.filters for point in stages.points(run)}
    layer, threshold = max(filters), run.profile.analysis.threshold
    first = tables.worth_seeing(tables.counts(run)[layer])
    if not progress.is_watched():
        return filter_figure(run, layer, first, threshold)
    options = {"continuous_update": False}
    layers = IntSlider(layer, min(filters), layer, **options)
    chosen = IntSlider(first, 0, filters[layer] - 1, description="filter", **options)

    def limit(change: dict) -> None:
        chosen.max = filters[change["new"]] - 1

    layers.observe(limit, "value")
    thresholds = FloatSlider(threshold, min=0.1, max=0.9, step=0.05, **options)
    return interactive(
        lambda layer, filter_, threshold: filter_figure(run, layer, filter_, threshold),
        layer=layers,
        filter_=chosen,
        threshold=thresholds,
    )
