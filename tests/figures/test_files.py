"""The figures: the artists and the data in them, their files, and what they say when a table is wrong."""

import gc
import re

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.text import Text
from tests.studies.controls.test_charts import control_tables
from tests.studies.growth.test_charts import tables as growth_tables
from tests.studies.pruning.test_charts import tables as pruning_tables

from singlefilter import drawing
from singlefilter.figures import files, registry

CIFAR = {"profile": "laptop", "data": "CIFAR-100", "network": "VGG-16, d = 16", "seed": 1}
GLYPHS = {"profile": "quick", "data": "embedded glyphs", "network": "VGG-16, d = 8", "seed": 0}
BANNER = "embedded glyphs — not CIFAR-100"
NASTY = [
    "nan",
    "None",
    "0",
    "1",
    "01",
    "1e5",
    "True",
    "",
    " ",
    ",",
    '"',
    "'",
    "$",
    "$x_1$",
    "_",
    "\\",
    "#",
    "NA",
    "Ж",
]


def image(seed: int, side: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (3, side, side), dtype=np.uint8)


def samples_table() -> pd.DataFrame:
    rows = [("B", "ImageNet", 0, "", "", "", "ImageNet is not here: put it into the data folder.")]
    for panel, labels in (("A", NASTY[:8]), ("C", NASTY[8:16])):
        for place, label in enumerate(labels):
            png = drawing.encode_png(image(place))
            rows.append((panel, f"title {panel}", place, label, f"{place}.png", png, ""))
    columns = ["panel", "title", "position", "label", "source", "png", "note"]
    return pd.DataFrame(rows, columns=columns).assign(profile="quick")


def curves_table() -> pd.DataFrame:
    rows = [
        (epoch, split, 0.1 * epoch + aside, 3 / epoch + aside, 0.1 / epoch, 12.0)
        for epoch in (1, 2, 3)
        for split, aside in (("train", 0.05), ("test", 0.0))
    ]
    return pd.DataFrame(rows, columns=["epoch", "split", "accuracy", "loss", "learning_rate", "seconds"])


def recipes_table() -> pd.DataFrame:
    rows = [
        ("own", 300, 0.70, 0.68, 0.72, 0.725, 0.715, 0.735, 0),
        ("none", 1, 0.73, 0.71, 0.75, 0.74, 0.73, 0.75, 1),
    ]
    quantities = [f"{name}{end}" for name in ("accuracy", "test_accuracy") for end in ("", "_low", "_high")]
    table = pd.DataFrame(rows, columns=["recipe", "epochs", *quantities, "chosen"])
    return table.assign(images=5000, test_images=10000, seconds=[5.0, 90.0])


def accuracy_table(layers: int = 3) -> pd.DataFrame:
    columns = ["cut", "layer", "filters", "positions", "head", "fan_in", "accuracy", "low", "high", "n"]
    rows = [
        (f"conv{m}", m, 8 * m, 16, head, 8 * m * size, 0.04 * m, 0.04 * m - 0.01, 0.04 * m + 0.02, 1000)
        for head, size in (("flat", 16), ("pooled", 1))
        for m in range(1, layers + 1)
    ]
    return pd.DataFrame(rows, columns=columns)


def statistics_table(layers: int = 5) -> pd.DataFrame:
    names = [
        "N_c",
        "C_s",
        "n",
        "S",
        "X_internal",
        "X_external",
        "snr",
        "dprime",
        "N_c_clustered",
        "n_clustered",
    ]
    rows = []
    for split in ("train", "test"):
        for m in range(1, layers + 1):
            row = {"cut": f"conv{m}", "layer": m, "split": split}
            for name in names:
                value = 2.0**m if name in ("snr", "X_external") else float(m)
                row |= {name: value, f"{name}_low": 0.9 * value, f"{name}_high": 1.2 * value}
            rows.append(row | {"filters": 16, "filters_with_cluster": 9, "images": 500})
    return pd.DataFrame(rows)


