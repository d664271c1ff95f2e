"""Networks, where they may be cut, and that looking into one leaves it as it was found."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from singlefilter import networks, profiles
from singlefilter.errors import CutError

BLOCKS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


def filters_by_layer(depth: int, width: int) -> list[int]:
    return [
        factor * width for factor, layers in zip((1, 2, 4, 8, 8), BLOCKS[depth], strict=True) for _ in range(layers)
    ]


@pytest.mark.parametrize("depth", [11, 13, 16, 19])
@pytest.mark.parametrize("width", [2, 5])
@pytest.mark.parametrize("hidden", [(), (7, 6)])
def test_vgg_has_the_layers_and_parameters_of_its_name(depth, width, hidden):
    model = networks.VGG(depth, width, 10, hidden)
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    filters = filters_by_layer(depth, width)
    assert [convolution.out_channels for convolution in convolutions] == filters
    assert len(convolutions) == depth - 3  # the name counts three linear layers
    assert len(linear) == len(hidden) + 1
    inputs = [3, *filters[:-1]]
    weights = sum(9 * before * after + 2 * after for before, after in zip(inputs, filters, strict=True))
    sizes = [filters[-1], *hidden, 10]
    weights += sum(before * after + after for before, after in zip(sizes[:-1], sizes[1:], strict=True))
    assert sum(parameter.numel() for parameter in model.parameters()) == weights
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_vgg_has_neither_activation_nor_dropout_between_linear_layers():
    model = networks.VGG(16, 2, 10, (7, 6)).eval()
    assert [type(module) for module in model.classifier] == [nn.Flatten, nn.Linear, nn.Linear, nn.Linear]
    a, b = torch.randn(2, 3, 16)
    zero = model.classifier(torch.zeros(3, 16))
    combined = model.classifier(a + 2 * b) - zero
    expected = (model.classifier(a) - zero) + 2 * (model.classifier(b) - zero)
    torch.testing.assert_close(combined, expected, atol=1e-5, rtol=1e-5)


def test_vgg_refuses_what_it_cannot_be():
    with pytest.raises(ValueError, match="11, 13, 16, 19 layers, 12 given"):
        networks.VGG(12, 2, 10)
    with pytest.raises(ValueError, match="32 pixels or more, 28 given"):
        networks.VGG(16, 2, 10, input_size=28)


def test_cut_points_of_vgg16():
    cuts = networks.cut_points(networks.VGG(16, 3, 10), 32)
    assert [cut.layer for cut in cuts] == list(range(1, 14))
    assert [cut.name for cut in cuts] == [f"layer {m}" for m in range(1, 14)]
    assert [cut.filters for cut in cuts] == filters_by_layer(16, 3)
    sides = [cut.size[0] for cut in cuts]
    assert sides == [32, 16, 16, 8, 8, 8, 4, 4, 4, 2, 2, 2, 1]
    after_pool = [
        layer for layer, before, after in zip(range(1, 14), [32, *sides], sides, strict=False) if after < before
    ]
    assert after_pool == [2, 4, 7, 10, 13]
    paper = networks.cut_points(networks.VGG(16, 64, 100), 32)
    fan_in = {cut.layer: cut.filters * cut.positions for cut in paper}
    assert [fan_in[layer] for layer in after_pool] == [16384, 8192, 4096, 2048, 512]  # section 2


def test_vgg_at_224_pixels_is_pooled_to_seven():
    model = networks.VGG(16, 4, 10, input_size=224)
    cuts = networks.cut_points(model, 224)
    assert [cuts[layer - 1].size[0] for layer in (2, 4, 7, 10, 13)] == [112, 56, 28, 14, 7]
    assert model.pool_to == 7
    assert model.classifier[1].in_features == 32 * 49


@pytest.mark.parametrize("width", [2, 3])
def test_maps_are_those_of_a_partial_forward_pass(width):
    torch.manual_seed(0)
    model = networks.VGG(13, width, 10).train()
    model(torch.randn(8, 3, 32, 32))  # batch norm statistics that are not those of the start
    cuts = networks.cut_points(model, 32)
    images = torch.randn(4, 3, 32, 32)
    with networks.capture(model, [cut.module for cut in cuts]) as maps:
        logits = model(images)
    model.eval()
    with torch.no_grad():
        for cut in cuts:
            assert torch.equal(maps[cut.module], model.features[: cut.layer](images))
            assert maps[cut.module].shape == (4, cut.filters, *cut.size)
        assert torch.equal(logits, model(images))


def disturb(model: nn.Module, seed: int) -> None:
    """Modes, gradients and flags mixed as nobody would."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        module.training = bool(torch.rand((), generator=generator) < 0.5)
    for parameter in model.parameters():
        parameter.requires_grad_(bool(torch.rand((), generator=generator) < 0.5))
        parameter.grad = torch.randn(parameter.shape, generator=generator) if parameter.requires_grad else None


