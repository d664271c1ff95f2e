"""Heads: trained together as if each were alone, on a trunk that nothing happens to."""

import dataclasses
import math
import time
import types

import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional

from singlefilter import data, networks, profiles
from singlefilter.errors import CutError
from singlefilter.method import features, heads
from singlefilter.networks import epochs

RECIPE = profiles.Heads(epochs=3, batch=12, shift=1, factor=0.8)


def split(labels: int = 4, per_label: int = 9) -> data.Split:
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (labels * per_label, 3, 8, 8), dtype=torch.uint8, generator=generator)
    return data.Split(images, torch.arange(labels).repeat_interleave(per_label), tuple("abcdefgh"[:labels]))


def trunk() -> nn.Sequential:
    """Three maps of falling size, with batch norm statistics that are not those of the start."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()),
            nn.Sequential(nn.Conv2d(4, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2)),
            nn.Sequential(nn.Conv2d(6, 5, 3, padding=1), nn.BatchNorm2d(5), nn.ReLU(), nn.MaxPool2d(2)),
            nn.Flatten(),
            nn.Linear(20, 4),
        )
        model.train()
        model(torch.randn(50, 3, 8, 8))
    return model


def points(model: nn.Module, config: profiles.Heads = RECIPE) -> tuple[heads.HeadPoint, ...]:
    return heads.head_points(networks.cut_points_at(model, ["0", "1", "2"], 8), config)


def test_points_and_their_sizes():
    found = {point.name: point for point in points(trunk())}
    assert list(found) == [f"layer{layer}_{kind}" for layer in (1, 2, 3) for kind in ("flat", "pooled")]
    assert [point.size[0] for point in found.values()] == [8, 2, 4, 2, 2, 2]
    assert [point.positions for point in found.values()] == [64, 4, 16, 4, 4, 4]
    assert [point.fan_in for point in found.values()] == [256, 16, 96, 24, 20, 20]


def cut(layer: int, filters: int, side: int) -> networks.CutPoint:
    return networks.CutPoint(f"layer {layer}", layer, str(layer), filters, (side, side))


def test_large_maps_are_pooled_to_seven_first():
    cuts = [cut(1, 64, 32), cut(2, 65, 32), cut(3, 64, 224), cut(4, 2**16 + 1, 1), cut(5, 4, 14)]
    config = profiles.Heads(kinds=("flat",))
    assert [point.size[0] for point in heads.head_points(cuts, config)] == [32, 7, 7, 1, 14]
    pooled = profiles.Heads(kinds=("flat", "pooled"))
    assert {point.size[0] for point in heads.head_points(cuts, pooled) if point.kind == "pooled"} == {1}


def test_chosen_layers_and_kinds():
    cuts = networks.cut_points_at(trunk(), ["0", "1", "2"], 8)
    chosen = heads.head_points(cuts, profiles.Heads(cuts=(2, 1, 2), kinds=("flat", "flat")))
    assert [point.name for point in chosen] == ["layer1_flat", "layer2_flat"]
    only_first = heads.head_points(cuts, profiles.Heads(cuts=(1,)))
    assert [(point.kind, point.size[0]) for point in only_first] == [("flat", 8), ("pooled", 2)]
    with pytest.raises(ValueError, match=r"heads.cuts: the network has no layer \[0, 7\]; it has 1 to 3"):
        heads.head_points(cuts, profiles.Heads(cuts=(0, 2, 7)))


def test_pooling_is_the_mean_of_blocks():
    maps = torch.randn(2, 3, 8, 8)
    expected = maps.reshape(2, 3, 2, 4, 2, 4).mean((3, 5))
    torch.testing.assert_close(heads.pooled(maps, (2, 2)), expected, atol=1e-6, rtol=1e-5)
    assert heads.pooled(maps, (8, 8)) is maps


def test_weights_begin_uniform_within_the_bound():
    model = trunk()
    weights = heads.initial_weights(points(model), 400, 1)
    for point in points(model):
        weight, bound = weights[point.name], 1 / math.sqrt(point.fan_in)
        assert weight.shape == (400, point.fan_in)
        assert weight.abs().max() <= bound
        assert weight.abs().max() > 0.99 * bound
        assert weight.std() == pytest.approx(bound / math.sqrt(3), rel=0.02)
        assert abs(weight.mean()) < 0.03 * bound
    alone = heads.initial_weights(points(model)[3:4], 400, 1)
    assert torch.equal(alone["layer2_pooled"], weights["layer2_pooled"])
    assert not torch.equal(heads.initial_weights(points(model), 400, 2)["layer1_flat"], weights["layer1_flat"])


def naive_batches(train: data.Split, recipe: profiles.Heads, epoch: int) -> list:
    """The batches of an epoch; with views, those of a view in one heap, drawn from in a new order."""
    augmented = {"seed": 5, "shift": recipe.shift, "flip": recipe.flip}
    if not recipe.views:
        return list(data.batches(train, recipe.batch, epoch=epoch, **augmented))
    heap = list(data.batches(train, recipe.batch, epoch=epoch % recipe.views, **augmented))
    images, labels = (torch.cat(parts) for parts in zip(*heap, strict=True))
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(data.mix(5, epoch)))
    parts = range(0, len(order), recipe.batch)
    return [(images[order[i : i + recipe.batch]], labels[order[i : i + recipe.batch]]) for i in parts]


def naive_head(model: nn.Module, point: heads.HeadPoint, train: data.Split, recipe: profiles.Heads) -> torch.Tensor:
    """One head after another, written out: cut, flatten, one linear layer without bias, Nesterov momentum."""
    model.eval()
    layers = model[: point.cut.layer]
    weight = heads.initial_weights([point], len(train.names), 5)[point.name].clone().requires_grad_()
    velocity = torch.zeros_like(weight)
    for epoch in range(recipe.epochs):
        rate = recipe.learning_rate * recipe.factor**epoch
        for images, labels in naive_batches(train, recipe, epoch):
            with torch.no_grad():
                maps = functional.adaptive_avg_pool2d(layers(images), point.size)
            loss = functional.cross_entropy(maps.flatten(1) @ weight.T, labels)
            (gradient,) = torch.autograd.grad(loss, weight)
            with torch.no_grad():
                gradient = gradient + recipe.weight_decay * weight
                velocity = recipe.momentum * velocity + gradient
                weight -= rate * (gradient + recipe.momentum * velocity)
    return weight.detach().reshape(len(train.names), point.cut.filters, point.positions)


@pytest.mark.parametrize("views", [0, 2])
def test_together_is_each_alone_and_each_written_out(views):
    model, train = trunk(), split()
    recipe = dataclasses.replace(RECIPE, views=views)
    together, curves = heads.fit(model, points(model), train, recipe, seed=5)
    assert list(together) == [point.name for point in points(model)]
    for point in points(model):
        weight = together[point.name]
        assert weight.shape == (4, point.cut.filters, point.positions)  # no bias: these weights are all there is
        alone, own_curves = heads.fit(model, [point], train, recipe, seed=5)
        torch.testing.assert_close(weight, alone[point.name], atol=1e-6, rtol=0)
        torch.testing.assert_close(weight, naive_head(model, point, train, recipe), atol=1e-5, rtol=1e-5)
        rows = curves[curves["head"] == point.name].reset_index(drop=True).drop(columns="seconds")
        pd.testing.assert_frame_equal(rows, own_curves.drop(columns="seconds"), rtol=1e-5)
    assert list(curves.columns) == ["epoch", "head", "accuracy", "loss", "learning_rate", "seconds"]
    assert len(curves) == 3 * len(together)


@pytest.mark.parametrize("fails", [False, True])
def test_the_trunk_is_left_as_it_was_found(fails):
    model = trunk()
    model[1].eval()
    model[0][0].weight.requires_grad_(False)
    model[2][0].weight.grad = kept = torch.ones_like(model[2][0].weight)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    chosen = points(model)
    if fails:
        chosen = [
            heads.HeadPoint(networks.CutPoint("layer 9", 9, "1", 9, (8, 8)), "flat", (8, 8)),
            *chosen,
        ]  # its map is another
        with pytest.raises(
            CutError, match="1: the cut point has 9 filters with 8 x 8 positions, the map is 6 x 4 x 4"
        ):
            heads.fit(model, chosen, split(), RECIPE, seed=1)
    else:
        heads.fit(model, chosen, split(), RECIPE, seed=1)
    after = model.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)
    assert [module.training for module in model.modules()] == modes
    assert [parameter.requires_grad for parameter in model.parameters()] == [False] + [True] * 13
    assert model[2][0].weight.grad is kept
    assert all(parameter.grad is None for parameter in model.parameters() if parameter is not model[2][0].weight)
    assert not any(module._forward_hooks for module in model.modules())
    assert torch.is_grad_enabled()


def test_views_that_do_not_fit_are_computed_anew_and_it_is_said(caplog):
    model, train = trunk(), split()
    needed = 4 * len(train) * 2 * sum(point.fan_in for point in points(model))
    assert features.kept_bytes([point.fan_in for point in points(model)], train, 2) == needed
    anew, _ = heads.fit(model, points(model), train, RECIPE, seed=5)
    too_large = dataclasses.replace(RECIPE, views=2, views_gib=(needed - 1) / 2**30)
    same, _ = heads.fit(model, points(model), train, too_large, seed=5)
    assert all(torch.equal(anew[name], same[name]) for name in anew)
    assert caplog.text.count("they are computed anew in every epoch instead") == 1
    fits = dataclasses.replace(RECIPE, views=2, views_gib=needed / 2**30)
    other, _ = heads.fit(model, points(model), train, fits, seed=5)
    assert not torch.equal(anew["layer1_flat"], other["layer1_flat"])
    assert caplog.text.count("they are computed anew in every epoch instead") == 1


class Interrupted(Exception):
    pass


TRIALS = 4  # passes of a few images first: how the network is called, that nothing is drawn, that maps are steady


def test_with_views_resumed_equals_uninterrupted(tmp_path, monkeypatch):
    model, recipe = trunk(), dataclasses.replace(RECIPE, views=2)
    whole, _ = heads.fit(model, points(model), split(), recipe, seed=1)
    times = iter([0, 0, 9])
    clock = types.SimpleNamespace(monotonic=lambda: next(times), perf_counter=time.perf_counter)
    with monkeypatch.context() as patch, pytest.raises(epochs.Paused, match="after epoch 2 of 3"):
        patch.setattr(epochs, "time", clock)
        heads.fit(model, points(model), split(), recipe, seed=1, checkpoint=tmp_path / "checkpoint.pt", deadline=5)
    resumed, _ = heads.fit(model, points(model), split(), recipe, seed=1, checkpoint=tmp_path / "checkpoint.pt")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


@pytest.mark.parametrize("passes", [2, 3, 5])  # of 3 in an epoch
def test_resumed_equals_uninterrupted(tmp_path, monkeypatch, passes):
    monkeypatch.setattr(epochs, "SECONDS_BETWEEN_CHECKPOINTS", 0)
    model, checkpoint = trunk(), tmp_path / "checkpoint.pt"
    whole, curves = heads.fit(model, points(model), split(), RECIPE, seed=1)
    chosen, done = points(model), []

    def hook(*_) -> None:
        done.append(1)
        if len(done) == TRIALS + passes + 1:
            raise Interrupted

    handle = model.register_forward_pre_hook(hook)
    with pytest.raises(Interrupted):
        heads.fit(model, chosen, split(), RECIPE, seed=1, checkpoint=checkpoint)
    handle.remove()
    assert checkpoint.exists() == (passes >= 3)
    resumed, again = heads.fit(model, chosen, split(), RECIPE, seed=1, checkpoint=checkpoint)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    pd.testing.assert_frame_equal(curves.drop(columns="seconds"), again.drop(columns="seconds"), check_exact=True)


def test_heads_pause_and_diverge():
    model = trunk()
    with pytest.raises(epochs.Paused, match="training heads paused after epoch 0 of 3"):
        heads.fit(model, points(model), split(), RECIPE, seed=1, deadline=-math.inf)
    wild = profiles.Heads(epochs=3, batch=12, learning_rate=1e30)
    with pytest.raises(epochs.Diverged, match="training heads: the loss is no number"):
        heads.fit(model, points(model), split(), wild, seed=1)


def test_all_heads_are_one_module_whose_parameters_have_their_names():
    chosen = points(trunk())
    weights = heads.initial_weights(chosen, 4, 1)
    together, seen = heads.LinearHeads(weights), [torch.randn(5, point.fan_in) for point in chosen]
    assert list(together.state_dict()) == [point.name for point in chosen]
    for point, features_of_one, logits in zip(chosen, seen, together(seen), strict=True):
        torch.testing.assert_close(logits, torch.einsum("if,lf->il", features_of_one, weights[point.name]))
    with pytest.raises(ValueError, match="zip"):
        together(seen[:-1])
