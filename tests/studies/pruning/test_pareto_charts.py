"""The figure of smaller networks: where each stands, the front, what is aimed at, and their numbers."""

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from tests.figures.reading import draw, panels
from tests.studies.pruning.made_up import CIFAR, pareto_table, tables

from singlefilter.studies.pruning.designs import Design


def point_of(ax: Axes, x: float, y: float) -> ErrorbarContainer:
    (found,) = [one for one in ax.containers if np.allclose(one.lines[0].get_xydata(), [[x, y]])]
    return found


def test_networks_stand_where_their_cost_and_accuracy_are():
    table = tables()["smaller_networks"]
    left, right = panels(draw("smaller_networks", table))
    for row in table.itertuples():
        for ax, cost in ((left, row.latency_ms_1), (right, row.parameters / 1e6)):
            point = point_of(ax, cost, 100 * row.accuracy)
            level, upright = (np.array(bar.get_segments())[0] for bar in point.lines[2])
            np.testing.assert_allclose(upright[:, 1], [100 * row.low, 100 * row.high])
            assert (point.lines[0].get_markerfacecolor() == "white") == (not row.ours and row.design != "dense")
            if ax is left:
                np.testing.assert_allclose(level[:, 0], [row.latency_low_1, row.latency_high_1])
    looks = {tuple(np.ravel(one.lines[0].get_color())) for one in left.containers}
    assert len(looks) == 7, "a colour for each way to choose"


def test_front_band_and_what_is_aimed_at():
    table = tables()["smaller_networks"]
    for ax, column, scale, half in zip(
        panels(draw("smaller_networks", table)), ("latency_ms_1", "parameters"), (1, 1e-6), (1 / 2, 0.5), strict=True
    ):
        front = table[table["front_latency" if column == "latency_ms_1" else "front_parameters"] == 1]
        (steps,) = [one for one in ax.lines if one.get_drawstyle() == "steps-post"]
        wanted = front.sort_values(column)[[column, "accuracy"]].to_numpy() * (scale, 100)
        np.testing.assert_allclose(steps.get_xydata()[:-1], wanted)
        assert steps.get_xydata()[-1] == pytest.approx((ax.get_xlim()[1], wanted[-1, 1]))
        dense = table[table["design"] == "dense"]
        band = ax.patches[0]
        best = 100 * dense["accuracy"].max()
        assert (band.get_y(), band.get_height()) == pytest.approx((best - 1, 1))
        (aim,) = [one for one in ax.lines if one.get_linestyle() == "--"]
        np.testing.assert_allclose(aim.get_xdata(), half * scale * dense[column].iloc[0])


def test_networks_on_a_front_are_named_inside_their_panel_and_the_key_says_the_rest():
    table = tables()["smaller_networks"]
    fig = draw("smaller_networks", table)
    for ax, front in zip(panels(fig), ("front_latency", "front_parameters"), strict=True):
        wanted = set(table["design"][(table[front] > 0) & (table["design"] != "dense")])
        assert {text.get_text() for text in ax.texts} == wanted | {"dense, as trained", "dense, retrained"}
        inside = ax.get_window_extent()
        assert all(inside.x0 <= box.x0 and box.x1 <= inside.x1 for box in (t.get_window_extent() for t in ax.texts))
    key = [text.get_text() for text in fig.axes[0].get_legend().get_texts()]
    assert key[0] == "dense" and {"cut", "accuracy aimed at", "cost aimed at", "none is better in both"} <= set(key)


@pytest.mark.filterwarnings("error")
def test_dense_alone_and_many_networks_with_long_names():
    draw("smaller_networks", pareto_table([Design()]).assign(**CIFAR)).draw_without_rendering()
    many = [
        Design(cut, rule="group norm", budget=budget) for cut in (7, 10, 13) for budget in np.linspace(0.1, 0.9, 12)
    ]
    fig = draw("smaller_networks", pareto_table([Design(), *many]).assign(**CIFAR))
    fig.draw_without_rendering()
