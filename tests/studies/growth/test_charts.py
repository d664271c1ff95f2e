"""Figures of growth: the artists and the data in them, with one K only, with one network, with gaps."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from tests.figures.reading import draw, line, panels, texts, words
from tests.studies.growth.made_up import (
    CIFAR,
    GLYPHS,
    LAYERS,
    LETTERS,
    NAMES,
    PICTURES,
    SERIES,
    tables,
    trends_table,
    width_table,
)

from singlefilter.figures import files
from singlefilter.studies.growth import charts as growth_charts
from singlefilter.studies.growth import laws

BANNER = "embedded glyphs — not CIFAR-100"


def bars(ax: Axes) -> list[tuple[np.ndarray, np.ndarray]]:
    """Points and ends of the bars of each set of points with intervals."""
    drawn = [one for one in ax.containers if isinstance(one, ErrorbarContainer)]
    return [(one.lines[0].get_xydata(), np.array(one.lines[2][0].get_segments())[:, :, 1]) for one in drawn]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("common", "counts"), [(CIFAR, PICTURES), (GLYPHS, LETTERS), (GLYPHS, (3,))])
def test_everything_fits_and_data_are_named(name, common, counts):
    fig = draw(name, tables(common, counts)[name])
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
    assert "n = " in caption.get_text() and common["profile"] in caption.get_text()


@pytest.mark.parametrize("name", NAMES)
def test_drawn_from_the_file_as_from_the_table(name, tmp_path):
    table = tables(GLYPHS, LETTERS)[name]
    (tmp_path / "table.csv").write_bytes(files._as_csv(table))
    read = files.read_table(tmp_path / "table.csv")
    pd.testing.assert_frame_equal(read, table, check_dtype=False)
    assert words(draw(name, read)) == words(draw(name, table))


def test_errors_with_their_intervals_and_the_laws_of_the_maximum():
    table = tables()["error_by_labels"]
    left, right = draw("error_by_labels", table).axes
    (largest, ends_of_largest), (mean, ends) = bars(left)
    for shows, points, segments in (("max", largest, ends_of_largest), ("mean", mean, ends)):
        rows = table[(table["series"] == "VGG-16") & (table["shows"] == shows)]
        np.testing.assert_allclose(points, np.stack([rows["labels"], 100 * rows["error"]], 1))
        np.testing.assert_allclose(segments, 100 * rows[["low", "high"]])
    for law, label in (("linear", "linear"), ("logarithm", "logarithm"), ("power", "power law, exponent")):
        (drawn,) = [one for one in left.lines if one.get_label().startswith(label)]
        expected = laws.curve(laws.fit(law, largest[:, 0], largest[:, 1]), drawn.get_xdata())
        np.testing.assert_allclose(drawn.get_ydata(), expected)
    assert (right.get_xscale(), right.get_yscale()) == ("log", "log")
    assert len(bars(right)) == len(SERIES)
    legend = [" ".join(text.get_text().split()) for text in right.get_legend().get_texts()]
    assert legend == list(SERIES)
    lines = [one.lines[0] for one in right.containers]
    assert lines[0].get_linewidth() > max(one.get_linewidth() for one in lines[1:])
    looks = {(one.get_marker(), tuple(np.ravel(one.get_color())), one.get_linestyle()) for one in lines}
    assert len(looks) == len(SERIES) and len({marker for marker, _, _ in looks}) == len(SERIES)


def test_caption_of_errors_gives_ranges():
    table = tables()["error_by_labels"]
    fixed = table["series"].str.contains("in all")
    table.loc[fixed, "images"] = 3000 // table["labels"][fixed]
    table.loc[(table["series"] == "VGG-16") & (table["labels"] == 3), "epochs"] = 500
    said = words(draw("error_by_labels", table))
    assert "VGG-16: n = 2–6 networks a point, on 1–3 subsets of labels" in said
    assert "300 training images per label, 15–500 epochs. All series: 30–1,000 images per label" in said
    assert "95 % bootstrap intervals over subsets" in said


def test_few_numbers_of_labels_have_no_laws():
    left = draw("error_by_labels", tables(counts=(3, 10, 30))["error_by_labels"]).axes[0]
    assert "no laws: fewer than 4 K" in [text.get_text() for text in left.texts]
    assert {text.get_text() for text in left.get_legend().get_texts()} == {
        "mean over subsets",
        "maximum over subsets",
    }


def test_an_error_of_zero_is_marked_on_the_log_axis():
    table = tables()["error_by_labels"]
    none = (table["series"] == "VGG-16") & (table["labels"] == 3)
    table.loc[none, ["error", "low", "high"]] = 0.0
    right = draw("error_by_labels", table).axes[1]
    assert [
        list(one.get_xdata()) for one in right.lines if one.get_marker() == "v" and len(one.get_xdata()) == 1
    ] == [[3]]
    assert np.isnan(right.containers[0].lines[0].get_ydata()[0])
    assert "▼ zero" in [text.get_text() for text in right.texts]


@pytest.mark.filterwarnings("error")
def test_errors_of_zero_and_of_nothing_still_draw():
    table = tables()["error_by_labels"]
    table[["error", "low", "high"]] = 0.0
    assert draw("error_by_labels", table).axes[1].get_yscale() == "linear"
    table[["error", "low", "high"]] = np.nan
    assert "no laws" in words(draw("error_by_labels", table))


def test_forest_of_exponents_and_how_good_each_law_is():
    table = tables()["laws_of_error"]
    apart, held_out, forest, _ = draw("laws_of_error", table).axes
    rows = table[["series", "shows"]].drop_duplicates()
    labels = [" ".join(label.get_text().split()) for label in apart.get_yticklabels()]
    shown = {"mean": "", "max": " (maximum over subsets)"}
    assert labels == [f"{row.series}{shown[row.shows]}" for row in rows.itertuples()]
    for container, law, side in zip(forest.containers, ("power", "family"), (-1, 1), strict=True):
        of = table[table["law"] == law]
        points = container.lines[0].get_xydata()
        np.testing.assert_allclose(points[:, 0], of["exponent"])
        np.testing.assert_array_equal(np.round(points[:, 1]), np.arange(len(rows)))
        assert (side * (points[:, 1] - np.arange(len(rows))) > 0).all()
        ends = np.array(container.lines[2][0].get_segments())[:, :, 0]
        np.testing.assert_allclose(ends, of[["exponent_low", "exponent_high"]])
    marks = {tuple(one.get_xdata()) for one in forest.lines if one.get_linestyle() == "--"}
    assert marks == {(0, 0), (1, 1)} and forest.get_xlabel() == "0: logarithm, 1: linear"
    for law, label in (("linear", "linear"), ("power", "power law"), ("logarithm", "logarithm")):
        of = table[table["law"] == law]
        np.testing.assert_allclose(line(apart, label)[:, 0], of["delta"])
    found = sorted(one.get_xdata().tolist() for one in held_out.lines if len(one.get_xdata()) == len(rows))
    wanted = [100 * table["held_out"][table["law"] == law] for law in ("linear", "power", "logarithm")]
    np.testing.assert_allclose(found, sorted(one.tolist() for one in wanted))


@pytest.mark.filterwarnings("error")
def test_exponents_that_are_not_there_leave_a_gap():
    table = tables()["laws_of_error"]
    family = table["law"] == laws.FAMILY
    table.loc[family, ["exponent", "exponent_low", "exponent_high"]] = np.nan
    table["aicc"] = np.inf
    forest = draw("laws_of_error", table).axes[2]
    assert np.isnan(forest.containers[1].lines[0].get_xdata()).all()
    one = table[(table["series"] == "VGG-8")].assign(delta=0.0, held_out=0.0)
    assert draw("laws_of_error", one).axes[0].get_ylim() == (0.5, -0.5)


def test_statistics_have_a_line_for_each_cut_the_last_one_bold():
    table = tables()["statistics_by_labels"]
    shown = panels(draw("statistics_by_labels", table))
    assert [ax.get_yscale() for ax in shown] == ["linear", "linear", "log", "log", "linear", "linear"]
    for ax, name in zip(shown, ("N_c", "C_s", "n", "snr", "covered", "dprime"), strict=True):
        assert ax.get_xscale() == "log"
        assert len(ax.lines) == len(ax.collections) == len(LAYERS)
        for drawn, layer in zip(ax.lines, LAYERS, strict=True):
            rows = table[(table["layer"] == layer) & ((name != "dprime") | (table["labels"] > 4))]
            np.testing.assert_allclose(drawn.get_xydata(), rows[["labels", name]])
        widths = [drawn.get_linewidth() for drawn in ax.lines]
        assert widths[-1] > max(widths[:-1])


@pytest.mark.filterwarnings("error")
def test_statistics_with_gaps_and_without_noise():
    table = tables()["statistics_by_labels"]
    first = (table["labels"] == 3) & (table["layer"] == 13)
    for name in ("C_s", "snr"):
        table.loc[first, [name, f"{name}_low", f"{name}_high"]] = np.nan
    table.loc[first, ["n", "n_low", "n_high"]] = 0.0
    shown = panels(draw("statistics_by_labels", table))
    for ax in shown[1:4]:
        assert np.isnan(ax.lines[-1].get_ydata()[0])
    assert "▼ zero" in [text.get_text() for text in shown[2].texts]
    nothing = table.assign(
        **{f"{name}{end}": np.nan for name in ("C_s", "n", "snr") for end in ("", "_low", "_high")}
    )
    draw("statistics_by_labels", nothing)


def test_trends_are_means_over_networks_with_their_range():
    table = tables()["trends_by_labels"]
    key, accuracy, snr, trend = draw("trends_by_labels", table).axes
    at_10 = table[table["labels"] == 10].groupby("layer")
    np.testing.assert_allclose(line(accuracy, "10")[:, 1], 100 * at_10["accuracy"].mean())
    np.testing.assert_allclose(line(snr, "10")[:, 1], at_10["snr"].mean())
    assert snr.get_yscale() == "log" and len(accuracy.collections) == len(PICTURES)
    band = accuracy.collections[1].get_paths()[0].vertices
    assert band[:, 1].max() == pytest.approx(100 * at_10["accuracy"].max().max())
    np.testing.assert_array_equal([line(trend, name)[:, 1] for name in ("accuracy", "SNR")], np.ones((2, 7)))
    assert [text.get_text() for text in key.get_legend().get_texts()] == [str(k) for k in PICTURES]
    fallen = table.assign(snr=table["snr"].where(table["labels"] != 10, 1 / table["layer"]))
    taus = line(draw("trends_by_labels", fallen).axes[3], "SNR")[:, 1]
    np.testing.assert_array_equal(taus, [1, -1, 1, 1, 1, 1, 1])


@pytest.mark.filterwarnings("error")
def test_trends_of_one_network_and_of_one_without_noise():
    one = trends_table(counts=(10,), subsets=1).assign(**CIFAR)
    assert "n = 1 networks for each K" in words(draw("trends_by_labels", one))
    table = tables()["trends_by_labels"]
    table.loc[(table["labels"] == 3) & (table["layer"] == 13) & (table["subset"] == 0), "snr"] = np.inf
    table.loc[(table["labels"] == 10) & (table["layer"] == 13) & (table["subset"] == 0), "snr"] = np.nan
    _, _, snr, trend = draw("trends_by_labels", table).axes
    assert np.isnan(line(snr, "3")[-1, 1]) and np.isnan(line(snr, "10")[-1, 1])
    assert "2 infinite: no noise" in [text.get_text() for text in snr.texts]
    np.testing.assert_array_equal(line(trend, "SNR")[:2, 1], [1, np.nan])


def test_noise_against_filters_with_the_power_law_of_the_means():
    table = tables()["noise_by_width"]
    noise, accuracy = draw("noise_by_width", table).axes
    legend = [text.get_text() for text in noise.get_legend().get_texts()]
    assert legend == ["VGG-16, exponent −0.60", "VGG-8, exponent −0.30"]
    for (points, ends), depth in zip(bars(noise), (16, 8), strict=True):
        rows = table[table["depth"] == depth]
        np.testing.assert_allclose(points[:, 1], rows["n"])
        np.testing.assert_allclose(points[:, 0], rows["filters"], rtol=0.05)
        np.testing.assert_allclose(ends, rows[["n_low", "n_high"]])
        (fitted,) = [
            one for one in noise.lines if len(one.get_xdata()) == 4 and one.get_color() == _colour(noise, depth)
        ]
        exact = 30 * fitted.get_xdata() ** (-0.6 if depth == 16 else -0.3)
        np.testing.assert_allclose(fitted.get_ydata(), exact)
    assert (noise.get_xscale(), noise.get_yscale(), accuracy.get_xscale()) == ("log", "log", "log")
    drawn = np.concatenate([one.get_ydata() for one in accuracy.lines if len(one.get_xdata()) == 8])
    np.testing.assert_allclose(drawn, 100 * table["accuracy"])


def _colour(ax: Axes, depth: int):
    (found,) = [one for one in ax.lines if str(one.get_label()).startswith(f"VGG-{depth}")]
    return found.get_color()


@pytest.mark.filterwarnings("error")
def test_one_width_has_no_law_and_no_noise_is_marked():
    one = width_table(widths=(4,), depths=(8,)).assign(**CIFAR)
    noise = draw("noise_by_width", one).axes[0]
    assert [text.get_text() for text in noise.get_legend().get_texts()] == ["VGG-8"]
    table = tables()["noise_by_width"]
    table.loc[table["filters"] == 256, ["n", "n_low", "n_high"]] = 0.0
    noise = draw("noise_by_width", table).axes[0]
    assert "▼ zero" in [text.get_text() for text in noise.texts]
    assert [text.get_text() for text in noise.get_legend().get_texts()] == ["VGG-16", "VGG-8"]


@pytest.mark.parametrize("lowest", [0.013, 1, 7, 8.4, 0.96])
@pytest.mark.parametrize("ratio", [1, 1.3, 3, 7, 40, 300, 9000])
def test_a_log_axis_has_ticks_to_read_it_by(lowest, ratio):
    axes = Figure().subplots()
    growth_charts.log_y(axes, pd.Series([lowest, lowest * ratio]))
    low, high = axes.get_ylim()
    shown = [tick for tick in axes.get_yticks() if low <= tick <= high]
    assert 2 <= len(shown) <= 8
