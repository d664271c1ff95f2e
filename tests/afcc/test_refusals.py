"""What filters cannot be followed through: refused, with the layer and what is in the way, and without a trace."""

import pytest
import torch
from tests.afcc import kinds
from tests.afcc.kinds import LAYERS, clusters_of, images, outputs, settled, state
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations, prune

from singlefilter import afcc
from singlefilter.afcc import chain, ownership

PLACES = kinds.SIZE[0] * kinds.SIZE[1]
KEEP = {"c": torch.arange(7) > 2}


def network(flat=kinds.FLAT["view"], places: int = PLACES) -> nn.Module:
    return settled(kinds.Net(flat, places))


@pytest.mark.parametrize(
    ("flat", "places", "message"),
    [
        (lambda x: x.view(-1, 7 * PLACES), PLACES, r"view, in which the size 840 is written; write flatten\(1\)"),
        (lambda x: x.view(x.size(0), 840), PLACES, "view, in which the size 840 is written"),
        (lambda x: x.reshape(4, -1), PLACES, "reshape, in which the size 4 is written"),
        (lambda x: x.view(-1, x.size(1)), 1, "view, whose first size is not known to be the number of images"),
        (lambda x: x.view(x.size(0), x.size(2) * 70), PLACES, "view, to sizes that cannot be followed"),
        (lambda x: x.flatten().view(4, -1), PLACES, "flatten, which flattens the images too"),
        (lambda x: x.mean(1).flatten(1), PLACES / 7, "mean, which takes filters together"),
        (lambda x: x.flatten(1).mean(1, True), 1 / 7, "mean, which takes filters and places together"),
        (lambda x: x.mean() + x.flatten(1), PLACES, "branches behind relu, into mean, flatten"),
        (lambda x: (x - x.mean()).flatten(1), PLACES, "branches behind relu, into mean, sub"),
        (lambda x: x.sum().view(1, 1), 1 / 7, "sum_1, which takes images and filters together"),
        (lambda x: x.squeeze().flatten(1), PLACES, "squeeze, which drops axes whose size is not known to be 1"),
        (lambda x: x.squeeze(3).flatten(1), PLACES, "squeeze, which drops the axis of places if its size is 1"),
        (lambda x: x.mean((2, 3)).squeeze(1), 1, "squeeze, which drops the axis of filters if its size is 1"),
        (lambda x: x.permute(0, 2, 3, 1).flatten(1), PLACES, "permute, through which they cannot be followed"),
        (lambda x: x.transpose(1, 2).flatten(1), PLACES, "transpose, through which they cannot be followed"),
        (lambda x: functional.max_pool2d(x.flatten(2), 2).flatten(1), 30, "max_pool2d, which pools a map of 3 axes"),
        (lambda x: x.flatten(1) / x.size(1), PLACES, "truediv, through which they cannot be followed"),
        (lambda x: x.flatten(1).softmax(1), PLACES, "softmax, through which they cannot be followed"),
        (lambda x: functional.avg_pool2d(x, x.size(1)).flatten(1), 1, "number of its filters goes into avg_pool2d"),
        (lambda x: functional.leaky_relu(x, x.shape[1] * 0.1).flatten(1), PLACES, "filters goes into leaky_relu"),
    ],
)  # fmt: skip
def test_flattening_that_holds_for_this_number_of_filters_only_or_mixes_them(flat, places, message):
    model = network(flat, max(1, round(places)))
    before = state(model)
    with pytest.raises(afcc.ChainError, match=f"^c: .*{message}"):
        afcc.remove_filters(model, KEEP)
    with pytest.raises(afcc.ChainError, match=f"^c: .*{message}"):
        afcc.prune(model, clusters_of(model, ["c"]), head="linear")
    assert state(model) == before
    assert list(chain.all_closed(model)) == ["a", "b"]  # what lies in front can be made smaller all the same


