"""Every kind of network that filters are followed through: the smaller one computes what the masked one does."""

import pytest
import torch
from tests.afcc import kinds
from tests.afcc.kinds import LAYERS, clusters_of, images, outputs, settled, state, used
from torch import nn

from singlefilter import afcc

KINDS = kinds.kinds()
LABELS = kinds.LABELS
RESIDUAL = ["b", "c"]


def counts(model: nn.Module) -> dict[str, int]:
    return {name: model.get_submodule(name).out_channels for name in LAYERS}


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert expected.std() > 0.01
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_compact_network_equals_the_masked_one(kind):
    model = used(KINDS[kind]())
    before, found = state(model), clusters_of(model, LAYERS)
    pruned = afcc.prune(model, found, head="linear")
    assert list(pruned.masks) == ["b", "c", "linear"]
    masked = outputs(pruned.model)
    assert not torch.allclose(masked, outputs(model), atol=1e-2)
    columns = pruned.model.linear.weight.unflatten(1, (7, -1))
    assert torch.equal(columns.ne(0).all(2), afcc.head_mask(found["c"]))
    between = state(pruned.model)
    small = afcc.compact(pruned.model, images())
    assert state(model) == before
    assert state(pruned.model) == between
    close(outputs(small), masked)
    close(outputs(small, images(7)), outputs(pruned.model, images(7)))
    assert all(counts(small)[layer] < count for layer, count in counts(model).items())
    assert counts(afcc.compact(small, images(), LAYERS)) == counts(small)
    assert [type(module) for module in small.modules()] == [type(module) for module in model.modules()]


@pytest.mark.parametrize("kind", KINDS)
def test_removed_filters_are_gone_and_the_rest_computes_as_before(kind):
    """Against the same network in which the layers that read the removed filters have zeros for them."""
    model = used(KINDS[kind]())
    before = state(model)
    keep = {"a": torch.arange(6) % 3 != 1, "b": torch.arange(8) > 2, "c": torch.arange(7) % 2 == 0}
    small = afcc.remove_filters(model, keep)
    assert state(model) == before
    assert counts(small) == {"a": 4, "b": 5, "c": 4}
    assert small.linear.in_features == small.linear.weight.shape[1] == model.linear.in_features // 7 * 4
    zeroed = KINDS[kind]()
    with torch.no_grad():
        zeroed.b.weight[:, ~keep["a"]] = 0
        zeroed.c.weight[:, ~keep["b"]] = 0
        zeroed.linear.weight.unflatten(1, (7, -1))[:, ~keep["c"]] = 0
    close(outputs(small), outputs(zeroed))
    assert [module.training for module in small.modules()] == [module.training for module in model.modules()]
    assert not small.linear.weight.requires_grad and small.b.weight.requires_grad


def test_slopes_and_norms_are_cut_with_their_filters():
    keep = {"b": torch.arange(8) > 2, "c": torch.arange(7) % 2 == 0}
    slopes = afcc.remove_filters(KINDS["a slope a filter"](), keep).behind_b
    assert torch.equal(slopes.weight, KINDS["a slope a filter"]().behind_b.weight[keep["b"]])
    assert slopes.num_parameters == 5
    assert afcc.remove_filters(KINDS["one slope"](), keep).behind_b.num_parameters == 1
    for kind in ("a slope a place", "a norm a place"):
        model = KINDS[kind]()
        places = model.behind_flat.weight.unflatten(0, (7, -1))
        small = afcc.remove_filters(model, keep).behind_flat
        assert torch.equal(small.weight, places[keep["c"]].flatten())


@pytest.mark.parametrize("kind", ["a slope a filter", "a slope a place", "squeeze", "a norm without slopes"])
def test_a_smaller_network_travels(kind, tmp_path):
    """As a state into the network as it was, and as a program for any number of images."""
    keep = {"a": torch.arange(6) > 1, "b": torch.arange(8) > 2, "c": torch.arange(7) % 2 == 0}
    small = afcc.remove_filters(KINDS[kind](), keep)
    afcc.save_state(small, tmp_path / "state.safetensors")
    loaded = afcc.load_state(KINDS[kind](), tmp_path / "state.safetensors")
    assert torch.equal(outputs(loaded), outputs(small))
    assert str(loaded) == str(small)
    program = afcc.exported(small, images()).module()
    for number in (2, 4, 7):
        close(program(images(number)), outputs(small, images(number)))


