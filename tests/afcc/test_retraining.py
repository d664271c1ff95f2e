"""Masks hold through momentum and weight decay; what is frozen stays as it is, to the bit; lost numbers stop it."""

import dataclasses

import pytest
import torch
from torch import nn
from torch.nn import functional

from singlefilter import afcc, data, distributed, networks, profiles
from singlefilter.afcc import enforcement
from singlefilter.afcc.retraining import guarded_epochs
from singlefilter.method import heads
from singlefilter.networks import checkpoints, epochs

LABELS = 4
RECIPE = profiles.Recipe(epochs=3, batch=10, learning_rate=0.05, momentum=0.9, weight_decay=0.01, shift=1)
HEADS = profiles.Heads(epochs=3, batch=10, shift=1)


def network(seed: int = 0) -> nn.Module:
    """A tiny VGG whose batch norms have seen images."""
    model = networks.build(profiles.Network(depth=11, width=2), LABELS, 32, seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for _ in range(2):
            model.train()(torch.randn(20, 3, 32, 32))
    return model.eval()


def split(per_label: int = 10) -> data.Split:
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (LABELS * per_label, 3, 32, 32), dtype=torch.uint8, generator=generator)
    return data.Split(images, torch.arange(LABELS).repeat_interleave(per_label), tuple("abcd"))


def copies(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def test_dropped_weights_stay_zero_through_momentum_and_weight_decay():
    layer = nn.Conv2d(3, 4, 3)
    mask = afcc.random_mask((4, 3), 5, 0)
    steps = torch.optim.SGD(layer.parameters(), 0.1, momentum=0.9, weight_decay=0.1, nesterov=True)
    for _ in range(3):  # momentum from before the mask
        layer(torch.randn(2, 3, 8, 8)).square().sum().backward()
        steps.step()
    before = layer.weight.detach().clone()
    model = nn.Sequential(layer)
    with afcc.enforced(steps, model, {"0": mask}):
        assert not layer.weight[~mask].any()
        assert torch.equal(layer.weight[mask], before[mask])
        for _ in range(4):
            steps.zero_grad()
            layer(torch.randn(2, 3, 8, 8)).square().sum().backward()
            layer.weight.grad[0, :] = torch.where(mask[0, :, None, None], layer.weight.grad[0, :], torch.inf)
            steps.step()
            assert not layer.weight[~mask].any()
            assert not steps.state[layer.weight]["momentum_buffer"][~mask].any()
        assert (layer.weight[mask] != before[mask]).all()
    steps.step()
    layer.weight.grad.fill_(1)
    steps.step()
    assert layer.weight[~mask].any(), "outside, the optimizer is free again"


def test_what_is_kept_is_trained_as_written_out():
    """Nesterov momentum and weight decay by hand, on the kept weights alone."""
    weight = nn.Parameter(torch.randn(3, 4))
    mask = afcc.random_mask((3, 4), 7, 1)
    model = nn.ParameterDict({"w": weight})
    inputs = torch.randn(5, 4)
    expected, velocity = weight.detach() * mask, torch.zeros(3, 4)
    steps = torch.optim.SGD([weight], 0.1, momentum=0.9, weight_decay=0.1, nesterov=True)
    with afcc.enforced(steps, model, {"w": mask}):
        for _ in range(4):
            steps.zero_grad()
            (inputs @ weight.T).square().sum().backward()
            steps.step()
            gradient = (2 * (inputs @ expected.T).T @ inputs + 0.1 * expected) * mask
            velocity = 0.9 * velocity + gradient
            expected = expected - 0.1 * (gradient + 0.9 * velocity)
    torch.testing.assert_close(weight.detach(), expected)


def test_a_mask_that_does_not_fit_changes_nothing():
    model = network()
    before = copies(model)
    good = afcc.random_mask((16, 16), 9, 0)
    for name, mask, error, message in (
        ("features.layer9.0", good, afcc.MaskError, "no weights named 'features.layer9.0'"),
        ("features.layer8.0", good[:, :3], afcc.MaskError, r"features.layer8.0: a mask of shape \[16, 3\]"),
        ("features.layer8.0", good & False, afcc.CutThrough, "features.layer8.0: the mask keeps no connection"),
    ):
        with pytest.raises(error, match=message):
            enforcement.apply(model, {"features.layer7.0": good, name: mask})
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_shortened_recipes_fall_as_far():
    recipe = profiles.Heads(epochs=200)
    short = afcc.shortened(recipe)
    assert (short.epochs, short.batch, short.weight_decay) == (20, recipe.batch, recipe.weight_decay)
    assert epochs.learning_rate(short, 20) == pytest.approx(epochs.learning_rate(recipe, 200))
    assert epochs.learning_rate(short, 0) == recipe.learning_rate
    every = profiles.Recipe(epochs=300, factor=0.6, every=20)
    assert epochs.learning_rate(afcc.shortened(every), 30) == pytest.approx(epochs.learning_rate(every, 300))
    assert afcc.shortened(profiles.Recipe(epochs=4)).epochs == 1
    cosine = afcc.shortened(profiles.Recipe(epochs=60, schedule="cosine", warmup_epochs=5), 0.2)
    assert (cosine.epochs, cosine.warmup_epochs) == (12, 1)
    with pytest.raises(ValueError, match="above 0; 0 given"):
        afcc.shortened(recipe, 0)


def test_only_the_named_layers_are_retrained():
    model = network()
    model.features.layer3[0].weight.requires_grad_(False)
    model.features.layer2.train()
    modes = [module.training for module in model.modules()]
    before = copies(model)
    mask = afcc.random_mask((16, 16), 60, 2)
    named = ["features.layer7", "features.layer8"]
    curves = afcc.retrain(model, named, {"features.layer8.0": mask}, split(), RECIPE, seed=1)
    changed = {name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])}
    trained = {name for name in before if name.startswith(tuple(f"{layer}." for layer in named))}
    assert changed == trained  # weights, batch norm and its statistics, and nothing else
    assert not model.features.layer8[0].weight[~mask].any()
    assert [module.training for module in model.modules()] == modes
    assert [p for p in model.parameters() if not p.requires_grad] == [model.features.layer3[0].weight]
    assert all(parameter.grad is None for parameter in model.parameters())
    assert list(curves.columns) == ["epoch", "accuracy", "loss", "learning_rate", "seconds"]
    assert curves["epoch"].tolist() == [1, 2, 3]
    assert curves["loss"].iloc[-1] < curves["loss"].iloc[0]


