"""Grouped convolutions: planted groups are found, and the new layer computes what its kernels say."""

import numpy as np
import pytest
import torch
from torch import nn

from singlefilter import afcc, networks, profiles
from singlefilter.afcc import chain, groups, smaller

LAYERS = ["features.layer5", "features.layer6", "features.layer7"]


def network() -> nn.Module:
    model = networks.build(profiles.Network(depth=11, width=4), 6, 32, seed=0).eval()
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.bias.data.copy_(torch.randn(module.bias.shape, generator=generator))
            module.running_mean.copy_(torch.randn(module.bias.shape, generator=generator))
    return model


def images() -> torch.Tensor:
    return torch.randn(5, 3, 32, 32, generator=torch.Generator().manual_seed(9))


def planted(filters: int, seed: int, stray: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Clusters of filters that each know labels {0, 2, 4} or {1, 3, 5}, and which of both."""
    rng = np.random.default_rng(seed)
    kind = rng.permutation(np.arange(filters) % 2)
    own = (np.arange(6) % 2)[None] == kind[:, None]
    known = np.where(own, rng.random((filters, 6)) < 0.8, rng.random((filters, 6)) < stray)
    known[np.arange(filters), kind] = True
    return np.where(known, 0, -1), kind


def test_planted_groups_of_labels_and_filters_are_found():
    layers = [planted(count, seed, 0.1) for seed, count in enumerate((32, 32, 16))]
    of_labels = groups.label_groups([clusters for clusters, _ in layers], 2, seed=0)
    assert of_labels[0] == of_labels[2] == of_labels[4] != of_labels[1]
    assert of_labels[1] == of_labels[3] == of_labels[5]
    for clusters, kind in layers:
        found = groups.filter_groups(clusters, of_labels, "layer")
        assert (found == of_labels[kind]).all()


@pytest.mark.parametrize("number", [1, 2, 4, 8])
def test_groups_are_balanced_whatever_the_clusters(number):
    clusters = np.random.default_rng(1).integers(-3, 2, (16, 11)).clip(min=-1)
    clusters[:3] = -1
    of_labels = groups.label_groups([clusters], number, seed=0)
    sizes = np.bincount(of_labels, minlength=number)
    assert sizes.max() - sizes.min() <= 1
    assert (np.bincount(groups.filter_groups(clusters, of_labels, "layer"), minlength=number) == 16 // number).all()
    assert np.array_equal(of_labels, groups.label_groups([clusters], number, seed=0))


def test_balanced_assignment_is_the_best_one():
    from itertools import product

    affinity = np.random.default_rng(0).random((6, 3))
    best = max(
        sum(affinity[np.arange(6), list(choice)]) for choice in product(range(3), repeat=6)
        if all(choice.count(group) == 2 for group in range(3))
    )  # fmt: skip
    found = groups._balanced(affinity)
    assert affinity[np.arange(6), found].sum() == pytest.approx(best)


@pytest.mark.parametrize("hubs", [0, 5, 32])
def test_the_grouped_network_is_the_one_without_the_kernels_between_groups(hubs):
    model, found = network(), {layer: planted(32, seed, 0.2)[0] for seed, layer in enumerate(LAYERS)}
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    grouped = afcc.group_convolutions(model, found, 4, hubs=hubs)
    of_labels = groups.label_groups(list(found.values()), 4, seed=0)
    of = {layer: groups.filter_groups(clusters, of_labels, layer) for layer, clusters in found.items()}
    expected = smaller.select_filters(model, {}, {})  # a copy
    with torch.no_grad():
        for first, second in zip(LAYERS[:-1], LAYERS[1:], strict=True):
            keep = of[second][:, None] == of[first]
            outside = afcc.convolution_mask(found[first], found[second]).numpy() & ~keep
            order = np.argsort(of[first], kind="stable")
            places = grouped.get_submodule(f"{second}.0").hubs.numpy()
            busy = outside.sum(0)[order]
            assert len(places) == hubs
            if 0 < hubs < 32:
                assert busy[places].min() >= np.delete(busy, places).max()
            keep[:, order[places]] = True
            expected.get_submodule(f"{second}.0").weight[~torch.from_numpy(keep)] = 0
        assert (hubs == 32) == torch.allclose(expected(images()), model(images()))
        torch.testing.assert_close(grouped(images()), expected(images()), atol=1e-5, rtol=1e-4)
    new = grouped.features.layer6[0]
    assert isinstance(new, afcc.GroupedConvolution) and new.grouped.groups == 4
    assert new.grouped.weight.numel() == model.features.layer6[0].weight.numel() // 4
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_grouped_networks_cost_less():
    found = {layer: planted(32, seed)[0] for seed, layer in enumerate(LAYERS)}
    dense = afcc.costs(network(), images())
    none, some = (afcc.costs(afcc.group_convolutions(network(), found, 4, hubs=h), images()) for h in (0, 8))
    saved = 2 * 32 * 32 * 9 * 3 // 4
    assert none.parameters == dense.parameters - saved
    assert some.parameters == none.parameters + 2 * 32 * 8 * 9
    assert dense.multiply_adds > some.multiply_adds > none.multiply_adds


def test_bad_groups_are_refused():
    good = planted(32, 0)[0]
    with pytest.raises(afcc.MaskError, match=r"features.layer5.0 has 32 filters, which 5 groups cannot share evenly"):
        afcc.group_convolutions(network(), dict.fromkeys(LAYERS, good), 5)
    with pytest.raises(afcc.MaskError, match="6 labels can be divided into 1 to 6 groups, not 7"):
        afcc.group_convolutions(network(), dict.fromkeys(LAYERS, good), 7)
    with pytest.raises(afcc.MaskError, match="features.layer6.0 has 32 filters, its clusters are of 16"):
        afcc.group_convolutions(network(), {LAYERS[0]: good, LAYERS[1]: good[:16]}, 2)
    with pytest.raises(afcc.MaskError, match="know 5 and 6 labels"):
        afcc.group_convolutions(network(), {LAYERS[0]: good, LAYERS[1]: good[:, :5]}, 2)
    with pytest.raises(afcc.ChainError, match="features.layer5.0 is read by features.layer6.0, and no neighbour"):
        afcc.group_convolutions(network(), {LAYERS[0]: good, LAYERS[2]: good}, 2)
    grouped = afcc.group_convolutions(network(), dict.fromkeys(LAYERS[:2], good), 2, hubs=3)
    with pytest.raises(afcc.ChainError, match="features.layer5.0: branches behind"):
        chain.follow(grouped, [LAYERS[0]])