def one_filter_table(labels: list[str]) -> pd.DataFrame:
    """Labels 1 and 3 share cluster 0, label 2 is cluster 1 on its own, the element [0, 4] is noise."""
    size = len(labels)
    relative = np.full((size, size), -0.4)
    relative[np.ix_([1, 3], [1, 3])], relative[2, 2], relative[0, 4] = 1.0, 0.5, 0.6
    cluster = np.full((size, size), -1)
    cluster[np.ix_([1, 3], [1, 3])], cluster[2, 2] = 0, 1
    order = [1, 3, 2, 0, *range(4, size)]
    place = np.argsort(order)
    true, out = np.divmod(np.arange(size * size), size)
    table = {"cut": "conv13", "layer": 13, "filter": 7, "true_index": true, "out_index": out}
    table |= {"true_label": [labels[i] for i in true], "out_label": [labels[i] for i in out]}
    table |= {"field": 2 * relative.ravel(), "relative": relative.ravel()}
    table |= {"clipped": (relative > 0.3).ravel().astype(int), "cluster": cluster.ravel()}
    return pd.DataFrame(table | {"true_position": place[true], "out_position": place[out], "threshold": 0.3})


def cluster_images_table() -> pd.DataFrame:
    rows = [
        ("conv13", 13, 7, cluster, 5, label, drawing.encode_png(image(number)))
        for cluster, labels in ((1, ["aquarium_fish", "nan"]), (-1, ["_"]))
        for label in labels
        for number in range(6)
    ]
    return pd.DataFrame(rows, columns=["cut", "layer", "filter", "cluster", "labels", "label", "png"])


def claims_table() -> pd.DataFrame:
    columns = ["claim", "statement", "statistic", "value", "low", "high", "n", "verdict", "bar"]
    rows = [
        ("C1", "accuracy rises with the layer", "rank correlation", 0.9, 0.7, 1.0, 13, "supported", 0.5),
        ("C2", "SNR rises with the layer", "slope of log SNR", 0.1, -0.2, 0.4, 13, "undecided", 0.0),
        ("C3", "noise falls with the layer", "slope of log n", 0.2, 0.1, np.inf, 13, "not supported", 0.0),
    ]
    return pd.DataFrame(rows, columns=columns)


def tables(common: dict, layers: int = 5, labels: int = 20) -> dict[str, pd.DataFrame]:
    names = [*NASTY, *(f"long_label_{i}" for i in range(100))][:labels]
    made = {
        "curves": curves_table(),
        "recipes": recipes_table(),
        "accuracy_by_layer": accuracy_table(layers),
        "one_filter": one_filter_table(names),
        "cluster_images": cluster_images_table(),
        "statistics_by_layer": statistics_table(layers),
        "claims": claims_table(),
    }
    made |= control_tables(layers) | growth_tables() | pruning_tables()
    return {"samples": samples_table()} | {name: table.assign(**common) for name, table in made.items()}


def draw(name: str, table: pd.DataFrame) -> Figure:
    return registry.FIGURES[name].drawn(table)


def texts(fig: Figure) -> list[Text]:
    """What can be read on a figure; an axis keeps labels of ticks beyond its ends, which are not drawn."""
    beyond = set()
    for ax in fig.axes:
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval()) if ax.axison else (np.inf, np.inf)
            outside = [tick for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high]
            beyond |= {label for tick in outside for label in (tick.label1, tick.label2)}
    found = [text for text in fig.findobj(Text) if text.get_visible() and text.get_text().strip()]
    return [text for text in found if text not in beyond]


def words(fig: Figure) -> str:
    return " ".join(" ".join(text.get_text() for text in texts(fig)).split())


def line(ax: matplotlib.axes.Axes, label: str) -> np.ndarray:
    (found,) = [one for one in ax.lines if one.get_label() == label]
    return np.asarray(found.get_xydata(), dtype=float)


def test_every_figure_has_a_table_here():
    assert set(tables(CIFAR)) == set(registry.FIGURES)


@pytest.mark.parametrize("name", registry.FIGURES)
def test_published_and_redrawn_files_are_the_same_bytes(name, tmp_path):
    gc.collect()
    before = dict(matplotlib.rcParams)
    fig = files.publish(name, tables(CIFAR, layers=2)[name], tmp_path)
    written = [tmp_path / f"{name}{ending}" for ending in (".csv", ".png", ".svg")]
    first = [path.read_bytes() for path in written]
    assert isinstance(fig, Figure) and all(first)
    for path in written[1:]:
        path.unlink()
    with matplotlib.rc_context({"font.size": 20, "lines.linewidth": 9, "svg.hashsalt": "another"}):
        assert files.redraw(tmp_path) == written[1:]
    assert [path.read_bytes() for path in written] == first
    assert b"<dc:date>" not in first[2] and b"Matplotlib" not in first[1] + first[2]
    assert sorted(tmp_path.iterdir()) == sorted(written), "no temporary file stays"
    assert plt.get_fignums() == []
    assert dict(matplotlib.rcParams) == before


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", registry.FIGURES)
def test_nothing_is_cut_off_or_drawn_as_a_box_and_data_are_named(name):
    for common, layers, labels in ((CIFAR, 3, 20), (GLYPHS, 13, 100)):
        fig = draw(name, tables(common, layers, labels)[name])
        fig.draw_without_rendering()  # a legend finds its place only then
        width, height = fig.bbox.size
        for text in texts(fig):
            extent = text.get_window_extent()
            assert extent.x0 >= -1 and extent.y0 >= -1, text
            assert extent.x1 <= width + 1 and extent.y1 <= height + 1, text
        said = words(fig)
        banners = [text for text in fig.texts if BANNER in text.get_text()]
        assert len(banners) == (common is GLYPHS and name != "samples")
        for banner in banners:
            assert not banner.get_window_extent().overlaps(fig.texts[0].get_window_extent()), "covers the title"
        assert "n = " in said
        if name != "samples":
            assert f"Data: {common['data']}. Network: {common['network']}. Profile: {common['profile']}." in said
            assert f"Seed: {common['seed']}." in said