def test_retraining_resumed_equals_uninterrupted(tmp_path, monkeypatch):
    masks = {"features.layer8.0": afcc.random_mask((16, 16), 60, 2)}
    whole, parts = network(), network()
    afcc.retrain(whole, ["features.layer8"], masks, split(), RECIPE, seed=1)
    checkpoint, saved = tmp_path / "checkpoint.pt", []
    save = checkpoints.save

    def pause(*arguments) -> None:
        save(*arguments)
        saved.append(1)
        if len(saved) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(checkpoints, "save", pause)
        patch.setattr(epochs, "SECONDS_BETWEEN_CHECKPOINTS", 0)
        afcc.retrain(parts, ["features.layer8"], masks, split(), RECIPE, seed=1, checkpoint=checkpoint)
    parts = network()
    afcc.retrain(parts, ["features.layer8"], masks, split(), RECIPE, seed=1, checkpoint=checkpoint)
    after = parts.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in whole.state_dict().items())


def test_lost_numbers_stop_retraining_and_the_last_good_state_stays(monkeypatch):
    model, good = network(), network()
    afcc.retrain(
        good, ["features.layer8"], {}, split(), dataclasses.replace(RECIPE, epochs=1, schedule="step"), seed=1
    )
    rates = epochs.learning_rate
    monkeypatch.setattr(epochs, "learning_rate", lambda recipe, epoch: 1e38 if epoch > 1 else rates(recipe, epoch))
    with pytest.raises(afcc.Diverged, match="The weights before that epoch are kept") as caught:
        afcc.retrain(model, ["features.layer8"], {}, split(), RECIPE, seed=1)
    after = model.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in good.state_dict().items())
    assert all(torch.equal(caught.value.last_good[name], tensor) for name, tensor in after.items())


def test_weights_that_are_no_numbers_stop_it_even_where_the_loss_is_one(monkeypatch):
    model = network()
    before = copies(model)
    rate = profiles.Recipe(epochs=1, batch=40, learning_rate=1e300)  # the only step is after the loss
    with pytest.raises(afcc.Diverged, match=r"features.layer8.0.weight holds NaN or infinity after epoch 1"):
        afcc.retrain(model, ["features.layer8"], {}, split(), rate, seed=1)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_unknown_or_empty_layers_are_refused():
    with pytest.raises(ValueError, match="no module 'layer8' to retrain"):
        afcc.retrain(network(), ["layer8"], {}, split(), RECIPE, seed=1)
    with pytest.raises(ValueError, match="nothing to retrain: features.layer8.2"):
        afcc.retrain(network(), ["features.layer8.2"], {}, split(), RECIPE, seed=1)