@pytest.mark.parametrize(
    ("wrap", "how"),
    [
        (nn.utils.weight_norm, r"WeightNorm\); make it permanent by torch.nn.utils.remove_weight_norm"),
        (nn.utils.spectral_norm, r"SpectralNorm\); make it permanent by torch.nn.utils.remove_spectral_norm"),
        (parametrizations.weight_norm, r"WeightNorm\); .* by torch.nn.utils.parametrize.remove_parametrizations"),
        (parametrizations.spectral_norm, r"SpectralNorm\); .*remove_parametrizations\('weight'\)"),
        (lambda layer: prune.l1_unstructured(layer, "bias", 1), r"L1Unstructured\); .*prune.remove"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*weight_norm.*is deprecated")
def test_computed_weights_are_refused_where_they_would_be_cut_or_masked(wrap, how):
    model = network()
    wrap(model.b)
    before = state(model)
    for layers in (["b", "c"], ["a", "b"]):  # the layer itself, and the one that reads it
        with pytest.raises(afcc.ChainError, match=f"^[ab]: .*b.*(is|whose weight is) computed .{how}"):
            afcc.prune(model, clusters_of(model, layers))
    with pytest.raises(afcc.ChainError, match="^a: .*computed"):
        afcc.remove_filters(model, {"a": torch.arange(6) > 2})
    with pytest.raises(afcc.MaskError, match=f"b: its weight is computed .{how}"):
        afcc.apply(model, {"b": torch.ones(8, 6, dtype=torch.bool)})
    assert state(model) == before
    assert list(chain.all_closed(model)) == ["c"]
    elsewhere = network()
    wrap(elsewhere.a)  # not concerned
    small = afcc.remove_filters(elsewhere, KEEP)
    assert small.linear.in_features == 4 * PLACES
    with torch.no_grad():
        elsewhere.linear.weight.unflatten(1, (7, -1))[:, ~KEEP["c"]] = 0
    torch.testing.assert_close(outputs(small), outputs(elsewhere), atol=1e-5, rtol=1e-5)


def test_computed_slopes_and_heads_are_refused_too():
    model = settled(kinds.Net(kinds.FLAT["view"], PLACES, kinds.BETWEEN["a slope a filter"][0]))
    nn.utils.parametrize.register_parametrization(model.behind_b, "weight", nn.Softplus())
    with pytest.raises(afcc.ChainError, match="^b: its filters go into behind_b .*computed .Softplus"):
        afcc.remove_filters(model, {"b": torch.arange(8) > 2})
    parametrizations.weight_norm(model.linear)
    with pytest.raises(afcc.ChainError, match="^c: its filters go into linear .ParametrizedLinear., whose weight is"):
        afcc.prune(model, clusters_of(model, ["c"]), head="linear")


class Tied(kinds.Net):
    """b and another convolution d, in a branch in front, with the same weights."""

    def __init__(self):
        super().__init__(kinds.FLAT["view"], PLACES)
        self.d = nn.Conv2d(6, 8, 3, padding=1)

    def forward(self, images):
        return super().forward(images) + self.d(images.repeat(1, 2, 1, 1)).mean()


@pytest.mark.parametrize("by", ["parameter", "memory"])
def test_tied_weights_are_refused_where_they_would_be_cut_or_masked(by):
    model = settled(Tied())
    model.d.weight = model.b.weight if by == "parameter" else nn.Parameter(model.b.weight.data)
    before = state(model)
    for layers in (["b", "c"], ["a", "b"]):
        with pytest.raises(
            afcc.ChainError, match=r"^[ab]: b.weight is used by another module too \(d.weight\), shared"
        ):
            afcc.prune(model, clusters_of(model, layers))
    for name, other in (("b", "d"), ("d", "b"), ("b.weight", "d")):
        with pytest.raises(
            afcc.MaskError, match=f"{name[0]}.weight is tied to {other}.weight, where the mask would act"
        ):
            afcc.apply(model, {name: torch.ones(8, 6, dtype=torch.bool)})
    assert state(model) == before
    assert afcc.remove_filters(model, KEEP).linear.in_features == 4 * PLACES


def test_tied_weights_travel(tmp_path):
    model, fresh = settled(Tied()), settled(Tied(), seed=1)
    for each in (model, fresh):
        each.d.weight = each.b.weight
    afcc.save_state(model, tmp_path / "state.safetensors")
    loaded = afcc.load_state(fresh, tmp_path / "state.safetensors")
    assert torch.equal(outputs(loaded), outputs(model)) and loaded.d.weight is loaded.b.weight


def test_a_module_with_two_names_is_no_tie():
    model = network()
    model.layers = nn.ModuleList([model.a, model.b, model.c])
    assert not ownership.shared(model)
    small = afcc.remove_filters(model, {"layers.1": torch.arange(8) > 2})
    assert small.layers[1] is small.b and small.b.out_channels == small.c.in_channels == 5
    afcc.apply(model, {"layers.1": torch.arange(48).reshape(8, 6) > 0})
    assert not model.b.weight[0, 0].any()


class Depthwise(nn.Module):
    """A convolution, a depthwise one, and a pointwise one."""

    def __init__(self, groups: int):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3, groups=groups)
        self.c, self.d = nn.Conv2d(8, 6, 1), nn.Conv2d(6, 4, 1)
        self.linear = nn.Linear(4, kinds.LABELS)

    def forward(self, images):
        return self.linear(self.d(self.c(self.b(self.a(images)))).mean((2, 3)))


@pytest.mark.parametrize(("groups", "kind"), [(8, r"\(depthwise, 8 groups\)"), (2, r"\(2 groups\)")])
def test_grouped_convolutions_are_refused_and_what_lies_elsewhere_is_not(groups, kind):
    model = settled(Depthwise(groups))
    for layers in (["a", "b"], ["b", "c"]):
        with pytest.raises(afcc.ChainError, match=f"^[ab]: b is a grouped convolution {kind}"):
            afcc.prune(model, clusters_of(model, layers))
    pruned = afcc.prune(model, clusters_of(model, ["c", "d"]), head="linear")
    small = afcc.compact(pruned.model, images())
    torch.testing.assert_close(outputs(small), outputs(pruned.model), atol=1e-5, rtol=1e-5)
    assert small.c.out_channels < 6 and small.b.out_channels == 8


def test_shared_slopes_are_refused_unless_there_is_only_one():
    shared = settled(kinds.Net(kinds.FLAT["view"], PLACES, kinds.BETWEEN["a slope a filter"][0]))
    shared.flat = lambda maps: kinds.unpacked(shared.behind_b(maps.repeat(1, 2, 1, 1)[:, :8])[:, :7])
    with pytest.raises(afcc.ChainError, match="^b: behind_b is called 2 times, its weights are shared"):
        afcc.remove_filters(shared, {"b": torch.arange(8) > 2})
    one = settled(kinds.Net(kinds.FLAT["view"], PLACES, kinds.BETWEEN["one slope"][0]))
    one.flat = lambda maps: one.behind_b(maps).flatten(1)
    small = afcc.remove_filters(
        one, {name: torch.arange(count) > 2 for name, count in zip(LAYERS, (6, 8, 7), strict=True)}
    )
    assert outputs(small).shape == (4, kinds.LABELS)


def test_batch_norms_of_the_batch_are_refused():
    model = network()
    model.norm = nn.BatchNorm2d(6, track_running_stats=False)
    with pytest.raises(afcc.ChainError, match=r"^a: its filters go into norm \(BatchNorm2d\), through which"):
        afcc.remove_filters(model, {"a": torch.arange(6) > 2})


class Noting(kinds.Net):
    """A network that notes what it sees: in an attribute, and in a buffer that it replaces."""

    def __init__(self):
        super().__init__(kinds.FLAT["view"], PLACES)
        self.seen = None
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, images):
        self.seen = images
        self.calls = self.calls + 1
        self.more = images
        return super().forward(images)


def test_what_a_network_notes_while_it_is_followed_is_undone():
    model = settled(Noting())
    before = state(model)
    chain.follow(model, LAYERS)
    assert state(model) == before
    assert model.seen is None and model.calls == 0 and not hasattr(model, "more")
    model.b.forward = None  # nothing is called, so what fails is what comes behind
    model.flat = lambda maps: maps if maps.sum() > 0 else maps
    with pytest.raises(afcc.ChainError, match="Noting cannot be followed: TraceError"):
        chain.follow(model, LAYERS)
    assert model.seen is None and model.calls == 0
