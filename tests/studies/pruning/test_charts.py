"""Figures of pruning: the artists and the data in them, one seed or cut only, gaps, and many networks."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from tests.figures.reading import draw, line, panels, texts, words
from tests.studies.pruning.made_up import (
    CIFAR,
    GLYPHS,
    NAMES,
    convolutions_table,
    heads_table,
    tables,
    truncation_table,
)

from singlefilter.figures import files
from singlefilter.studies.pruning import head_study

BANNER = "embedded glyphs — not CIFAR-100"


def bars(ax: Axes, label: str) -> tuple[np.ndarray, np.ndarray]:
    """Points, and ends of their upright bars."""
    (drawn,) = [one for one in ax.containers if isinstance(one, ErrorbarContainer) and one.get_label() == label]
    return drawn.lines[0].get_xydata(), np.array(drawn.lines[2][-1].get_segments())[:, :, 1]


def of(table: pd.DataFrame, **values) -> pd.DataFrame:
    return table[np.logical_and.reduce([table[name] == value for name, value in values.items()])]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("common", "seeds"), [(CIFAR, 3), (GLYPHS, 1)])
def test_everything_fits_and_data_are_named(name, common, seeds):
    fig = draw(name, tables(common, seeds)[name])
    fig.set_dpi(200)  # as in the files
    fig.draw_without_rendering()
    banner = [text for text in fig.texts if text.get_text() == BANNER]
    assert len(banner) == (common is GLYPHS)
    for text in texts(fig):
        extent = text.get_window_extent()
        assert extent.x0 >= 5 and extent.y0 >= -1, text
        assert extent.x1 <= fig.bbox.width - 5 and extent.y1 <= fig.bbox.height + 1, text
    caption = next(text for text in fig.texts if text.get_text().startswith("Data:"))
    below = min(ax.get_tightbbox().y0 for ax in fig.axes if ax.axison)
    assert caption.get_window_extent().y1 <= below + 1
    said = " ".join(caption.get_text().split())
    assert f"n = {seeds} training seed{'s' if seeds > 1 else ''}, 10,000 test images" in said
    assert common["profile"] in said and f"Seed: {common['seed']}." in said


@pytest.mark.parametrize("name", NAMES)
def test_drawn_from_the_file_as_from_the_table(name, tmp_path):
    table = tables(GLYPHS, 1)[name]
    (tmp_path / "table.csv").write_bytes(files._as_csv(table))
    read = files.read_table(tmp_path / "table.csv")
    pd.testing.assert_frame_equal(read, table, check_dtype=False)
    assert words(draw(name, read)) == words(draw(name, table))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", NAMES)
def test_intervals_that_are_not_known_and_rows_that_are_missing_leave_gaps(name):
    table = tables()[name]
    ends = [column for column in table if column.endswith(("low", "high"))]
    draw(name, table.assign(**dict.fromkeys(ends, np.nan))).draw_without_rendering()
    if "method" in table and name != "smaller_networks":
        draw(name, table[table["method"] != "afcc"]).draw_without_rendering()
        draw(name, table[table["method"] == "dense"]).draw_without_rendering()


def test_heads_by_cut_are_those_of_the_threshold_in_use():
    table = tables()["masked_heads"]
    before, after, kept, ahead, gains = panels(draw("masked_heads", table))
    main = of(table, used=1)
    for ax, moment in ((after, "after"), (before, "before")):
        for method, label in (("afcc", "AFCC"), ("magnitude", "magnitude"), ("dense", "dense")):
            rows = of(main, moment=moment, method=method)
            assert len(rows) == 13
            drawn = line(ax, label)
            np.testing.assert_allclose(drawn, np.stack([rows["layer"], 100 * rows["accuracy"]], 1))
        assert len(ax.collections) == len(head_study.METHODS)
    for method, label in (("afcc", "AFCC"), (head_study.LEAK, "AFCC of test images")):
        rows = of(main, moment="after", method=method)
        np.testing.assert_allclose(line(kept, label)[:, 1], 100 * rows["kept_fraction"])
    assert len(kept.lines) == 2 and kept.get_yscale() == "log"
    last = of(table, layer=13, moment="after")
    points, _ = bars(gains, "random")
    np.testing.assert_allclose(
        points[:, 0], 100 * of(last, method="random").sort_values("kept_fraction")["kept_fraction"]
    )
    assert [label.get_text().split()[-1] for label in gains.get_xticklabels()] == ["0.5", "0.3", "0.2", "0.1"]


def test_gains_of_afcc_over_dense_stand_in_its_own_rows():
    table = tables()["masked_heads"]
    ahead, gains = (panels(draw("masked_heads", table))[place] for place in (3, 4))
    main = of(table, used=1, moment="after")
    for ax, rows in ((ahead, main), (gains, of(table, layer=13, moment="after"))):
        assert {one.get_label() for one in ax.containers} >= {"dense", "magnitude", "random"}
        assert "AFCC" not in {one.get_label() for one in ax.containers}
        for label, method, column in (("dense", "afcc", "difference"), ("magnitude", "magnitude", "ahead")):
            order = "layer" if ax is ahead else "kept_fraction"
            found = of(rows, method=method).sort_values(order)
            points, ends = bars(ax, label)
            np.testing.assert_allclose(points[:, 1], 100 * found[column])
            np.testing.assert_allclose(ends, 100 * found[[f"{column}_low", f"{column}_high"]])
    every = 100 * main[["ahead", "ahead_low", "ahead_high"]].to_numpy(float)
    assert ahead.get_ylim()[0] < np.nanmin(every) and np.nanmax(every) < ahead.get_ylim()[1], (
        "no curve leaves its panel"
    )


@pytest.mark.filterwarnings("error")
def test_one_cut_and_a_single_threshold():
    table = heads_table(layers=[13]).assign(**CIFAR)
    draw("masked_heads", table[table["used"] == 1]).draw_without_rendering()


def test_widths_have_every_method_beside_each_other():
    table = tables()["masked_heads_by_width"]
    accuracy, ahead, kept = panels(draw("masked_heads_by_width", table))
    assert len(accuracy.containers) == len(head_study.METHODS) and len(kept.lines) == 2
    for method, label in (("afcc", "AFCC"), ("dense", "dense")):
        rows = of(table, method=method, moment="after")
        points, ends = bars(accuracy, label)
        np.testing.assert_allclose(points, np.stack([rows["width"], 100 * rows["accuracy"]], 1))
        np.testing.assert_allclose(ends, 100 * rows[["low", "high"]])
        assert accuracy.get_ylim()[1] > ends.max()
    rows = of(table, method="magnitude", moment="after")
    np.testing.assert_allclose(bars(ahead, "magnitude")[0][:, 1], 100 * rows["ahead"])
    assert [label.get_text() for label in kept.get_xticklabels()] == ["4", "8", "16", "32", "64"]


def test_convolutions_have_a_column_for_each_chain_on_one_scale():
    table = tables()["masked_convolutions"]
    gains = [f"{name}{end}" for name in ("ahead", "difference") for end in ("", "_low", "_high")]
    table.loc[table["first_layer"] == 8, gains] *= 1.5  # so that the first chain does not set the scale
    axes = panels(draw("masked_convolutions", table))
    above, below = axes[:3], axes[3:]
    assert [ax.get_title(loc="left") for ax in above] == [
        "(a) layers 12 to 13, 1 pair",
        "(b) layers 10 to 13, 3 pairs",
        "(c) layers 8 to 13, 5 pairs",
    ]
    for first, up, down in zip((12, 10, 8), above, below, strict=True):
        rows = of(table, first_layer=first, moment="before", method="random").sort_values("kept_fraction")
        points, ends = bars(up, "random")
        np.testing.assert_allclose(points, 100 * rows[["kept_fraction", "accuracy"]])
        np.testing.assert_allclose(ends, 100 * rows[["low", "high"]])
        dense = of(table, first_layer=first, moment="after", method="dense").iloc[0]
        band = up.patches[0]
        heights = band.get_y(), band.get_y() + band.get_height()
        assert heights == pytest.approx((100 * dense["low"], 100 * dense["high"]))
        assert [label.get_text().split()[-1] for label in up.get_xticklabels()] == ["3", "2", "1"]
        assert {one.get_label() for one in down.containers} == {"dense", "magnitude", "random"}
    for row in (above, below):
        assert len({ax.get_ylim() for ax in row}) == 1
        lowest, highest = row[0].get_ylim()
        near = {one.get_label() for one in row[0].containers}
        shown = np.concatenate([bars(ax, label)[1].ravel() for ax in row for label in near])
        assert lowest < shown.min() and shown.max() < highest


@pytest.mark.filterwarnings("error")
def test_one_chain_and_one_overlap():
    fig = draw("masked_convolutions", convolutions_table(firsts=(4,), overlaps=(1,), seeds=1).assign(**GLYPHS))
    assert len(panels(fig)) == 2 and "share 1" in words(fig)


def test_truncation_marks_where_accuracy_levels_off():
    table = tables()["truncation"]
    above, below = panels(draw("truncation", table))
    drawn = line(above, "head on the layers as trained")
    np.testing.assert_allclose(drawn, np.stack([table["layer"], 100 * table["accuracy"]], 1))
    points, ends = bars(above, "all weights retrained")
    again = table[table["layer"].isin((7, 10))]
    np.testing.assert_allclose(points, np.stack([again["layer"], 100 * again["retrained"]], 1))
    np.testing.assert_allclose(ends, 100 * again[["retrained_low", "retrained_high"]])
    strokes = {
        one.get_xdata()[0]: one.get_alpha()
        for one in above.lines
        if one.get_linewidth() == 7 and len(one.get_xdata())
    }
    assert set(strokes) == {9, 10} and strokes[10] == pytest.approx(2 * strokes[9])
    assert {text.get_text() for text in above.texts} == {"1 of 3", "2 of 3"}
    for label, name in (("multiply-adds", "multiply_adds_part"), ("parameters, head included", "parameters_part")):
        np.testing.assert_allclose(line(below, label)[:, 1], 100 * table[name])


@pytest.mark.filterwarnings("error")
def test_truncation_without_anything_retrained():
    above = panels(draw("truncation", truncation_table(cuts=()).assign(**CIFAR)))[0]
    assert not above.containers
    assert "all weights retrained" not in [text.get_text() for text in above.get_legend().get_texts()]