def state(model: nn.Module) -> tuple:
    return (
        [module.training for module in model.modules()],
        [(parameter.requires_grad, parameter.grad) for parameter in model.parameters()],
        {name: tensor.clone() for name, tensor in model.state_dict().items()},
        [len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules()],
    )


def assert_as_found(model: nn.Module, before: tuple) -> None:
    after = state(model)
    assert after[0] == before[0]
    for (needs, grad), (needed, old) in zip(after[1], before[1], strict=True):
        assert needs == needed
        assert grad is old
    assert all(torch.equal(after[2][name], before[2][name]) for name in before[2])
    assert after[3] == before[3]


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["", "inside", "in the network", "no such module"]))
def test_the_network_is_left_as_it_was_found(seed, failure):
    model = networks.VGG(11, 2, 4)
    disturb(model, seed)
    before = state(model)
    images = torch.randn(2, 5 if failure == "in the network" else 3, 32, 32)
    names = ["features.layer2", "features.layer9" if failure == "no such module" else "features.layer3"]
    try:
        with networks.capture(model, names) as maps:
            assert not any(module.training for module in model.modules())
            assert not model(images).requires_grad
            assert set(maps) == set(names)
            if failure == "inside":
                raise RuntimeError("inside")
    except (RuntimeError, CutError):
        assert failure
    else:
        assert not failure
    assert torch.is_grad_enabled()
    assert_as_found(model, before)


def test_finding_cut_points_leaves_the_network_as_it_was_found():
    model = networks.VGG(11, 2, 4)
    disturb(model, 1)
    before = state(model)
    networks.cut_points(model, 32)
    assert_as_found(model, before)
    with pytest.raises(CutError, match="no module 'features.layr1'"):
        networks.cut_points_at(model, ["features.layer1", "features.layr1"], 32)
    assert_as_found(model, before)


def test_a_network_without_features():
    with pytest.raises(CutError, match="Linear has no `features`"):
        networks.cut_points(nn.Linear(2, 2), 16)


def test_efficientnet_has_nine_stages():
    config = profiles.Network(name="efficientnet_b0")
    cuts = networks.cut_points(networks.build(config, 10, 64, 1), 64)
    assert [cut.filters for cut in cuts] == [32, 16, 24, 40, 80, 112, 192, 320, 1280]
    assert [cut.size[0] for cut in cuts] == [32, 32, 16, 8, 4, 4, 2, 2, 2]


def test_a_network_with_its_own_input_size():
    config = profiles.Network(depth=11, width=2, input_size=64)
    model = networks.build(config, 4, 32, 1)
    assert isinstance(model, networks.Resized)
    cuts = networks.cut_points(model, 32)
    assert [cut.size[0] for cut in cuts] == [32, 16, 16, 8, 8, 4, 4, 2]
    assert cuts[0].module == "model.features.layer1"
    images = torch.randn(2, 3, 32, 32)
    scaled = nn.functional.interpolate(images, (64, 64), mode="bilinear", antialias=True)
    model.eval()
    assert torch.equal(model(images), model.model(scaled))


def test_built_from_a_seed_and_from_nothing_else():
    config = profiles.Network(depth=11, width=2)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    one = networks.build(config, 4, 32, 1).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    two, other = networks.build(config, 4, 32, 1).state_dict(), networks.build(config, 4, 32, 2).state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["features.layer1.0.weight"], other["features.layer1.0.weight"])
