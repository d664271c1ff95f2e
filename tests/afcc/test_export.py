"""Truncated networks and compact heads give the same logits, cost what is counted by hand, and leave as they came."""

import importlib.util

import numpy as np
import pytest
import torch
from torch import nn

from singlefilter import afcc, networks, profiles
from singlefilter.afcc import chain, optional
from singlefilter.method import heads

LAYERS = [f"features.layer{layer}" for layer in range(1, 9)]


def network(size: int = 32) -> nn.Module:
    model = networks.build(profiles.Network(depth=11, width=4), 6, size, seed=0).eval()
    generator = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.bias.data.copy_(torch.randn(module.bias.shape, generator=generator))
    return model


def images(size: int = 32) -> torch.Tensor:
    return torch.randn(5, 3, size, size, generator=torch.Generator().manual_seed(9))


def head_at(model: nn.Module, layer: int, kind: str = "flat", size: int = 32):
    """A head of this kind on a layer, with its weights `[out_label, filters, positions]`."""
    (point,) = (
        point
        for point in heads.head_points(networks.cut_points(model, size), profiles.Heads(cuts=(layer,)))
        if point.kind == kind
    )
    weights = heads.initial_weights([point], 6, 1)[point.name]
    return point, weights.reshape(6, point.cut.filters, point.positions)


@pytest.mark.parametrize(("layer", "kind"), [(4, "flat"), (4, "pooled"), (7, "flat")])
def test_a_truncated_network_is_its_trunk_and_its_head(layer, kind):
    model = network()
    point, weights = head_at(model, layer, kind)
    small = afcc.truncate(model, point, weights)
    with torch.no_grad():
        maps = {point.cut.module: model.features[:layer](images())}
        torch.testing.assert_close(small(images()), point.features(maps) @ weights.flatten(1).T)
    assert type(small) is nn.Sequential
    trunk = {name.removeprefix("trunk.") for name in small.state_dict() if name.startswith("trunk.")}
    assert trunk == {name for name in model.state_dict() if name.startswith(tuple(f"{n}." for n in LAYERS[:layer]))}
    small.trunk.get_submodule("features.layer1.0").weight.data.zero_()
    assert model.features.layer1[0].weight.any()


def test_other_networks_are_truncated_too():
    inside = networks.Resized(network(64), 64).eval()
    point = heads.HeadPoint(networks.cut_points(inside, 32)[5], "flat", (4, 4))
    weights = torch.randn(6, point.cut.filters, point.positions)
    with networks.capture(inside, [point.cut.module]) as maps:
        inside(images())
        expected = maps[point.cut.module].flatten(1) @ weights.flatten(1).T
        torch.testing.assert_close(afcc.truncate(inside, point, weights)(images()), expected)
    with pytest.raises(afcc.MaskError, match=r"layer6_flat: head weights are \[out_label, 32, 16\]; \[6, 32, 4\]"):
        afcc.truncate(inside, point, weights[:, :, :4])
    elsewhere = heads.HeadPoint(networks.CutPoint("x", 6, "features.layer6", 32, (4, 4)), "flat", (4, 4))
    with pytest.raises(afcc.ChainError, match="calls no module 'features.layer6'"):
        afcc.truncate(inside, elsewhere, weights)


def masked_truncation() -> nn.Module:
    """Cut, masked in convolutions and head: what `compact` and a compact head begin with."""
    model = network()
    point, weights = head_at(model, 6)
    rng = np.random.default_rng(0)
    small = afcc.truncate(model, point, weights)
    counts = {f"trunk.{layer}": c for layer, c in zip(LAYERS[3:6], (16, 32, 32), strict=True)}
    found = {layer: np.where(rng.random((count, 6)) < 0.15, 0, -1) for layer, count in counts.items()}
    return afcc.prune(small, found, head="head").model


def test_truncated_masked_compact_and_with_a_compact_head():
    masked = masked_truncation()
    small = afcc.compact(masked, images())
    before = afcc.costs(small, images())
    filters = small.get_submodule(chain.convolution_in(small, "trunk.features.layer6")).out_channels
    assert filters < 32
    small.head = afcc.compacted(small.head, filters)
    with torch.no_grad():
        torch.testing.assert_close(small(images()), masked(images()), atol=1e-5, rtol=1e-4)
    after = afcc.costs(small, images())
    kept = int(masked.head.weight.count_nonzero())
    dense = 6 * filters * 4
    assert kept < dense
    assert before.parameters - after.parameters == before.multiply_adds - after.multiply_adds == dense - kept