def test_banner_names_the_profile_where_only_some_rows_are_embedded():
    table = pd.concat([claims_table().assign(**CIFAR), claims_table().assign(**GLYPHS)])
    assert f"profile quick: {BANNER}" in words(draw("claims", table))


@pytest.mark.parametrize("name", registry.FIGURES)
def test_a_missing_column_is_named_with_its_file(name, tmp_path):
    table = tables(CIFAR)[name]
    needed = registry.FIGURES[name].columns
    for gone in (needed[0], needed[-1]):
        with pytest.raises(files.TableError, match=f"'{name}' has no column {gone}"):
            files.publish(name, table.drop(columns=gone), tmp_path)
        assert not list(tmp_path.iterdir())
        table.drop(columns=gone).to_csv(tmp_path / f"{name}.csv", index=False)
        with pytest.raises(ValueError, match=f"{re.escape(str(tmp_path))}.*{name}.csv has no column {gone}"):
            files.redraw(tmp_path)
        (tmp_path / f"{name}.csv").unlink()


def test_wrong_names_and_tables_are_refused_before_anything_is_drawn(tmp_path):
    with pytest.raises(files.TableError, match="no figure 'curve'.*Figures: samples, curves"):
        files.publish("curve", curves_table(), tmp_path)
    with pytest.raises(files.TableError, match="No tables"):
        files.redraw(tmp_path / "nowhere")
    table = curves_table().assign(**CIFAR)
    with pytest.raises(files.TableError, match="no rows"):
        files.publish("curves", table.iloc[:0], tmp_path)
    with pytest.raises(files.TableError, match="text in column loss"):
        files.publish("curves", table.assign(loss="low"), tmp_path)
    files.publish("curves", table, tmp_path)
    drawn = (tmp_path / "curves.png").stat().st_mtime_ns
    with pytest.raises(files.TableError, match="samples.csv. Tables in this folder: curves"):
        files.redraw(tmp_path, ["samples"])
    (tmp_path / "stray.csv").write_text("a,b\n1,2\n")
    with pytest.raises(files.TableError, match="no figure 'stray'"):
        files.redraw(tmp_path)
    assert (tmp_path / "curves.png").stat().st_mtime_ns == drawn
    (tmp_path / "curves.csv").write_text("")
    with pytest.raises(files.TableError, match="curves.csv is empty"):
        files.redraw(tmp_path, ["curves"])


def test_old_table_survives_a_write_that_fails(tmp_path, monkeypatch):
    files.publish("curves", curves_table().assign(**CIFAR), tmp_path)
    old = (tmp_path / "curves.csv").read_bytes()

    def full(path, content):
        path.open("wb").write(content[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        files.publish("curves", curves_table().assign(**GLYPHS), tmp_path)
    assert (tmp_path / "curves.csv").read_bytes() == old
    assert len(list(tmp_path.iterdir())) == 3


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.sampled_from(NASTY) | st.text(st.characters(exclude_categories=["C"]), max_size=5), min_size=1),
    st.lists(st.floats(), min_size=1),
)
def test_a_table_survives_its_file(tmp_path_factory, labels, numbers):
    rows = min(len(labels), len(numbers))
    table = pd.DataFrame({"label": labels[:rows], "value": numbers[:rows], "layer": range(rows)})
    path = tmp_path_factory.mktemp("table") / "table.csv"
    files._write(path, files._as_csv(table))
    read = files.read_table(path)
    assert list(read["label"]) == labels[:rows]
    np.testing.assert_array_equal(read["value"].to_numpy(float), numbers[:rows])  # exactly, NaN and inf too
    assert read["layer"].dtype == np.int64


