"""The training loop: its schedule, its steps, its curves, and what it says when it cannot go on."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from singlefilter import data, profiles
from singlefilter.networks import epochs, training
from tests.networks.small import network, split


@given(
    st.floats(0, 30, exclude_max=True),
    st.floats(1e-4, 1),
    st.floats(0.1, 1),
    st.integers(1, 10),
    st.floats(0, 5),
)
def test_schedules(epoch, first, factor, every, warmup):
    step = profiles.Recipe(epochs=30, learning_rate=first, factor=factor, every=every, warmup_epochs=warmup)
    cosine = profiles.Recipe(epochs=30, learning_rate=first, schedule="cosine", warmup_epochs=warmup)
    if epoch < warmup:
        expected = (first * epoch / warmup,) * 2
    else:
        times = 0
        while (times + 1) * every <= epoch:
            times += 1
        part = (epoch - warmup) / (30 - warmup)
        expected = first * factor**times, first * 0.5 * (1 + math.cos(math.pi * part))
    assert epochs.learning_rate(step, epoch) == pytest.approx(expected[0], rel=1e-12)
    assert epochs.learning_rate(cosine, epoch) == pytest.approx(expected[1], rel=1e-9, abs=1e-15)


def test_the_schedules_of_the_method():
    whole, head = profiles.Recipe(), profiles.Heads()
    assert epochs.learning_rate(whole, 19.99) == 0.028
    assert epochs.learning_rate(whole, 20) == pytest.approx(0.028 * 0.6)
    assert epochs.learning_rate(whole, 299.9) == pytest.approx(0.028 * 0.6**14)
    assert epochs.learning_rate(head, 0.5) == 0.01
    assert epochs.learning_rate(head, 199.5) == pytest.approx(0.01 * 0.975**199)


def test_training_is_plain_sgd_with_nesterov_momentum():
    """Against a loop that writes the update out: v = m v + g, w = w - rate (g + m v), g with weight decay."""
    recipe = profiles.Recipe(
        epochs=2, batch=12, learning_rate=0.05, momentum=0.9, schedule="cosine", shift=1, label_smoothing=0.1
    )
    fast, slow, train = network(), network(), split()
    training.fit(fast, train, train, recipe, seed=3)
    velocity = {name: torch.zeros_like(parameter) for name, parameter in slow.named_parameters()}
    slow.train()
    for epoch in range(2):
        for number, (images, labels) in enumerate(data.batches(train, 12, seed=3, epoch=epoch, shift=1, flip=True)):
            rate = 0.05 * (1 + math.cos(math.pi * (epoch + (number + 0.5) / 4) / 2)) / 2
            target = torch.full((len(labels), 4), 0.1 / 4)
            target[range(len(labels)), labels] += 0.9
            slow.zero_grad()
            (-(target * slow(images).log_softmax(1)).sum() / len(labels)).backward()
            with torch.no_grad():
                for name, parameter in slow.named_parameters():
                    gradient = parameter.grad + 1e-3 * parameter
                    velocity[name] = 0.9 * velocity[name] + gradient
                    parameter -= rate * (gradient + 0.9 * velocity[name])
    for (name, a), b in zip(fast.state_dict().items(), slow.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3, msg=lambda text, name=name: f"{name}: {text}")


def test_it_learns_and_its_curves_are_tidy():
    recipe = profiles.Recipe(
        epochs=6, batch=20, learning_rate=0.05, momentum=0.9, schedule="cosine", shift=0, flip=False
    )
    model = network()
    curves = training.fit(model, split(), split(seed=1), recipe, seed=1)
    assert list(curves.columns) == ["epoch", "split", "accuracy", "loss", "learning_rate", "seconds"]
    assert curves["epoch"].tolist() == [epoch for epoch in range(1, 7) for _ in range(2)]
    assert curves["split"].tolist() == ["train", "test"] * 6
    train, test = (curves[curves["split"] == name] for name in ("train", "test"))
    assert train["loss"].iloc[-1] < 0.5 * train["loss"].iloc[0]
    assert test["accuracy"].iloc[-1] > 0.9
    assert training.evaluate(model, split(seed=1))["accuracy"] == test["accuracy"].iloc[-1]
    assert not any(module.training for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_accuracy_counts_the_images_that_were_seen():
    """41 images in batches of 20: the last one is left out of the epoch and of its accuracy."""
    one = split(per_label=41, labels=1)
    model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(72, 1))
    curves = training.fit(model, one, one, profiles.Recipe(epochs=1, batch=20), seed=1)
    assert curves["accuracy"].tolist() == [1.0, 1.0]


def test_divergence_is_named(tmp_path):
    recipe = profiles.Recipe(epochs=3, batch=20, learning_rate=1e30, momentum=0.9, warmup_epochs=0.5)
    with pytest.raises(
        epochs.Diverged, match=r"epoch 1\. Lower learning_rate \(1e\+30\) or raise warmup_epochs \(0.5\)"
    ):
        training.fit(network(), split(), split(), recipe, seed=1, checkpoint=tmp_path / "checkpoint.pt")
    assert not (tmp_path / "checkpoint.pt").exists()


@pytest.mark.parametrize("batch", [1, 7, 40, 500])
def test_evaluate_is_the_mean_over_images(batch):
    model, test = network(), split()
    model[1].train()
    model[0].eval()
    modes = [module.training for module in model.modules()]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found = training.evaluate(model, test, batch)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    model.eval()
    hits, losses = 0, []
    for image, label in zip(test.images, test.labels, strict=True):
        with torch.no_grad():
            logits = model((2 * image.float() / 255 - 1)[None])[0]
        hits += int(logits.argmax() == label)
        losses.append(float(-logits.double().log_softmax(0)[label]))
    assert found["accuracy"] == hits / len(test)
    assert found["loss"] == pytest.approx(sum(losses) / len(losses), rel=1e-5)


def test_evaluate_leaves_the_mode_after_an_exception():
    model = network().train()
    wrong = data.Split(torch.zeros(2, 3, 9, 99, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64), ("a",))
    with pytest.raises(RuntimeError):
        training.evaluate(model, wrong)
    assert all(module.training for module in model.modules())


def test_loss_of_the_curves_is_cross_entropy():
    """At a rate that changes nothing, the loss of an epoch is that of the network in train mode."""
    train = split()
    recipe = profiles.Recipe(epochs=1, batch=40, learning_rate=1e-30, shift=0, flip=False)
    curves = training.fit(network(), train, train, recipe, seed=1)
    logits = network().train()(data.to_input(train.images))
    assert curves["loss"][0] == pytest.approx(functional.cross_entropy(logits, train.labels).item(), rel=1e-5)


def test_a_batch_without_images_is_refused():
    with pytest.raises(ValueError, match="at least one image, 0 given"):
        training.evaluate(network(), split(), 0)
