"""Pictures of networks and of AFCC: what they say is what the built networks and the masks say."""

import itertools

import pytest
from tests.figures.reading import texts

from singlefilter import drawing
from singlefilter.figures import method
from singlefilter.studies.layers import architectures
from singlefilter.studies.pruning import schematic


def test_vgg_is_read_off_as_the_method_has_it():
    points, kinds, outputs = architectures.rows_of(architectures.VGG)
    assert [point.filters for point in points] == [64] * 2 + [128] * 2 + [256] * 3 + [512] * 6
    assert architectures.shrinks(points) == [2, 4, 7, 10, 13]
    inputs = {point.layer: point.filters * point.positions for point in points}
    assert [inputs[layer] for layer in (2, 4, 7, 10, 13)] == [16384, 8192, 4096, 2048, 512]
    assert set(kinds) == {"3 × 3"} and outputs == [4096, 4096, 100]


def test_efficientnet_has_its_seven_stages():
    points, kinds, outputs = architectures.rows_of(architectures.EFFICIENTNET)
    assert [int(kind.split(" of ")[0]) for kind in kinds if " of " in kind] == [1, 2, 2, 3, 3, 4, 1]
    assert [point.size[0] for point in points] == [112, 112, 56, 28, 14, 14, 7, 7, 7] and outputs == [100]


@pytest.mark.parametrize("name", method.PICTURES)
def test_every_text_is_on_the_page_and_can_be_read(name):
    fig = method.PICTURES[name].draw()
    fig.draw_without_rendering()
    for text in texts(fig):
        extent = text.get_window_extent()
        assert extent.x0 >= 0 and extent.x1 <= fig.bbox.width and extent.y0 >= 0 and extent.y1 <= fig.bbox.height, (
            text
        )
        assert text.get_fontsize() >= drawing.SMALLEST, text


def test_numbers_under_layers_do_not_touch():
    for draw in (architectures.vgg16, architectures.efficientnet_b0):
        fig = draw()
        fig.draw_without_rendering()
        boxes = [text.get_window_extent() for text in fig.axes[0].texts]
        assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))


def test_afcc_draws_the_connections_that_its_rules_keep():
    before, after = ([set((row >= 0).nonzero().ravel().tolist()) for row in schematic.filters(k)] for k in (0, 1))
    head = sum(label in labels for labels in after for label in range(schematic.LABELS))
    kernels = sum(bool(one & other) for one in before for other in after)
    drawn = [len(ax.lines) for ax in schematic.afcc().axes]
    assert drawn == [len(after) * schematic.LABELS, head, len(before) * len(after), kernels]