def masked_heads(model: nn.Module) -> dict[str, afcc.MaskedHead]:
    cuts = networks.cut_points(model, 32)
    points = heads.head_points(cuts, profiles.Heads(kinds=("flat",), cuts=(6, 8)))
    weights = heads.initial_weights(points, LABELS, 3)
    shaped = {p.name: weights[p.name].reshape(LABELS, p.cut.filters, p.positions) for p in points}
    pairs = afcc.random_mask((LABELS, points[1].cut.filters), 20, 1)
    single = afcc.random_mask(tuple(shaped[points[0].name].shape), 99, 1)
    return {
        "deep afcc": afcc.MaskedHead(points[1], shaped[points[1].name], pairs),
        "deep dense": afcc.MaskedHead(points[1], shaped[points[1].name]),
        "shallow single": afcc.MaskedHead(points[0], shaped[points[0].name], single),
    }


def naive_head(model: nn.Module, head: afcc.MaskedHead, train: data.Split) -> torch.Tensor:
    """One head alone, written out; the mask multiplies after every step."""
    mask = torch.ones_like(head.weights)
    if head.mask is not None:
        mask = (head.mask if head.mask.ndim == 3 else head.mask[:, :, None]) * mask
    weight = (head.weights * mask).requires_grad_()
    velocity = torch.zeros_like(weight)
    for epoch in range(HEADS.epochs):
        rate = HEADS.learning_rate * HEADS.factor**epoch
        for images, labels in data.batches(train, HEADS.batch, seed=5, epoch=epoch, shift=1, flip=True):
            with torch.no_grad():
                maps = model.features[: head.point.cut.layer](images)
            loss = functional.cross_entropy(maps.flatten(1) @ weight.flatten(1).T, labels)
            (gradient,) = torch.autograd.grad(loss, weight)
            with torch.no_grad():
                gradient = gradient + HEADS.weight_decay * weight
                velocity = (HEADS.momentum * velocity + gradient) * mask
                weight -= rate * (gradient * mask + HEADS.momentum * velocity)
    return weight.detach()


def test_heads_retrained_together_are_each_alone_written_out():
    model, train = network(), split()
    masked = masked_heads(model)
    before = copies(model)
    weights, curves = afcc.retrain_heads(model, masked, train, HEADS, seed=5)
    assert list(weights) == list(masked)
    for name, head in masked.items():
        torch.testing.assert_close(weights[name], naive_head(model, head, train), atol=1e-5, rtol=1e-4)
        if head.mask is not None:
            assert not weights[name][~head.mask].any()
    assert curves.groupby("head", sort=False).size().to_dict() == dict.fromkeys(masked, 3)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    original = masked_heads(model)
    assert all(torch.equal(head.weights, original[name].weights) for name, head in masked.items())


def test_answers_of_masked_heads():
    model, test = network(), split(3)
    masked = masked_heads(model)
    for batch in (5, 500):
        correct = afcc.correct_answers(model, masked, test, batch)
        for name, head in masked.items():
            weight = head.weights
            if head.mask is not None:
                weight = weight * (head.mask if head.mask.ndim == 3 else head.mask[:, :, None])
            with torch.no_grad():
                maps = model.features[: head.point.cut.layer](data.to_input(test.images))
            answers = (maps.flatten(1) @ weight.flatten(1).T).argmax(1)
            assert torch.equal(correct[name], answers == test.labels)


def test_lost_numbers_in_heads_give_back_the_last_good_ones():
    model = network()
    wild = dataclasses.replace(HEADS, epochs=2, learning_rate=1e30)
    with pytest.raises(afcc.Diverged, match="retraining heads") as caught:
        afcc.retrain_heads(model, masked_heads(model), split(), wild, seed=1)
    good = caught.value.last_good
    assert list(good) == list(masked_heads(model))
    assert all(tensor.isfinite().all() for tensor in good.values())


def test_ranks_are_refused_whose_gradients_would_stay_apart(monkeypatch):
    monkeypatch.setattr(distributed, "world", lambda: 2)
    model = network()
    with pytest.raises(distributed.RankError, match="retraining: one process does it alone"):
        guarded_epochs(model, [*model.parameters()], {}, None, 40, RECIPE, None, None, title="retraining")
