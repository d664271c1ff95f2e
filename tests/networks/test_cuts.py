"""Where networks can be cut: every kind of map in order, and every place that is none refused by name."""

import pytest
import torch
from torch import nn

from singlefilter.errors import CutError, ForwardError
from singlefilter.networks import layouts
from singlefilter.networks.capture import capture
from singlefilter.networks.cuts import cut_points_at
from singlefilter.networks.places import CutPoint, Place


class Own(nn.Module):
    """Many kinds of places in one network of small images."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.relu = nn.ReLU()
        self.inplace = nn.ReLU(inplace=True)
        self.norm = nn.LayerNorm(8)
        self.last = nn.Identity()  # axes as in Swin: filters last
        self.pair = Pair()
        self.unused = nn.Conv2d(8, 8, 1)
        self.blocks = nn.ModuleList([nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1)])
        self.fc = nn.Linear(8, 5)

    def forward(self, images):
        maps = self.relu(self.conv(images))
        maps = self.relu(self.blocks[1](self.blocks[0](maps)))
        maps = self.last(self.norm(maps.permute(0, 2, 3, 1))).permute(0, 3, 1, 2).contiguous()
        first, second = self.pair(maps)
        return self.fc(self.inplace(first).mean((2, 3)) + second)


class Pair(nn.Module):
    def forward(self, maps):
        return maps + 1, maps.mean((2, 3))


class Dictionary(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Pair()
        self.linear = nn.Linear(3, 4)

    def forward(self, images, extra=None):
        return {"maps": images * 2, "logits": self.linear(self.inner(images)[1])}


@pytest.mark.parametrize(
    ("place", "filters", "size", "layout"),
    [
        ("conv", 8, (12, 20), "NCHW"),
        ("relu#1", 8, (12, 20), "NCHW"),
        ("relu#2", 8, (12, 20), "NCHW"),
        ("blocks.1", 8, (12, 20), "NCHW"),
        ("norm", 8, (12, 20), "NHWC"),
        ("last", 8, (12, 20), "NHWC"),
        ("pair:0", 8, (12, 20), "NCHW"),
        ("pair:1", 8, (1,), "NC"),
        ("fc:input", 8, (1,), "NC"),
        ("fc", 5, (1,), "NC"),
    ],
)
def test_places_of_ones_own_network(place, filters, size, layout):
    (cut,) = cut_points_at(Own(), [place], (12, 20))
    assert (cut.module, cut.filters, cut.size, cut.layout) == (place, filters, size, layout)


def test_maps_are_what_the_network_computes():
    torch.manual_seed(0)
    model, images = Own().eval(), torch.randn(3, 3, 12, 20)
    cuts = cut_points_at(model, ["relu#1", "relu#2", "last", "pair:0", "fc:input"], (12, 20))
    with capture(model, cuts) as maps:
        for _ in range(2):  # a second pass fills them anew
            model(images)
            seen = {cut.module: cut.view(maps[cut.module]).clone() for cut in cuts}
    with torch.no_grad():
        one = model.conv(images).relu()
        two = model.blocks[1](model.blocks[0](one)).relu()
        normed = model.norm(two.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        plus = normed + 1
        expected = {
            "relu#1": one,
            "relu#2": two,
            "last": normed,
            "pair:0": plus,  # before the in-place ReLU writes over it
            "fc:input": (plus.relu().mean((2, 3)) + normed.mean((2, 3)))[:, :, None],
        }
    for place, value in expected.items():
        torch.testing.assert_close(seen[place], value, msg=place)


def test_an_overwritten_map_is_copied_in_time():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Conv2d(4, 4, 1))
    first, last = cut_points_at(model, ["0", "2"], 8)
    assert (first.overwritten, last.overwritten) == (True, False)
    images = torch.randn(2, 3, 8, 8)
    with capture(model, [first]) as maps:
        model(images)
    torch.testing.assert_close(maps["0"], model[0](images).detach())
    assert (maps["0"] < 0).any()


MISTAKES = [
    ("cnov", "no module 'cnov'; did you mean conv"),
    ("relu", "relu is called 2 times in a forward pass; say which call: relu#1, relu#2"),
    ("relu#3", "relu#3: relu is called 2 times"),
    ("unused", "unused is not called by the network in eval mode"),
    ("blocks", r"blocks is not called .* cut at one of its parts, such as blocks.1"),
    ("pair", "pair gives no tensor but a tuple; name one of its tensors: pair:0, pair:1"),
    ("pair:2", "pair:2 gives no tensor"),
    ("conv#0", "'conv#0' is no place"),
    ("conv:head", "Conv2d is no attention whose heads can be told apart"),
]


@pytest.mark.parametrize(("place", "message"), MISTAKES, ids=[place for place, _ in MISTAKES])
def test_places_that_are_none(place, message):
    with pytest.raises(CutError, match=message):
        cut_points_at(Own(), ["conv", place], (12, 20))


def test_a_part_by_its_key_and_an_input_with_more_than_images():
    model = Dictionary()
    with pytest.raises(CutError, match="a dict; name one of its tensors: :maps, :logits"):
        cut_points_at(model, [""], 6)
    whole, logits = cut_points_at(model, [":maps", ":logits"], 6)
    assert (whole.filters, whole.size, logits.filters, logits.layout) == (3, (6, 6), 4, "NC")


def test_a_place_twice_is_refused():
    with pytest.raises(CutError, match="conv is named twice"):
        cut_points_at(Own(), ["conv", "conv"], (12, 20))


class Fixed(nn.Module):
    """Images of one size only, and a map of which as many rows, columns and channels: its axes cannot be told."""

    def __init__(self, inside: nn.Module):
        super().__init__()
        self.inside = inside

    def forward(self, images):
        assert images.shape[-1] == 8
        return self.inside(images[:, :1].expand(-1, 8, -1, -1))


def test_axes_that_cannot_be_told_are_asked_for():
    with pytest.raises(CutError, match=r"\[3, 8, 8, 8\] are the filters; say layout='NCHW' or 'NHWC'"):
        cut_points_at(Fixed(nn.Identity()), ["inside"], 8)
    (cut,) = cut_points_at(Fixed(nn.Identity()), ["inside"], 8, layout="NHWC")
    assert cut.layout == "NHWC"
    with pytest.raises(CutError, match="say layout='NCHW' or 'NHWC'"):  # not of as many axes
        cut_points_at(Fixed(nn.Identity()), ["inside"], 8, layout="NTC")
    with pytest.raises(CutError, match="'NWHC' is none of auto, NCHW"):
        cut_points_at(Fixed(nn.Identity()), ["inside"], 8, layout="NWHC")
    (told,) = cut_points_at(Fixed(nn.BatchNorm2d(8)), ["inside"], 8)  # the module itself says it
    assert told.layout == "NCHW"


def test_as_many_columns_as_channels():
    """Swin's maps of 4 x 12 images: rows must not become filters."""

    class Last(nn.Module):
        def forward(self, images):
            return images.permute(0, 2, 3, 1).repeat(1, 1, 1, 4)  # [images, 4, 12, 12]

    (cut,) = cut_points_at(nn.Sequential(Last()), ["0"], (4, 12))
    assert (cut.layout, cut.filters, cut.size) == ("NHWC", 12, (4, 12))
    (square,) = cut_points_at(nn.Sequential(Last()), ["0"], 12)
    assert square.layout == "NHWC"  # told by images of another size


