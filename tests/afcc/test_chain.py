"""Which convolution reads which: what is followed, and what is refused by name."""

import pytest
import torch
from tests.afcc.tiny import LAYERS, network
from torch import nn
from torch.nn import functional
from torch.nn.utils import prune

from singlefilter import afcc
from singlefilter.afcc import chain


def test_links_of_a_vgg():
    links = chain.follow(network(size=64), LAYERS)
    assert list(links) == [f"{layer}.0" for layer in LAYERS]
    assert links["features.layer3.0"] == chain.Link(
        "features.layer3.0", ("features.layer3.1",), "features.layer4.0", 1
    )
    assert (links["features.layer8.0"].reader, links["features.layer8.0"].positions) == ("classifier.1", 4)
    assert chain.follow(network(), ["features.layer2.0"]).keys() == {"features.layer2.0"}


class Branching(nn.Module):
    """Two convolutions, a third beside them, and whatever a test does with their maps."""

    def __init__(self, forward):
        super().__init__()
        self.a, self.b, self.c = (nn.Conv2d(3, 3, 3, padding=1) for _ in range(3))
        self.grouped = nn.Conv2d(3, 3, 3, padding=1, groups=3)
        self.norm = nn.LayerNorm(8)
        self.linear = nn.Linear(8, 2)
        self.how = forward

    def forward(self, images):
        return self.how(self, images)


@pytest.mark.parametrize(
    ("forward", "message"),
    [
        (lambda net, x: net.b(net.a(x)) + net.a(x), "a: a is called 2 times, its weights are shared"),
        (lambda net, x: [net.b(y := net.a(x)), net.c(y)], "a: branches behind a, into b, c"),
        (lambda net, x: net.b(net.a(x) + x), "a: its filters go into add, where branches meet"),
        (lambda net, x: net.b(torch.cat([net.a(x)[:, :1], x[:, :2]], 1)), "a: its filters go into getitem"),
        (lambda net, x: net.b(net.norm(net.a(x))), r"a: its filters go into norm \(LayerNorm\)"),
        (lambda net, x: net.grouped(net.a(x)), "a: grouped is a grouped convolution"),
        (lambda net, x: net.b(net.b(net.a(x))), "a: b is called 2 times"),
        (lambda net, x: functional.relu(net.a(x)), "a: its filters are the output of the network"),
        (lambda net, x: net.linear(net.a(x)), r"a: its filters go into linear \(Linear\)"),
        (lambda net, x: net.b(net.a(x).softmax(1)), "a: its filters go into softmax"),
        (lambda net, x: net.b(x), "a is never called in the forward pass"),
        (lambda net, x: net.b(net.a(x)) * net.b.weight.mean(), "a: b.weight is used by another module too"),
        (lambda net, x: net.b(net.a(x)) if x.sum() > 0 else x, "Branching cannot be followed: TraceError"),
    ],
)
def test_what_cannot_be_followed_is_refused_by_name(forward, message):
    model = Branching(forward)
    with pytest.raises(afcc.ChainError, match=message):
        chain.follow(model, ["a"])


def test_other_refusals_of_the_chain():
    shared = Branching(lambda net, x: net.b(net.a(x)) + net.c(x))
    shared.c.weight = shared.b.weight
    with pytest.raises(afcc.ChainError, match="a: b.weight is used by another module too"):
        chain.follow(shared, ["a"])
    computed = Branching(lambda net, x: net.b(net.a(x)))
    nn.utils.parametrizations.weight_norm(computed.b)
    with pytest.raises(afcc.ChainError, match=r"a: its filters go into b \(ParametrizedConv2d\)"):
        chain.follow(computed, ["a"])
    masked = Branching(lambda net, x: net.b(net.a(x)))
    prune.random_unstructured(masked.b, "weight", amount=0.5)
    with pytest.raises(afcc.ChainError, match="a: the weight of b is computed"):
        chain.follow(masked, ["a"])
    with pytest.raises(afcc.ChainError, match="grouped is a grouped convolution"):
        chain.follow(Branching(lambda net, x: net.b(net.grouped(x))), ["grouped"])
    with pytest.raises(afcc.ChainError, match="the network has no module 'layer3'"):
        chain.follow(network(), ["layer3"])
    with pytest.raises(afcc.ChainError, match="features contains 8 convolutions"):
        chain.follow(network(), ["features"])
    with pytest.raises(afcc.ChainError, match="features.layer1.0 is named more than once"):
        chain.follow(network(), ["features.layer1", "features.layer1.0"])


def test_functions_and_methods_between_layers_are_followed():
    def forward(net, x):
        y = functional.max_pool2d(functional.relu(net.a(x)), 2)
        return net.c(torch.relu(net.b(y)).contiguous())

    links = chain.follow(Branching(forward), ["a", "b"])
    assert [link.reader for link in links.values()] == ["b", "c"]
    flat = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(4 * 36, 2))
    assert chain.follow(flat, ["0"])["0"].positions == 36
