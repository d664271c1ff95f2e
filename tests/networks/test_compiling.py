"""How a machine trains: compiled on a GPU where it can be, in bfloat16 where that is asked for and faster."""

import dataclasses
import functools

import pytest
import torch
from torch import nn

from singlefilter import environment, profiles, store
from singlefilter.networks import training
from tests.networks.small import RECIPE, assert_equal, network, split

GPU = torch.device("cuda")


def test_nothing_is_compiled_on_a_cpu(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda *_, **__: pytest.fail("compiled"))
    model = network()
    assert training.compiled(model, torch.device("cpu")) is model


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
        (tmp_path / "cpuinfo").write_text(f"processor : 0\nflags\t\t: {flags}\n", encoding="utf-8")
        assert asked(tmp_path / "cpuinfo") is there
    assert asked(tmp_path / "none") is False


def test_a_key_that_came_later_changes_no_name():
    half = dataclasses.replace(RECIPE, precision="bfloat16")
    assert "precision" not in store.plain(RECIPE)
    assert store.plain(half) == store.plain(RECIPE) | {"precision": "bfloat16"}
    assert store.config_key(half) != store.config_key(RECIPE)
