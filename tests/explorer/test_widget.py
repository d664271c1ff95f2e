"""The explorer: widgets where somebody watches, one picture for every change; the figure alone where nobody does."""

import io
import itertools
import time
from collections import Counter

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

import singlefilter as sf
from singlefilter import explorer, progress
from singlefilter.analysis import Result
from singlefilter.explorer import layers, picture, widget
from singlefilter.method import clusters, fields
from singlefilter.studies.layers import tables


@pytest.fixture
def watched(monkeypatch):
    monkeypatch.setattr(progress, "is_watched", lambda: True)


@pytest.fixture
def shown(tiny, watched) -> explorer.widget.Explorer:
    return explorer.explore(tiny)


@pytest.fixture
def drawn(monkeypatch) -> Counter:
    """Counts pictures by what they are of."""
    counted, draw = Counter(), picture.Picture.draw

    def counting(self, seen, title, threshold):
        counted[title] += 1
        return draw(self, seen, title, threshold)

    monkeypatch.setattr(picture.Picture, "draw", counting)
    return counted


def made_up(labels: int, filters: dict, names: tuple[str, ...] = ()) -> layers.Explored:
    """Layers of so many filters by their keys, with random numbers in them."""
    random = torch.Generator().manual_seed(1)

    def numbers(count: int) -> torch.Tensor:
        return torch.randn(labels, count, 3, generator=random)

    there = {key: layers.Layer(key, f"layer {key}", numbers(count), numbers(count)) for key, count in filters.items()}
    return layers.Explored(there, names or tuple(f"label_{place}" for place in range(labels)), 0.3, "made up")