@pytest.mark.parametrize("bias", [False, True])
def test_a_compact_head_stores_the_kept_weights_and_gives_the_same_logits(bias):
    weights, mask = torch.randn(5, 7, 4), afcc.random_mask((5, 7), 9, 0)
    mask[2] = False  # an output that reads nothing
    added = torch.randn(5) if bias else None
    head = afcc.CompactHead(weights, mask, added)
    features = torch.randn(6, 28)
    expected = torch.zeros(6, 5) if added is None else added.repeat(6, 1)
    for image in range(6):
        for j, f in mask.nonzero().tolist():
            expected[image, j] += sum(weights[j, f, p] * features[image, f * 4 + p] for p in range(4))
    torch.testing.assert_close(head(features), expected)
    assert head.weights.numel() == mask.sum() * 4
    single = afcc.random_mask((5, 28), 40, 1)
    unstructured = afcc.CompactHead(weights.reshape(5, 28, 1), single)
    torch.testing.assert_close(unstructured(features), features @ (weights.flatten(1) * single).T)
    with pytest.raises(afcc.MaskError, match=r"they are \[5, 7, 4\] and \[7, 5\]"):
        afcc.CompactHead(weights, mask.T)
    with pytest.raises(afcc.CutThrough, match="the head"):
        afcc.CompactHead(weights, mask & False)
    with pytest.raises(afcc.MaskError, match="28 inputs are not the same number for each of 5 filters"):
        afcc.compacted(nn.Linear(28, 5), 5)


def test_costs_by_hand():
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 6, 3, stride=2, groups=2),
        nn.Flatten(), nn.Linear(54, 5),
    )  # fmt: skip
    found = afcc.costs(model, images(8))
    first, second, last = 8 * 8 * 4 * 3 * 9, 3 * 3 * 6 * 2 * 9, 54 * 5
    assert found.multiply_adds == first + second + last
    assert found.parameters == (4 * 27 + 4) + 8 + (6 * 18 + 6) + (last + 5)
    with torch.no_grad():
        model[0].weight[1] = 0
        model[1].bias.fill_(1)
    assert afcc.costs(model, images(8)).nonzero == found.parameters - 27
    assert model.training and not model[1].num_batches_tracked


def grouped() -> nn.Module:
    rng = np.random.default_rng(0)
    found = {layer: np.where(rng.random((32, 6)) < 0.3, 0, -1) for layer in LAYERS[4:6]}
    return afcc.group_convolutions(network(), found, 4, hubs=4)


def with_compact_head() -> nn.Module:
    small = afcc.compact(masked_truncation(), images())
    filters = small.get_submodule(chain.convolution_in(small, "trunk.features.layer6")).out_channels
    small.head = afcc.compacted(small.head, filters)
    return small


@pytest.mark.parametrize("build", [grouped, with_compact_head])
def test_exported_programs_give_the_same_outputs_for_any_number_of_images(build, tmp_path):
    model = build().train()
    program = afcc.exported(model, images())
    assert model.training
    torch.export.save(program, tmp_path / "network.pt2")
    loaded = torch.export.load(tmp_path / "network.pt2").module()
    model.eval()
    with torch.no_grad():
        for some in (images(), images()[:1]):
            torch.testing.assert_close(loaded(some), model(some))


