"""Smaller networks equal the masked ones; what does not fit is refused by name."""

import numpy as np
import pytest
import torch
from tests.afcc.tiny import LAYERS, clusters_of, copies, filters, images, network, outputs
from torch import nn

from singlefilter import afcc
from singlefilter.afcc import enforcement


@pytest.mark.parametrize(("size", "hidden"), [(32, ()), (64, (10,))])
def test_the_compact_network_equals_the_masked_one(size, hidden):
    """Every layer masked: some filters read nothing, some are read by nobody, constants meet padded borders."""
    model = network(size=size, hidden=hidden)
    pruned = afcc.prune(model, clusters_of(model, 0.6))
    before = copies(pruned.model)
    small = afcc.compact(pruned.model, images(size))
    torch.testing.assert_close(outputs(small, size), outputs(pruned.model, size), atol=1e-4, rtol=1e-4)
    assert all(new < old for new, old in zip(filters(small)[:-1], filters(model)[:-1], strict=True))
    assert all(torch.equal(before[name], tensor) for name, tensor in pruned.model.state_dict().items())
    assert [type(module) for module in small.modules()] == [type(module) for module in model.modules()]
    assert filters(afcc.compact(small, images(size))) == filters(small)
    assert outputs(small, size).std() > 0.01


def silenced(bias: tuple[float, ...]) -> nn.Sequential:
    """Three filters, of which the last two read nothing and show ReLU(bias), before a convolution that pads."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(3, 3, 3, padding=1), nn.ReLU(), nn.Conv2d(3, 4, 3, padding=1), nn.Flatten(), nn.Linear(256, 5)
        )
    with torch.no_grad():
        model[0].weight[1:] = 0
        model[0].bias[1:] = torch.tensor(bias)
    return model.eval()


@pytest.mark.parametrize(("bias", "left"), [((0.5, 2.0), 2), ((-1.0, 2.0), 2), ((-1.0, -2.0), 1), ((0.0, 0.0), 1)])
def test_constant_maps_are_merged_or_dropped_exactly(bias, left):
    model = silenced(bias)
    small = afcc.compact(model, images(8), ["0"])
    assert small[0].out_channels == small[2].in_channels == left
    torch.testing.assert_close(outputs(small, 8), outputs(model, 8), atol=1e-6, rtol=1e-5)
    if max(bias) > 0:  # as a bias alone it would not be exact: the borders see zeros
        folded = afcc.remove_filters(model, {"0": torch.tensor([True, False, False])})
        with torch.no_grad():
            folded[2].bias += model[2].weight[:, 1:].sum((2, 3)) @ torch.tensor(bias).relu()
        assert not torch.allclose(outputs(folded, 8), outputs(model, 8), atol=1e-3)


def test_a_map_that_depends_on_the_place_alone_is_kept():
    """Average pooling that counts its padding makes borders of a constant."""
    model = nn.Sequential(*silenced((0.5, 2.0))[:2], nn.AvgPool2d(2, padding=1), nn.Conv2d(3, 2, 3), nn.Flatten())
    model.append(nn.Linear(18, 2)).eval()
    assert afcc.compact(model, images(8), ["0"])[0].out_channels == 3


def test_a_constant_before_a_linear_layer_too():
    model = network()
    with torch.no_grad():
        model.features.layer8[0].weight[3:20] = 0
    small = afcc.compact(model, images())
    shown = model.features.layer8[1:](torch.zeros(1, 32, 2, 2)).flatten()[3:20]
    assert 1 < (shown > 0).sum() < 17
    assert small.features.layer8[0].out_channels == small.classifier[1].in_features == 32 - 17 + 1
    torch.testing.assert_close(outputs(small), outputs(model), atol=1e-5, rtol=1e-4)


def test_a_network_without_masks_stays_as_it_is():
    model = network().train()
    small = afcc.compact(model, images())
    assert filters(small) == filters(model)
    assert small is not model
    after = small.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in model.state_dict().items())
    assert all(module.training for module in (*small.modules(), *model.modules()))
    assert not any(module._forward_pre_hooks or module._forward_hooks for module in small.modules())


def test_a_layer_cut_through_is_named():
    model = network()
    first = torch.zeros(16, 8, dtype=torch.bool)
    first[0] = True  # layer 3 has one filter with inputs, layer 4 does not read that one
    second = torch.zeros(16, 16, dtype=torch.bool)
    second[:, 1] = True
    enforcement.apply(model, {"features.layer3.0": first, "features.layer4.0": second})
    with torch.no_grad():
        model.features.layer3[1].bias.fill_(-100)
        model.features.layer3[1].running_mean.zero_()
    with pytest.raises(afcc.CutThrough, match="features.layer3.0: nothing of this layer reaches the next one"):
        afcc.compact(model, images())


def test_removed_filters_are_gone_everywhere():
    """Against the same network with the filters' outgoing weights set to zero."""
    model = network(size=64)
    keep = {
        name: afcc.random_mask((count,), count // 2, 1) for name, count in zip(LAYERS, filters(model), strict=True)
    }
    small = afcc.remove_filters(model, keep)
    assert filters(small) == [count // 2 for count in filters(model)]
    for layer in range(8):
        conv, norm = small.features[layer][:2]
        chosen = keep[LAYERS[layer]]
        assert conv.weight.shape[:2] == (conv.out_channels, conv.in_channels)
        assert norm.num_features == len(norm.running_mean) == chosen.sum()
        assert torch.equal(norm.running_var, model.features[layer][1].running_var[chosen])
    with torch.no_grad():
        for layer in range(7):
            model.features[layer + 1][0].weight[:, ~keep[LAYERS[layer]]] = 0
        model.classifier[1].weight.unflatten(1, (32, 4))[:, ~keep[LAYERS[7]]] = 0
    torch.testing.assert_close(outputs(small, 64), outputs(model, 64), atol=1e-5, rtol=1e-4)


def test_filters_to_keep_have_to_fit():
    with pytest.raises(afcc.MaskError, match=r"features.layer2.0: which filters to keep is bool \[8\]; \[7\]"):
        afcc.remove_filters(network(), {"features.layer2": torch.ones(7, dtype=torch.bool)})
    with pytest.raises(afcc.CutThrough, match="features.layer2.0: no filter would be left"):
        afcc.remove_filters(network(), {"features.layer2": torch.zeros(8, dtype=torch.bool)})


def test_filters_without_clusters():
    found = np.array([[-1, -1], [0, -1], [-1, -1], [0, 0]])
    assert afcc.without_clusters(found).tolist() == [True, False, True, False]


def test_prune_masks_neighbours_and_the_head():
    model = network(size=64)
    before = copies(model)
    found = clusters_of(model, 0.9)
    chosen = {layer: found[layer] for layer in (LAYERS[1], LAYERS[2], LAYERS[6], LAYERS[7])}
    pruned = afcc.prune(model, chosen, overlap=2, head="classifier.1")
    assert list(pruned.masks) == ["features.layer3.0", "features.layer8.0", "classifier.1"]
    for after, mask in list(pruned.masks.items())[:2]:
        number = int(after.split(".")[1][5:])
        expected = afcc.convolution_mask(found[LAYERS[number - 2]], found[LAYERS[number - 1]], 2)
        assert torch.equal(mask, expected)
        weight = pruned.model.get_submodule(after).weight
        assert torch.equal(weight.ne(0).all((2, 3)), mask)
        assert torch.equal(weight[mask], before[f"{after}.weight"][mask])
        assert pruned.kept_fraction[after] == afcc.kept_fraction(mask)
    head = pruned.model.classifier[1].weight.unflatten(1, (32, 4))
    assert torch.equal(head.ne(0).all(2), afcc.head_mask(found[LAYERS[7]]))
    untouched = [name for name in before if name.removesuffix(".weight") not in pruned.masks]
    after = pruned.model.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in untouched)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert list(afcc.prune(model, {LAYERS[7]: found[LAYERS[7]]}, head="classifier.1").masks) == ["classifier.1"]


def test_prune_on_a_network_of_ones_own():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Conv2d(3, 6, 5, stride=2), nn.GELU(), nn.Conv2d(6, 8, 3, padding=1), nn.BatchNorm2d(8), nn.SiLU(),
            nn.Conv2d(8, 4, 1), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 5),
        ).eval()  # fmt: skip
    rng = np.random.default_rng(0)
    found = {name: np.where(rng.random((count, 5)) < 0.2, 0, -1) for name, count in (("0", 6), ("2", 8), ("5", 4))}
    pruned = afcc.prune(model, found, head="8")
    small = afcc.compact(pruned.model, images())
    torch.testing.assert_close(outputs(small), outputs(pruned.model), atol=1e-6, rtol=1e-5)
    assert afcc.costs(small, images()).parameters < afcc.costs(model, images()).parameters


