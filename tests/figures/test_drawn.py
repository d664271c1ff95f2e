"""Figures of one network: the artists and the data in them."""

import re

import numpy as np
import pandas as pd
from matplotlib.container import ErrorbarContainer
from tests.figures.made_up import (
    CIFAR,
    GLYPHS,
    accuracy_table,
    claims_table,
    cluster_images_table,
    curves_table,
    image,
    one_filter_table,
    recipes_table,
    samples_table,
    statistics_table,
)
from tests.figures.reading import draw, line, texts, words


def test_curves_draw_what_the_table_says():
    above, middle, below = draw("curves", curves_table().assign(**CIFAR)).axes
    np.testing.assert_allclose(line(above, "test images, last epoch 30.0 %"), [[1, 10], [2, 20], [3, 30]])
    np.testing.assert_allclose(line(middle, "training images"), [[1, 3.05], [2, 1.55], [3, 1.05]])
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
    _, above, below = draw("accuracy_by_layer", table.assign(labels=100)).axes
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
    assert re.search(r"and 31 more ■ noise: 0 elements", words(draw("one_filter", table.assign(**CIFAR))))


def test_samples_show_what_is_there_and_say_what_is_not():
    fig = draw("samples", samples_table().sample(frac=1, random_state=0))
    shown = [np.asarray(ax.images[0].get_array()) for ax in fig.axes if ax.images]
    assert len(shown) == 16
    np.testing.assert_array_equal(shown[3], np.moveaxis(image(3), 0, -1))
    said = words(fig)
    assert "(A) title A" in said and "(B) title C" in said and "(C)" not in said
    assert "n = 8 in (A), n = 8 in (B). Not on this machine: ImageNet." in said
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


def test_lists_of_clusters_stay_beside_their_filter():
    names = [f"a_label_of_some_length_{i}" for i in range(100)]
    first = one_filter_table(names)
    diagonal = first["true_index"] == first["out_index"]
    first = first.assign(clipped=diagonal.astype(int), cluster=np.where(diagonal, first["true_index"] // 7, -1))
    both = pd.concat([first, first.assign(filter=8)], ignore_index=True).assign(**CIFAR)
    fig = draw("one_filter", both)
    fig.draw_without_rendering()
    above, below = ([text.get_window_extent() for text in ax.texts] for ax in (fig.axes[3], fig.axes[7]))
    assert len(above) > 8 and min(box.y0 for box in above) > max(box.y1 for box in below)