@pytest.mark.skipif(importlib.util.find_spec("onnxruntime") is None, reason="onnxruntime is not installed")
@pytest.mark.skipif(importlib.util.find_spec("onnxscript") is None, reason="onnxscript is not installed")
@pytest.mark.parametrize("build", [network, grouped, with_compact_head])
def test_onnx_gives_the_same_outputs(build, tmp_path):
    import onnxruntime

    model = build()
    afcc.to_onnx(model, images(), tmp_path / "network.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "network.onnx", providers=["CPUExecutionProvider"])
    with torch.no_grad():
        for some in (images(), images()[:1]):
            (found,) = session.run(["logits"], {"images": some.numpy()})
            torch.testing.assert_close(torch.from_numpy(found), model(some), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("build", [grouped, with_compact_head])
def test_a_state_travels_as_safetensors(build, tmp_path):
    model, fresh = build(), build()
    with torch.no_grad():
        for parameter in fresh.parameters():
            parameter.zero_()
    afcc.save_state(model, tmp_path / "state.safetensors")
    afcc.load_state(fresh, tmp_path / "state.safetensors")
    with torch.no_grad():
        assert torch.equal(fresh(images()), model(images()))


def test_the_state_of_a_smaller_network_makes_a_network_smaller(tmp_path):
    keep = {layer: torch.arange(16) < 7 for layer in LAYERS[2:4]}
    small = afcc.remove_filters(network(), keep)
    afcc.save_state(small, tmp_path / "state.safetensors")
    loaded = afcc.load_state(network(), tmp_path / "state.safetensors").eval()
    with torch.no_grad():
        assert torch.equal(loaded(images()), small(images()))
    assert str(loaded) == str(small)
    with pytest.raises(ValueError, match="is the state of another network"):
        afcc.load_state(nn.Linear(3, 2), tmp_path / "state.safetensors")
    afcc.save_state(nn.Linear(3, 2), tmp_path / "linear.safetensors")
    assert afcc.load_state(nn.Linear(4, 5), tmp_path / "linear.safetensors").in_features == 3


def test_baselines_keep_as_many_multiply_adds_as_allowed():
    model, layers = network(), LAYERS[3:]
    dense = afcc.costs(model, images())
    target = dense.multiply_adds // 2
    least = afcc.by_l1(model, layers, images(), target)
    drawn = [afcc.at_random(model, layers, images(), target, seed) for seed in (1, 1, 2)]
    for small in (least, *drawn):
        assert 0.9 * target < afcc.costs(small, images()).multiply_adds <= target
        counts = [small.get_submodule(f"{layer}.0").out_channels for layer in layers]
        assert counts[0] == pytest.approx(counts[1] / 2, abs=1) and len(set(counts[1:])) == 1
        assert small.features.layer3[0].out_channels == 16
    assert torch.equal(drawn[0].features.layer4[0].weight, drawn[1].features.layer4[0].weight)
    assert not torch.equal(drawn[0].features.layer4[0].weight, drawn[2].features.layer4[0].weight)
    weight = model.features.layer4[0].weight.detach()
    norms = [sum(abs(w) for w in row.flatten().tolist()) for row in weight]
    strongest = sorted(np.argsort(norms)[-least.features.layer4[0].out_channels :])
    assert torch.equal(least.features.layer4[0].weight, weight[strongest])
    whole = afcc.by_l1(model, layers, images(), dense.multiply_adds)
    assert afcc.costs(whole, images()) == dense
    chosen = afcc.by_score(model, {LAYERS[3]: torch.arange(16)}, images(), int(0.95 * dense.multiply_adds))
    assert torch.equal(chosen.features.layer4[0].weight, weight[-chosen.features.layer4[0].out_channels :])
    with pytest.raises(afcc.MaskError, match=r"features.layer4.0: which filters to keep is bool \[16\]"):
        afcc.by_score(model, {LAYERS[3]: torch.arange(17)}, images(), dense.multiply_adds)
    with pytest.raises(ValueError, match="the network still costs"):
        afcc.by_l1(model, layers, images(), 1000)


@pytest.mark.skipif(importlib.util.find_spec("torch_pruning") is None, reason="torch-pruning is not installed")
def test_the_group_norm_of_torch_pruning():
    model, layers = network(), LAYERS[3:]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    target = afcc.costs(model, images()).multiply_adds // 2
    small = afcc.by_group_norm(model, layers, images(), target)
    assert 0.8 * target < afcc.costs(small, images()).multiply_adds <= target
    assert small.features.layer3[0].out_channels == 16 and small.features.layer5[0].out_channels < 32
    assert small(images()).shape == (5, 6)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert not small.training and all(parameter.requires_grad for parameter in small.parameters())


def test_missing_packages_say_how_to_install_them():
    with pytest.raises(ImportError, match=r"tea needs no_such_package.*pip install 'singlefilter\[kettle\]'"):
        optional.optional("no_such_package", "kettle", "tea")