def analysis() -> Result:
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten()
    ).append(torch.nn.Linear(16, 3))
    images = torch.rand(30, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return sf.analyze(network, (images, torch.arange(30) % 3), at=["0"], progress=False)


def test_figure_alone_where_nobody_watches(tiny, monkeypatch):
    monkeypatch.setenv(progress.UNWATCHED, "yes")
    assert isinstance(explorer.explore(tiny), Figure)


def test_sliders_start_at_the_filter_worth_seeing_and_know_their_limits(tiny, shown):
    assert (shown.layer.value, shown.layer.options) == (13, tuple((str(layer), layer) for layer in range(1, 14)))
    assert (shown.filter.value, shown.filter.max) == (tables.worth_seeing(tables.counts(tiny)[13]), 31)
    assert shown.threshold.value == pytest.approx(0.3)
    shown.filter.value = 31
    shown.layer.value = 1  # 4 filters: the slider has to come along, or the picture could not be drawn
    assert (shown.filter.value, shown.filter.max) == (3, 3)


def test_one_image_at_the_start_and_one_after_each_change(shown):
    controls = ((shown.filter, 5), (shown.threshold, 0.45), (shown.layer, 2), (shown.filter, 1), (shown.layer, 13))
    seen = [shown.out.outputs]
    for control, value in controls:
        control.value = value
        seen.append(shown.out.outputs)
    assert [len(outputs) for outputs in seen] == [1] * 6
    assert all(list(outputs[0]["data"]) == ["image/png"] for outputs in seen)
    for before, after in itertools.pairwise(seen):
        assert before != after


def test_each_change_is_drawn_once(tiny, watched, drawn):
    shown = explorer.explore(tiny)
    shown.filter.value = 31
    drawn.clear()
    shown.layer.value = 1  # moves the filter too
    assert list(drawn.values()) == [1] and "filter 3," in next(iter(drawn))
    drawn.clear()
    shown.threshold.value = 0.5
    shown.filter.value = 0
    assert list(drawn.values()) == [1, 1]
    drawn.clear()
    shown.sort.label = "number"
    shown.search.value = "0"
    assert drawn == {}


@pytest.mark.parametrize("labels", [5, 40, 230])
def test_nothing_of_an_earlier_filter_is_left_in_the_picture(labels):
    """The kept figure, after others, gives the bytes of a new one; and always the same size."""
    layer = made_up(labels, {1: 3}).layers[1]
    names = tuple(f"name_{place}" for place in range(labels))
    kept = picture.Picture(names)
    for filter_, threshold in itertools.product(range(3), (0.2, 0.6)):
        asked = (layers.see(layer, filter_, threshold), f"filter {filter_}", threshold)
        png = kept.draw(*asked)
        assert png == picture.Picture(names).draw(*asked)
        width, height = Image.open(io.BytesIO(png)).size
        assert (width, height) == (picture.WIDTH * picture.SCALE, int(picture.HEIGHT * picture.SCALE))


def test_matrices_are_those_of_the_static_figure(tiny):
    drawn = picture.Picture(layers.of(tiny).names)
    drawn.draw(layers.see(layers.of(tiny).layers[13], 7, 0.3), "", 0.3)
    static = explorer.filter_figure(tiny, 13, 7, 0.3).axes
    for mine, other in zip(drawn._matrices, (static[0], static[1], static[2]), strict=True):
        np.testing.assert_allclose(mine.get_array(), other.images[0].get_array(), atol=1e-6)


def test_a_slider_and_the_picture_are_less_than_a_tenth_of_a_second_apart():
    """In time of the processor, which others that compute beside it do not take away; with 100 labels."""
    shown, seconds = widget.Explorer(made_up(100, {1: 32}), 1, 0), []
    for filter_ in range(1, 8):
        start = time.process_time()
        shown.filter.value = filter_
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.1


def test_a_filter_that_supports_nothing_has_an_empty_picture():
    layer = layers.Layer(1, "layer 1", torch.ones(4, 1, 1), -torch.ones(4, 1, 1))
    seen = layers.see(layer, 0, 0.3)
    assert seen.noise == 0 and seen.members == {}
    shown = widget.Explorer(layers.Explored({1: layer}, ("a", "b", "c", "d"), 0.3, ""), 1, 0)
    assert len(shown.out.outputs) == 1 and "no cluster" in shown._names.value


def test_the_survey_of_a_layer_is_that_of_the_tables(tiny, monkeypatch):
    monkeypatch.setattr(layers, "IN_A_BLOCK", 4 * 25 * 3)  # three filters at a time
    for key, layer in layers.of(tiny).layers.items():
        counted, found = layers.survey(layer, 0.3)
        assert counted.equals(tables.counts(tiny)[key])
        matrices = fields.field_matrices(layer.means, layer.weights)
        assert (found == clusters.find(clusters.clip(matrices, 0.3)).numpy()).all()
        for filter_, row in counted.iterrows():
            seen = layers.see(layer, filter_, 0.3)
            assert (len(seen.members), seen.noise) == (row["clusters"], row["noise"])


def test_buttons_lead_to_the_filters_they_name():
    shown = widget.Explorer(made_up(12, {1: 40}), 1, 0)
    counted, _ = layers.survey(shown._layer, 0.3)
    of = counted.set_index("filter")
    shown.buttons["best"].click()
    assert of["internal"][shown.filter.value] == of["internal"].max()
    shown.buttons["most noise"].click()
    assert of["noise"][shown.filter.value] == of["noise"].max()
    shown.buttons["typical"].click()
    for column in layers.TYPICAL:
        assert of[column].quantile(0.25) <= of[column][shown.filter.value] <= of[column].quantile(0.75)
    shown.threshold.value = 0.9  # few ones, so that there are filters without a cluster
    without = layers.survey(shown._layer, 0.9)[0].query("clusters == 0")["filter"]
    assert len(without) > 0 and not shown.buttons["none"].disabled
    shown.buttons["none"].click()
    assert shown.filter.value == without.iloc[0]
    shown.threshold.value = 0.1
    assert shown.buttons["none"].disabled == (layers.survey(shown._layer, 0.1)[0]["clusters"] > 0).all()


@pytest.mark.parametrize(("first", "column"), [*widget.SORTS.items()])
def test_the_list_is_sorted_and_chooses(first, column):
    shown = widget.Explorer(made_up(12, {1: 40, 2: 5}), 1, 0)
    shown.sort.label = first
    of = layers.survey(shown._layer, 0.3)[0].set_index("filter", drop=False)
    listed = [filter_ for _, filter_ in shown.list.options]
    values = of[column][listed].tolist()
    assert sorted(listed) == list(range(40))
    assert values == sorted(values, reverse=column != "filter")
    assert shown.list.value == shown.filter.value == 0
    shown.list.value = listed[7]
    assert shown.filter.value == listed[7]
    shown.layer.value = 2
    assert sorted(filter_ for _, filter_ in shown.list.options) == list(range(5))
    assert shown.list.value == shown.filter.value


def test_search_finds_the_filters_that_have_a_label_in_a_cluster():
    names = ("pear", "sweet_pepper", "ray", "crayfish", "Ray", "apple")
    shown = widget.Explorer(made_up(6, {1: 50}, names), 1, 0)
    _, found = layers.survey(shown._layer, 0.3)
    for words, meant in (("pear", [0]), ("pepper", [1]), ("ray", [2]), ("RAY", [2, 4]), ("sweet pepper", [1])):
        shown.search.value = words
        assert layers.matching(names, words) == meant
        expected = {filter_ for filter_ in range(50) if any(found[filter_][label] >= 0 for label in meant)}
        assert 0 < len(expected) < 50
        assert {filter_ for _, filter_ in shown.list.options} == expected
        assert f"{len(expected)} of 50 filters" in shown._found.value
        assert shown.list.value == (shown.filter.value if shown.filter.value in expected else None)
    shown.search.value = "<zebra>"
    assert shown.list.options == () and "no label has “&lt;zebra&gt;” in its name" in shown._found.value
    shown.search.value = ""
    assert len(shown.list.options) == 50


def test_layers_without_a_head_between_others_are_passed_over():
    shown = widget.Explorer(made_up(5, {2: 3, 4: 6, 8: 2}), 8, 1)
    for key, filters in ((4, 6), (2, 3), (8, 2)):
        shown.layer.value = key
        assert shown.filter.max == filters - 1


def test_a_threshold_beyond_the_slider_is_not_bent():
    explored = layers.Explored(made_up(5, {1: 3}).layers, tuple("abcde"), 0.05, "")
    assert widget.Explorer(explored, 1, 0).threshold.value == 0.05


def test_long_lists_say_that_they_are_cut(monkeypatch):
    monkeypatch.setattr(widget, "LISTED", 10)
    shown = widget.Explorer(made_up(5, {1: 40}), 1, 0)
    assert len(shown.list.options) == 10 and "40 filters in this layer; the first 10" in shown._found.value


def test_names_of_labels_are_text_whatever_stands_in_them():
    names = ('<script>alert("x")</script>', "a & b", "梨", "🍐", "line\nbreak", "$x_1$")
    shown = widget.Explorer(made_up(6, {1: 30}, names), 1, 0)
    seen = ""
    for filter_ in range(30):
        shown.filter.value = filter_
        seen += shown._names.value
    assert "<script" not in seen and "&lt;script&gt;" in seen and "a &amp; b" in seen and "梨" in seen


def test_a_notebook_without_widgets_has_the_picture(shown):
    bundle = shown._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert data["image/png"] == shown.out.outputs[0]["data"]["image/png"]
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == shown.model_id


def test_an_analysis_can_be_explored(watched, monkeypatch):
    result = analysis()
    shown = explorer.explore(result)
    assert (shown.layer.value, shown.filter.max, len(shown.out.outputs)) == ("0", 3, 1)
    for filter_ in range(4):
        shown.filter.value = filter_
        seen = layers.see(shown._layer, filter_, 0.3)
        assert (seen.matrix == result["0"].filter(filter_).matrix).all()
        assert seen.noise == result["0"].filter(filter_).noise
    monkeypatch.setattr(progress, "is_watched", lambda: False)
    assert isinstance(explorer.explore(result), Figure)
    for wrong in (("1", 0, 0.3), ("0", 4, 0.3), ("0", 0, 1.5)):
        with pytest.raises(ValueError, match=r"no cut '1'|filters 0 to 3|threshold"):
            explorer.filter_figure(result, *wrong)


def test_what_cannot_be_explored_is_named():
    with pytest.raises(TypeError, match="a run .* or a result .* not a str"):
        explorer.explore("laptop")


def test_threshold_changes_what_is_clipped(tiny):
    few, many = (explorer.filter_figure(tiny, 13, 0, threshold) for threshold in (0.9, 0.1))
    ones = [figure.axes[1].images[0].get_array().sum() for figure in (few, many)]
    assert 0 < ones[0] < ones[1]


@pytest.mark.parametrize(("layer", "filter_", "threshold"), [(14, 0, 0.3), (13, 99, 0.3), (13, 0, 1.5)])
def test_what_is_not_there(tiny, layer, filter_, threshold):
    with pytest.raises(ValueError, match=r"no head at layer 14|filters 0 to 31|threshold"):
        explorer.filter_figure(tiny, layer, filter_, threshold)
