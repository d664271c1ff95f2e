"""The figure draws what its table says."""

import numpy as np
from tests.figures.made_up import CIFAR
from tests.studies.transformer.made_up import tables

from singlefilter.studies.transformer import charts


def test_a_line_for_every_kind_of_unit_against_depth():
    table = tables()["by_block"].assign(**{key: value for key, value in CIFAR.items() if key != "network"})
    fig = charts.by_block(table.sample(frac=1, random_state=0))
    panels = [ax for ax in fig.axes if ax.containers]
    assert [ax.get_title(loc="left")[4:] for ax in panels] == [title for _, title, _ in charts.PANELS]
    for ax, (name, _, scale) in zip(panels, charts.PANELS, strict=True):
        drawn = {bars.get_label().split(":")[0]: bars.lines[0].get_xydata() for bars in ax.containers}
        assert set(drawn) == set(charts.STYLES)
        for unit, found in drawn.items():
            rows = table[table["unit"] == unit].sort_values("depth")
            expected = np.column_stack([rows["depth"], scale * rows[name]])
            np.testing.assert_allclose(found, np.where(np.isinf(expected), np.nan, expected))
    said = [text.get_text() for text in fig.axes[0].get_legend().get_texts()]
    assert sorted(said) == ["attention heads: CCT", "filters: VGG-16, d = 16", "nodes: CCT"]


def test_intervals_reach_from_low_to_high():
    table = tables()["by_block"].assign(**{key: value for key, value in CIFAR.items() if key != "network"})
    bars = next(one for one in charts.by_block(table).axes if one.get_title(loc="left") == "(b) SNR").containers[1]
    ends = np.array([segment[:, 1] for segment in bars.lines[2][0].get_segments()])
    rows = table[table["unit"] == "nodes"]
    np.testing.assert_allclose(ends, rows[["snr_low", "snr_high"]])