def test_nasty_labels_reach_the_figure(tmp_path):
    table = one_filter_table(["a", "$", "nan", "_", "0", ","]).assign(**GLYPHS)
    fig = files.publish("one_filter", table.astype({"clipped": bool}), tmp_path)
    assert "0:  $  _" in [text.get_text() for text in texts(fig)]
    assert "1:  nan" in [text.get_text() for text in texts(fig)]
    assert [label.get_text() for label in fig.axes[0].get_yticklabels()] == ["a", "$", "nan", "_", "0", ","]
    assert [label.get_text() for label in fig.axes[2].get_yticklabels()] == ["$", "_", "nan", "a", "0", ","]


def test_curves_draw_what_the_table_says():
    above, middle, below = draw("curves", curves_table().assign(**CIFAR)).axes
    np.testing.assert_allclose(line(above, "test, last epoch 30.0 %"), [[1, 10], [2, 20], [3, 30]])
    np.testing.assert_allclose(line(middle, "train"), [[1, 3.05], [2, 1.55], [3, 1.05]])
    np.testing.assert_allclose(below.lines[0].get_xydata(), [[1, 0.1], [2, 0.05], [3, 0.1 / 3]])


def test_recipes_draw_both_judges_with_intervals_and_name_the_chosen():
    (ax,) = draw("recipes", recipes_table().assign(**CIFAR)).axes
    held, test = (one for one in ax.containers if isinstance(one, ErrorbarContainer))
    np.testing.assert_allclose(held.lines[0].get_xdata(), [70, 73])
    np.testing.assert_allclose(test.lines[0].get_xdata(), [72.5, 74])
    ends = np.array(test.lines[2][0].get_segments())[:, :, 0]
    np.testing.assert_allclose(ends, [[71.5, 73.5], [73, 75]])
    assert [label.get_text() for label in ax.get_yticklabels()] == [
        "own\n300 epochs, 5 seconds",
        "none (chosen)\n1 epoch, 1.5 minutes",
    ]


def test_accuracy_has_both_heads_intervals_fan_in_and_chance():
    table = accuracy_table().assign(**CIFAR)
    above, below = draw("accuracy_by_layer", table.assign(labels=100)).axes
    bars = [one for one in above.containers if isinstance(one, ErrorbarContainer)]
    assert len(bars) == 2
    for bar in bars:
        segments = np.array(bar.lines[2][0].get_segments())
        np.testing.assert_allclose(segments[:, :, 1], [[4 * m - 1, 4 * m + 2] for m in range(1, 4)], atol=1e-9)
    np.testing.assert_allclose(above.lines[-1].get_ydata(), 1.0)
    np.testing.assert_allclose(below.lines[0].get_ydata(), [128 * m for m in range(1, 4)])
    assert below.get_yscale() == "log"
    assert "chance" not in words(draw("accuracy_by_layer", table))


def test_statistics_draw_splits_and_mark_what_has_no_place():
    table = statistics_table().assign(**CIFAR)
    panels = [ax for ax in draw("statistics_by_layer", table).axes if ax.lines]
    assert len(panels) == 6
    train, test = (next(one for one in panels[1].lines if one.get_label() == f"C_s {s}") for s in ("train", "test"))
    assert (train.get_linestyle(), test.get_linestyle()) == ("-", "--")
    np.testing.assert_allclose(train.get_xydata(), [[m, m] for m in range(1, 6)])
    assert [ax.get_yscale() for ax in panels] == ["linear"] * 3 + ["log", "log", "linear"]
    last = table["layer"] == 5
    table.loc[last, ["snr", "snr_high"]] = np.inf
    table.loc[last, ["X_external", "X_external_low", "X_external_high"]] = 0.0
    fig = draw("statistics_by_layer", table)
    assert "▲ infinite: X = 0" in words(fig) and "▼ zero" in words(fig)
    snr, noise = [ax for ax in fig.axes if ax.lines][3:5]
    assert [list(one.get_xdata()) for one in snr.lines if one.get_marker() == "^"] == [[5], [5]]
    assert [list(one.get_xdata()) for one in noise.lines if one.get_marker() == "v"] == [[5], [5]]
    assert np.isnan(line(snr, "snr train")[-1, 1])