@pytest.mark.parametrize(
    ("change", "how", "error", "message"),
    [
        ({LAYERS[3]: (9, 6)}, {}, afcc.MaskError, "features.layer4.0 has 16 filters, its clusters are of 9"),
        ({LAYERS[3]: (16, 5)}, {}, afcc.MaskError, "features.layer4.0: clusters know 5 labels where 6"),
        ({LAYERS[7]: (32, 6)}, {}, afcc.ChainError, "features.layer8.0 is read by classifier.1, and no neighbour"),
        ({}, {"head": "classifier.1"}, afcc.ChainError, "classifier.1 reads none of the named layers"),
        ({}, {"overlap": 7}, afcc.CutThrough, "features.layer4.0: the mask keeps no connection"),
    ],
)
def test_prune_refuses_what_does_not_fit(change, how, error, message):
    model = network()
    found = {layer: clusters_of(model, 1)[layer] for layer in LAYERS[2:4]}
    found |= {layer: np.zeros(shape, int) for layer, shape in change.items()}
    with pytest.raises(error, match=message):
        afcc.prune(model, found, **how)


def test_a_head_of_other_labels_is_refused():
    model = network()
    with pytest.raises(afcc.MaskError, match="classifier.1 has 6 outputs, clusters know 7 labels"):
        afcc.prune(model, {LAYERS[7]: np.zeros((32, 7), int)}, head="classifier.1")
