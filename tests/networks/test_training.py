"""The training loop: its schedule, its resumption bit for bit, and what it says when it cannot go on."""

import dataclasses
import functools
import math
import time
import types

import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from singlefilter import data, distributed, environment, profiles, store
from singlefilter.networks import training

RECIPE = profiles.Recipe(epochs=3, batch=12, learning_rate=0.05, momentum=0.9, schedule="cosine", shift=1)


def split(per_label: int = 10, labels: int = 4, seed: int = 0) -> data.Split:
    """Images that can be told apart: each label lights one corner, under noise."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 120, (labels * per_label, 3, 8, 8), dtype=torch.uint8, generator=generator)
    for label in range(labels):
        down, right = divmod(label, 2)
        images[label * per_label : (label + 1) * per_label, :, down * 4 :, right * 4 :][:, :, :4, :4] += 100
    return data.Split(images, torch.arange(labels).repeat_interleave(per_label), tuple("abcd"[:labels]))


def network(seed: int = 0) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(96, 4),
        )


def assert_equal(one: nn.Module, other: nn.Module) -> None:
    """Bit for bit, batch norm statistics included."""
    for (name, a), b in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


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
    assert training.learning_rate(step, epoch) == pytest.approx(expected[0], rel=1e-12)
    assert training.learning_rate(cosine, epoch) == pytest.approx(expected[1], rel=1e-9, abs=1e-15)


def test_the_schedules_of_the_method():
    whole, head = profiles.Recipe(), profiles.Heads()
    assert training.learning_rate(whole, 19.99) == 0.028
    assert training.learning_rate(whole, 20) == pytest.approx(0.028 * 0.6)
    assert training.learning_rate(whole, 299.9) == pytest.approx(0.028 * 0.6**14)
    assert training.learning_rate(head, 0.5) == 0.01
    assert training.learning_rate(head, 199.5) == pytest.approx(0.01 * 0.975**199)


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


class Interrupted(Exception):
    pass


@pytest.fixture
def every_epoch(monkeypatch):
    """A checkpoint after every epoch but the last."""
    monkeypatch.setattr(training, "SECONDS_BETWEEN_CHECKPOINTS", 0)


@pytest.mark.parametrize(("between", "expected"), [(20, [3, 6]), (0, [1, 2, 3, 4, 5, 6]), (57, [])])
def test_checkpoints_are_some_seconds_apart_and_none_follows_the_last_epoch(monkeypatch, between, expected):
    """Seven epochs of eight seconds each."""
    now, kept = [0.0], []

    def evaluate(*_):
        now[0] += 8
        return {"accuracy": 0.0, "loss": 0.0}

    monkeypatch.setattr(training, "time", types.SimpleNamespace(monotonic=lambda: 0, perf_counter=lambda: now[0]))
    monkeypatch.setattr(training, "evaluate", evaluate)
    monkeypatch.setattr(training, "_save", lambda *arguments: kept.append(arguments[-1]))
    monkeypatch.setattr(training, "SECONDS_BETWEEN_CHECKPOINTS", between)
    training.fit(network(), split(), split(seed=1), dataclasses.replace(RECIPE, epochs=7), seed=2)
    assert kept == expected


def fail_at(model: nn.Module, passes: int) -> None:
    """Raise in the forward pass of that number, counted in train mode."""
    done = []

    def hook(module: nn.Module, _) -> None:
        done.extend([1] * module.training)
        if len(done) == passes:
            raise Interrupted

    model.register_forward_pre_hook(hook)


@pytest.mark.parametrize("passes", [1, 4, 5, 7, 12])  # of 4 in an epoch
@pytest.mark.usefixtures("every_epoch")
def test_interrupted_and_resumed_equals_uninterrupted(tmp_path, passes):
    whole = network()
    curves = training.fit(whole, split(), split(seed=1), RECIPE, seed=2)
    broken, checkpoint = network(), tmp_path / "checkpoint.pt"
    fail_at(broken, passes)
    with pytest.raises(Interrupted):
        training.fit(broken, split(), split(seed=1), RECIPE, seed=2, checkpoint=checkpoint)
    assert checkpoint.exists() == (passes > 4)
    resumed = network()
    again = training.fit(resumed, split(), split(seed=1), RECIPE, seed=2, checkpoint=checkpoint)
    assert_equal(whole, resumed)
    pd.testing.assert_frame_equal(curves.drop(columns="seconds"), again.drop(columns="seconds"), check_exact=True)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


@pytest.mark.usefixtures("every_epoch")
def test_dropout_is_decided_by_the_seed_too(tmp_path):
    def trained(seed: int = 2, fails: int | None = None, **how) -> nn.Module:
        model = network()
        model.insert(5, nn.Dropout(0.5))
        if fails:
            fail_at(model, fails)
        training.fit(model, split(), split(seed=1), RECIPE, seed=seed, **how)
        return model

    torch.manual_seed(7)
    before = torch.get_rng_state()
    whole = trained()
    assert torch.equal(torch.get_rng_state(), before)  # numbers that others draw go on as they were
    torch.manual_seed(8)
    assert_equal(whole, trained())
    assert not torch.equal(whole[0].weight, trained(seed=3)[0].weight)
    with pytest.raises(Interrupted):
        trained(checkpoint=tmp_path / "checkpoint.pt", fails=7)
    assert_equal(whole, trained(checkpoint=tmp_path / "checkpoint.pt"))


def test_pauses_after_an_epoch_and_goes_on(tmp_path, monkeypatch):
    whole = network()
    training.fit(whole, split(), split(seed=1), RECIPE, seed=2)
    clock = iter(range(100))
    stopped = types.SimpleNamespace(monotonic=lambda: next(clock), perf_counter=time.perf_counter)
    checkpoint = tmp_path / "checkpoint.pt"
    with monkeypatch.context() as patch:
        patch.setattr(training, "time", stopped)
        with pytest.raises(training.Paused, match="training paused after epoch 2 of 3; the same command"):
            training.fit(network(), split(), split(seed=1), RECIPE, seed=2, checkpoint=checkpoint, deadline=1)
    resumed = network()
    training.fit(resumed, split(), split(seed=1), RECIPE, seed=2, checkpoint=checkpoint)
    assert_equal(whole, resumed)


def test_a_pause_before_any_new_epoch_writes_no_checkpoint(tmp_path):
    checkpoint = tmp_path / "checkpoint.pt"
    with pytest.raises(training.Paused, match="after epoch 0 of 3"):
        training.fit(network(), split(), split(), RECIPE, seed=2, checkpoint=checkpoint, deadline=-math.inf)
    assert not checkpoint.exists()


@pytest.mark.usefixtures("every_epoch")
def test_a_checkpoint_that_cannot_be_read_is_left(tmp_path, caplog):
    whole, checkpoint = network(), tmp_path / "checkpoint.pt"
    training.fit(whole, split(), split(seed=1), RECIPE, seed=2, checkpoint=checkpoint)
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    again = network()
    training.fit(again, split(), split(seed=1), RECIPE, seed=2, checkpoint=checkpoint)
    assert_equal(whole, again)
    assert "checkpoint.pt cannot be read" in caplog.text


@pytest.mark.usefixtures("every_epoch")
def test_a_full_disk_keeps_the_checkpoint_before_it(tmp_path, monkeypatch):
    checkpoint = tmp_path / "checkpoint.pt"
    training.fit(network(), split(), split(seed=1), RECIPE, seed=2, checkpoint=checkpoint)
    before = checkpoint.read_bytes()

    def full(content, path):
        path.write_bytes(b"half")
        raise RuntimeError("PytorchStreamWriter failed writing file: No space left on device")

    monkeypatch.setattr(torch, "save", full)
    longer = dataclasses.replace(RECIPE, epochs=RECIPE.epochs + 1)
    with pytest.raises(OSError, match=r"checkpoint.pt could not be written, the one before it is kept: .*No space"):
        training.fit(network(), split(), split(seed=1), longer, seed=2, checkpoint=checkpoint)
    assert checkpoint.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_divergence_is_named(tmp_path):
    recipe = profiles.Recipe(epochs=3, batch=20, learning_rate=1e30, momentum=0.9, warmup_epochs=0.5)
    with pytest.raises(
        training.Diverged, match=r"epoch 1\. Lower learning_rate \(1e\+30\) or raise warmup_epochs \(0.5\)"
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


GPU = torch.device("cuda")


def test_nothing_is_compiled_on_a_cpu(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda *_, **__: pytest.fail("compiled"))
    model = network()
    assert training.compiled(model, torch.device("cpu")) is model


def test_ranks_that_work_together_compile_nothing(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda *_, **__: pytest.fail("compiled"))
    monkeypatch.setattr(distributed, "world", lambda: 2)
    model = network()
    assert training.compiled(model, GPU) is model


def test_every_network_is_compiled_however_many_there_were(monkeypatch):
    """All of them share one forward function, of which the compiler keeps eight versions."""
    compiled = []

    def backend(graph, _):
        compiled.append(labels)
        return graph.forward

    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=backend))
    for labels in range(2, 12):
        forward = training.compiled(nn.Sequential(nn.Flatten(), nn.Linear(4, labels)), GPU)
        assert forward(torch.zeros(2, 4)).shape == (2, labels)
    torch.compiler.reset()
    assert compiled == list(range(2, 12))


def test_on_a_gpu_the_compiled_network_is_called_and_its_trial_leaves_no_trace(monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda model, **_: lambda images: compiled.append(1) or model(images))
    model, plain = network(), network()
    forward = training.compiled(model, GPU)
    images = torch.randn(5, 3, 8, 8)
    for times in (2, 3):  # the first pass is tried before it counts
        torch.testing.assert_close(forward(images), plain(images), atol=0, rtol=0)
        assert len(compiled) == times
    assert_equal(model, plain)  # batch norm statistics too
    assert all(parameter.grad is None for parameter in model.parameters())


class BackwardFails(torch.autograd.Function):
    @staticmethod
    def forward(_, images):
        return images.clone()

    @staticmethod
    def backward(_, gradient):
        raise RuntimeError("no C compiler\nand a long trace")


@pytest.mark.parametrize("where", ["compile", "forward", "backward"])
def test_a_network_that_cannot_be_compiled_is_trained_as_it_is(monkeypatch, caplog, where):
    def fail(*_, **__):
        raise RuntimeError("no C compiler\nand a long trace")

    ways = {"compile": fail, "forward": lambda *_, **__: fail}
    ways["backward"] = lambda model, **_: lambda images: BackwardFails.apply(model(images))
    monkeypatch.setattr(torch, "compile", ways[where])
    original = training.compiled
    monkeypatch.setattr(training, "compiled", lambda model, _: original(model, GPU))
    fallen, plain = network(), network()
    training.fit(fallen, split(), split(), RECIPE, seed=1)
    monkeypatch.setattr(training, "compiled", lambda model, _: model)
    training.fit(plain, split(), split(), RECIPE, seed=1)
    assert_equal(fallen, plain)
    said = [record.getMessage() for record in caplog.records]
    assert said == ["training without torch.compile, somewhat slower: RuntimeError: no C compiler"]


def test_bfloat16_is_for_the_passes_of_training_alone(monkeypatch):
    seen = []

    def watch(recipe: profiles.Recipe) -> nn.Module:
        model = network()
        model[0].register_forward_hook(lambda module, _, output: seen.append((module.training, output.dtype)))
        training.fit(model, split(), split(seed=1), recipe, seed=1)
        return model

    exact, half = watch(RECIPE), watch(dataclasses.replace(RECIPE, precision="bfloat16"))
    epochs = len(seen) // 2
    assert {dtype for _, dtype in seen[:epochs]} == {torch.float32}
    assert set(seen[epochs:]) == {(True, torch.bfloat16), (False, torch.float32)}  # test images: in full precision
    assert {value.dtype for value in half.state_dict().values()} == {torch.float32, torch.int64}
    moved, apart = (exact[0].weight - network()[0].weight).norm(), (half[0].weight - exact[0].weight).norm()
    assert 0 < apart < 0.5 * moved


def test_bfloat16_is_refused_where_it_is_slower(monkeypatch, tmp_path):
    half, asked = dataclasses.replace(RECIPE, precision="bfloat16"), environment.computes_in_bfloat16
    monkeypatch.setattr(training, "device", lambda: torch.device("cpu"))
    monkeypatch.setattr(environment, "computes_in_bfloat16", lambda: False)
    training.require_precision(RECIPE)
    with pytest.raises(training.Unsuited, match="avx512_bf16"):
        training.require_precision(half)
    monkeypatch.setattr(training, "device", lambda: torch.device("cuda"))
    training.require_precision(half)
    for flags, there in (("fpu avx512f amx_bf16", True), ("fpu avx512f", False), ("avx512_bf16x", False)):
        (tmp_path / "cpuinfo").write_text(f"processor : 0\nflags\t\t: {flags}\n")
        assert asked(tmp_path / "cpuinfo") is there
    assert asked(tmp_path / "none") is False


def test_a_key_that_came_later_changes_no_name():
    half = dataclasses.replace(RECIPE, precision="bfloat16")
    assert "precision" not in store.plain(RECIPE)
    assert store.plain(half) == store.plain(RECIPE) | {"precision": "bfloat16"}
    assert store.config_key(half) != store.config_key(RECIPE)