def test_one_filter_panels_hold_the_matrices():
    labels = [f"name_{i}" for i in range(30)]
    table = one_filter_table(labels).assign(**CIFAR)
    fig = draw("one_filter", table.sample(frac=1, random_state=0))
    field, clipped, permuted = (np.asarray(ax.images[0].get_array()) for ax in fig.axes[:3])
    np.testing.assert_array_equal(field, table["relative"].to_numpy().reshape(30, 30))
    np.testing.assert_array_equal(clipped, table["clipped"].to_numpy().reshape(30, 30))
    coloured = (permuted != 1).any(axis=-1)
    expected = np.zeros((30, 30), dtype=bool)
    expected[:2, :2] = expected[2, 2] = expected[3, 4] = True
    np.testing.assert_array_equal(coloured, expected)
    assert len({tuple(permuted[at]) for at in ((0, 0), (2, 2), (3, 4))}) == 3
    squares = {(patch.get_x(), patch.get_width()) for patch in fig.axes[2].patches}
    assert squares == {(-0.5, 2), (1.5, 1)}
    said = words(fig)
    assert "0: name 1, name 3" in said and "1: name 2" in said and "noise: 1 element" in said


def test_many_clusters_are_cut_short_in_words():
    table = one_filter_table([f"name_{i}" for i in range(40)])
    diagonal = table["true_index"] == table["out_index"]
    table = table.assign(clipped=diagonal.astype(int), cluster=np.where(diagonal, table["true_index"], -1))
    assert re.search(r"and 24 more ■ noise: 0 elements", words(draw("one_filter", table.assign(**CIFAR))))


def test_samples_show_images_and_say_what_is_missing():
    fig = draw("samples", samples_table().sample(frac=1, random_state=0))
    shown = [np.asarray(ax.images[0].get_array()) for ax in fig.axes if ax.images]
    assert len(shown) == 16
    np.testing.assert_array_equal(shown[3], np.moveaxis(image(3), 0, -1))
    assert "ImageNet is not here: put it into the data folder." in words(fig)
    assert [t.get_text() for t in texts(fig)].count("None") == 1


def test_gallery_shows_every_label_first_and_at_most_eight():
    fig = draw("cluster_images", cluster_images_table().assign(**CIFAR))
    labels = [ax.texts[0].get_text() for ax in fig.axes if ax.images]
    assert labels == ["aquarium fish", "nan"] * 4 + ["_"] * 6
    assert "cluster 1" in words(fig) and "in no cluster" in words(fig)
    assert "2 of 5 labels" in words(fig) and "1 of 5 labels" in words(fig)


def test_claims_have_a_row_for_each_profile():
    table = pd.concat([claims_table().assign(**CIFAR), claims_table().assign(**GLYPHS)])
    fig = draw("claims", table)
    scales = [ax for ax in fig.axes if ax.lines and ax.get_title(loc="left")]
    assert [ax.get_title(loc="left") for ax in scales[:3]] == ["rank correlation"] * 2 + ["slope of log SNR"]
    assert [list(one.get_xdata()) for one in scales[2].lines[1:]] == [[0.0, 0.0], [-0.2, 0.4], [0.1]]  # bar first
    said = [text.get_text() for text in texts(fig)]
    assert [said.count(verdict) for verdict in ("supported", "undecided", "not supported")] == [2, 2, 2]
    assert said.count("accuracy rises with the layer") == 1


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 99))
def test_images_survive_as_text(height, width, seed):
    made = np.random.default_rng(seed).integers(0, 256, (3, height, width), dtype=np.uint8)
    text = drawing.encode_png(made)
    np.testing.assert_array_equal(drawing.decode_png(text), made)
    assert text == drawing.encode_png(made.copy())


def test_large_images_are_scaled_down():
    made = np.repeat(np.arange(224, dtype=np.uint8)[:, None], 112, axis=1)
    kept = drawing.decode_png(drawing.encode_png(np.stack([made] * 3)))
    assert kept.shape == (3, 160, 80)
    np.testing.assert_allclose(kept[0, :, 40], (np.arange(160) + 0.5) * 1.4 - 0.5, atol=1)


def test_wrong_images_are_refused():
    with pytest.raises(ValueError, match=r"float64 \[3, 8, 8\]"):
        drawing.encode_png(np.zeros((3, 8, 8)))
    with pytest.raises(ValueError, match=r"uint8 \[8, 8, 3\]"):
        drawing.encode_png(np.zeros((8, 8, 3), dtype=np.uint8))
    with pytest.raises(ValueError, match="Not a PNG"):
        drawing.decode_png("no image")
