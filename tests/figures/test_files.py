"""Files of figures: the same bytes again, tables that survive, nothing cut off, and what a wrong table is told."""

import gc
import re

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from tests.figures.made_up import CIFAR, GLYPHS, NASTY, claims_table, curves_table, one_filter_table, tables
from tests.figures.reading import draw, texts, words

from singlefilter import drawing
from singlefilter.figures import files, registry

BANNER = "embedded glyphs — not CIFAR-100"


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
    (tmp_path / "curves.png").unlink()
    with pytest.raises(files.TableError, match="samples.csv. Tables in this folder: curves"):
        files.redraw(tmp_path, ["samples"])
    (tmp_path / "stray.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(files.TableError, match="no figure 'stray'"):
        files.redraw(tmp_path, ["curves", "stray"])
    assert not (tmp_path / "curves.png").exists()
    (tmp_path / "curves.csv").write_text("", encoding="utf-8")
    with pytest.raises(files.TableError, match="curves.csv is empty"):
        files.redraw(tmp_path, ["curves"])


def test_old_table_survives_a_write_that_fails(tmp_path, monkeypatch):
    files.publish("curves", curves_table().assign(**CIFAR), tmp_path)
    old = (tmp_path / "curves.csv").read_bytes()

    def full(path, content):
        path.open("wb").write(content[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(OSError, match="no room on its disk"):
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