@pytest.mark.parametrize("kind", ["squeeze", "view"])
def test_costs_of_one_image(kind):
    """A network that squeezes gives its linear layer no axis of images, where there is one image."""
    model = KINDS[kind]()
    places = kinds.SIZE[0] * kinds.SIZE[1]
    linear = 7 * LABELS if kind == "squeeze" else 7 * places * LABELS
    assert afcc.costs(model, images()).multiply_adds == 9 * places * (3 * 6 + 6 * 8 + 8 * 7) + linear


def test_one_filter_is_too_few_for_squeeze():
    keep = {"c": torch.arange(7) == 3}
    with pytest.raises(afcc.ChainError, match=r"c: one filter would be left, whose axis squeeze\(\) would drop"):
        afcc.remove_filters(KINDS["squeeze"](), keep)
    assert outputs(afcc.remove_filters(KINDS["squeeze by axes"](), keep)).shape == (4, LABELS)


def test_two_convolutions_of_a_residual_block():
    """The second keeps its filters, its kernels from the first are masked; the first becomes smaller."""
    model = used(settled(kinds.Residual()))
    before, found = state(model), clusters_of(model, RESIDUAL)
    pruned = afcc.prune(model, found)
    assert list(pruned.masks) == ["c"]
    assert torch.equal(pruned.model.c.weight.ne(0).all((2, 3)), afcc.convolution_mask(found["b"], found["c"]))
    for layers in (RESIDUAL, ["b"], None):
        small = afcc.compact(pruned.model, images(), layers)
        close(outputs(small), outputs(pruned.model))
        assert small.b.out_channels == small.slopes.num_parameters == small.c.in_channels < 9
        assert small.c.out_channels == small.a.out_channels == 8
    assert state(model) == before
    for layers in (["c"], ["a", "b"], ["a"]):
        with pytest.raises(afcc.ChainError, match=f"{layers[0]}: .*(add, where branches meet|branches behind relu)"):
            afcc.compact(pruned.model, images(), layers)
    everything = {name: torch.ones(count, dtype=torch.bool) for name, count in (("b", 9), ("c", 8))}
    with pytest.raises(afcc.ChainError, match="c: its filters go into add, where branches meet"):
        afcc.remove_filters(model, everything)
    with pytest.raises(afcc.ChainError, match="c: its filters go into add, where branches meet"):
        afcc.prune(model, {"c": found["c"]})
    with pytest.raises(afcc.ChainError, match="c: its filters go into add, where branches meet"):
        afcc.group_convolutions(settled(kinds.Residual()), clusters_of(model, RESIDUAL), 1)
    with pytest.raises(afcc.ChainError, match="linear reads none of the named layers"):
        afcc.prune(model, found, head="linear")


@pytest.mark.parametrize("size", [(32, 32), (64, 64)])
def test_the_last_block_of_a_resnet(size):
    from torchvision.models import resnet18

    model = settled(resnet18(num_classes=LABELS))
    before, inputs = state(model), images(3, size)
    layers = ["layer4.1.conv1", "layer4.1.conv2"]
    pruned = afcc.prune(model, clusters_of(model, layers))
    masked = outputs(pruned.model, inputs)
    assert not torch.allclose(masked, outputs(model, inputs), rtol=1e-2)
    small = afcc.compact(pruned.model, inputs, layers)
    scale = masked.abs().max()
    torch.testing.assert_close(outputs(small, inputs) / scale, masked / scale, atol=1e-5, rtol=1e-5)
    block = small.layer4[1]
    assert block.conv1.out_channels == block.bn1.num_features == block.conv2.in_channels < 400
    assert block.conv2.out_channels == small.fc.in_features == 512
    assert afcc.costs(small, inputs).multiply_adds < afcc.costs(model, inputs).multiply_adds
    assert state(model) == before


def test_masks_hold_in_a_residual_block_while_it_is_trained():
    model = settled(kinds.Residual())
    pruned = afcc.prune(model, clusters_of(model, RESIDUAL))
    dropped = ~pruned.masks["c"]
    steps = torch.optim.SGD(pruned.model.parameters(), lr=0.01, momentum=0.9, weight_decay=0.1, nesterov=True)
    start = pruned.model.c.weight.detach().clone()
    with afcc.enforced(steps, pruned.model, pruned.masks):
        for _ in range(3):
            steps.zero_grad()
            nn.functional.cross_entropy(pruned.model(images()), torch.arange(4)).backward()
            steps.step()
            assert not pruned.model.c.weight[dropped].any()
    assert not torch.equal(start, pruned.model.c.weight)
    close(outputs(afcc.compact(pruned.model, images(), RESIDUAL)), outputs(pruned.model))
