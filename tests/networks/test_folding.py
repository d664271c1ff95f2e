"""Folded batch norms change no map, whatever a network does with the parts that are folded."""

import contextlib

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from singlefilter import data, networks, profiles
from singlefilter.method import fields, heads
from singlefilter.networks.folding import folded


def pairs(**norm) -> nn.Sequential:
    """Two convolutions with batch norms that are not those of the start, the second pair inside another module."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        inner = nn.Sequential(nn.Conv2d(4, 5, 3, bias=False), nn.BatchNorm2d(5, **norm), nn.ReLU(inplace=True))
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, **norm), nn.ReLU(inplace=True), inner)
        return seen(model, torch.randn(40, 3, 8, 8) * 3 + 1)


def seen(model: nn.Module, images: torch.Tensor) -> nn.Module:
    """The network in eval mode, its batch norms with the statistics of some images."""
    model.train()(images)
    return model.eval()


def left(model: nn.Module, images: torch.Tensor) -> int:
    """How many batch norms are there while all is folded that may be."""
    with torch.no_grad(), folded(model, lambda: [model(images)]):
        return sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())


@pytest.mark.parametrize("fails", [False, True])
def test_folded_batch_norms_give_the_same_maps_and_come_back(fails):
    model, images = pairs(), torch.randn(6, 3, 8, 8)
    modules, kept = list(model.modules()), {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        expected = model(images)
        with contextlib.suppress(ZeroDivisionError), folded(model, lambda: [model(images)]) as whether:
            assert whether
            assert not any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
            torch.testing.assert_close(model(images), expected, atol=1e-5, rtol=1e-5)
            if fails:
                raise ZeroDivisionError
    assert all(one is other for one, other in zip(model.modules(), modules, strict=True))
    assert all(torch.equal(value, kept[name]) for name, value in model.state_dict().items())


def test_only_pairs_that_nobody_looks_into_are_folded():
    images = torch.randn(6, 3, 8, 8)
    assert left(pairs(), images) == 0
    assert left(pairs(track_running_stats=False), images) == 2
    assert left(pairs().train(), images) == 2
    model = pairs()
    with networks.capture(model, ["0", "3.1"]):  # before one batch norm, after the other
        assert left(model, images) == 2
    with networks.capture(model, ["2", "3"]):
        assert left(model, images) == 0


def test_cuts_inside_a_folded_network_see_what_they_always_saw():
    model, images = pairs(), torch.randn(6, 3, 8, 8)
    for names in (["0", "3"], ["1", "3.1"], ["2", "3.2"], ["3.0"]):
        with networks.capture(model, names) as maps:
            model(images)
            expected = {name: tensor.clone() for name, tensor in maps.items()}
            with folded(model, lambda: [model(images)]):
                model(images)
            for name in names:
                torch.testing.assert_close(maps[name], expected[name], atol=1e-5, rtol=1e-5)


class Block(nn.Module):
    """A convolution, its batch norm and a ReLU, whose parts a forward pass of one's own may call as it likes."""

    def __init__(self, convolution: nn.Module | None = None):
        super().__init__()
        self.body = nn.Sequential(convolution or nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU())

    def forward(self, images):
        return self.body(images)


class Skipping(Block):
    def forward(self, images):
        convolved = self.body[0](images)
        return self.body[2](self.body[1](convolved)) + convolved


class Sliced(Block):
    def forward(self, images):
        return self.body[1:](self.body[:1](images)) + self.body[:1](images)


class Tapped(Block):
    def forward(self, images):
        taps = [images]
        for part in self.body:
            taps.append(part(taps[-1]))
        return sum(taps)


class Typed(Block):
    def forward(self, images):
        scale = 2 if any(isinstance(part, nn.BatchNorm2d) for part in self.body) else 1
        return self.body(images) * scale


class Weighed(Block):
    def forward(self, images):
        return self.body(images) * self.body[0].weight.norm() / self.body[1].running_var.sum()


class Twice(Block):
    def forward(self, images):
        return self.body(images) + self.body[0](images)


class Tied(Block):
    def forward(self, images):
        return functional.conv_transpose2d(self.body(images), self.body[0].weight, padding=1)


ASKING = [Skipping, Sliced, Tapped, Typed, Weighed, Twice, Tied]
COMPUTED = [
    lambda: Block(nn.utils.weight_norm(nn.Conv2d(3, 3, 3, padding=1))),
    lambda: Block(parametrizations.weight_norm(nn.Conv2d(3, 3, 3, padding=1))),
    lambda: Block(parametrizations.spectral_norm(nn.Conv2d(3, 3, 3, padding=1))),
]


@pytest.mark.parametrize("kind", [Block, *ASKING, *COMPUTED], ids=lambda kind: getattr(kind, "__name__", "?"))
@pytest.mark.filterwarnings("ignore:.*weight_norm. is deprecated")
def test_whatever_reads_the_parts_sees_what_it_always_saw(kind):
    """Class means of `fields.measure` against a loop of plain passes, with the convolution's maps read elsewhere."""
    torch.manual_seed(1)
    model = nn.Sequential(seen(kind(), torch.randn(20, 3, 8, 8) * 2 + 1), nn.Flatten())
    images = torch.randint(0, 256, (12, 3, 8, 8), dtype=torch.uint8)
    split = data.Split(images, torch.arange(3).repeat(4), tuple("abc"))
    points = heads.head_points(networks.cut_points_at(model, ["0"], 8), profiles.Heads(kinds=("flat",)))
    weights = {"layer1_flat": torch.randn(3, 3, 64)}
    measured = fields.measure(model, points, weights, split, batch=5).class_means["layer1_flat"]
    with torch.no_grad():
        for label in range(3):
            maps = torch.cat([model[0](data.to_input(image[None])) for image in images[split.labels == label]])
            torch.testing.assert_close(measured[label], maps.mean(0).flatten(1), atol=1e-5, rtol=1e-5)
    assert isinstance(model[0].body[1], nn.BatchNorm2d)