def test_a_first_axis_that_is_not_the_images():
    class Windows(nn.Module):
        def forward(self, images):
            return images.unfold(2, 4, 4).flatten(0, 1)

    with pytest.raises(CutError, match=r"0: the first axis of its output .* does not count the images"):
        cut_points_at(nn.Sequential(Windows()), ["0"], 8)
    with pytest.raises(CutError, match=r"its output is \[3, 3, 2, 2, 2\]; maps have 4 axes"):
        cut_points_at(nn.Sequential(nn.Unflatten(2, (2, 2))), ["0"], (4, 2))


def test_networks_that_hooks_cannot_read():
    with pytest.raises(CutError, match="traced or scripted"):
        cut_points_at(torch.jit.trace(Own().eval(), torch.randn(2, 3, 8, 8)), ["conv"], 8)
    with pytest.raises(CutError, match=r"is compiled, .* give its ._orig_mod"):
        cut_points_at(torch.compile(Own()), ["conv"], 8)


def test_a_network_that_fails_says_on_what():
    with pytest.raises(
        ForwardError, match=r"Sequential failed on a batch \[3, 3, 8, 8\], torch.float32 on cpu: Runtime"
    ):
        cut_points_at(nn.Sequential(nn.Conv2d(5, 3, 3)), ["0"], 8)


def test_maps_of_other_images_are_refused():
    cuts = cut_points_at(Own(), ["conv"], (12, 20))
    with (
        capture(Own(), cuts) as maps,
        pytest.raises(CutError, match=r"conv: .* 12 x 20 positions, the map is 8 x 6 x 6"),
    ):
        Own()
        maps["conv"] = torch.zeros(2, 8, 6, 6)
        cuts[0].view(maps["conv"])


@pytest.mark.parametrize("layout", layouts.LAYOUTS)
def test_every_layout_is_put_in_order(layout):
    sizes = {"N": 2, "C": 3, "H": 4, "W": 5, "T": 6, "D": 7}
    heads = dict(zip("NTHD", (2, 6, 4, 7), strict=True))
    shape = [heads[axis] if layout == "NTHD" else sizes[axis] for axis in layout]
    maps = torch.arange(torch.Size(shape).numel()).reshape(shape)
    seen = layouts.view(maps, layout)
    filters = layout.index("H" if layout == "NTHD" else "C")
    assert seen.shape[1] == shape[filters]
    for number in range(seen.shape[1]):
        assert torch.equal(seen[:, number].flatten(), maps.select(filters, number).flatten())
    assert torch.equal(layouts.filters_last(seen), seen.flatten(2).transpose(1, 2).flatten(1))


def test_how_places_are_written():
    assert Place.of("a.b#2:input") == Place("a.b", 2, "input")
    assert Place.of("") == Place("", None, None)
    with pytest.raises(CutError):
        Place.of("a:b:c")


def test_positions_of_a_cut():
    assert CutPoint("layer 1", 1, "x", 3, (4, 5)).positions == 20
