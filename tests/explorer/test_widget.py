"""The explorer: sliders where somebody watches, the figure alone where nobody does."""

import pytest
from ipywidgets import interactive
from matplotlib.figure import Figure

from singlefilter import explorer, progress
from singlefilter.studies.layers import tables


def sliders(widget: interactive) -> dict:
    return {child.description: child for child in widget.children if hasattr(child, "readout")}


def test_figure_alone_where_nobody_watches(tiny, monkeypatch):
    monkeypatch.setenv(progress.UNWATCHED, "yes")
    assert isinstance(explorer.explore(tiny), Figure)


def test_sliders_start_at_the_filter_worth_seeing_and_know_their_limits(tiny, monkeypatch):
    monkeypatch.setattr(progress, "is_watched", lambda: True)
    widget = explorer.explore(tiny)
    of = sliders(widget)
    assert (of["layer"].value, of["layer"].min, of["layer"].max) == (13, 1, 13)
    assert (of["filter"].value, of["filter"].max) == (tables.worth_seeing(tables.counts(tiny)[13]), 31)
    of["filter"].value = 31
    of["layer"].value = 1  # 4 filters: the slider has to come along, or the figure could not be drawn
    assert (of["filter"].value, of["filter"].max) == (3, 3)
    assert widget.kwargs == {"layer": 1, "filter_": 3, "threshold": pytest.approx(0.3)}


def test_threshold_changes_what_is_clipped(tiny):
    few, many = (explorer.filter_figure(tiny, 13, 0, threshold) for threshold in (0.9, 0.1))
    ones = [figure.axes[1].images[0].get_array().sum() for figure in (few, many)]
    assert 0 < ones[0] < ones[1]


@pytest.mark.parametrize(("layer", "filter_", "threshold"), [(14, 0, 0.3), (13, 99, 0.3), (13, 0, 1.5)])
def test_what_is_not_there(tiny, layer, filter_, threshold):
    with pytest.raises(ValueError, match=r"no head at layer 14|filters 0 to 31|threshold"):
        explorer.filter_figure(tiny, layer, filter_, threshold)
