"""Checkpoints and pauses: what was interrupted comes to the same network, bit for bit."""

import dataclasses
import math
import time
import types

import pandas as pd
import pytest
import torch
from torch import nn

from singlefilter.networks import checkpoints, epochs, training
from tests.networks.small import RECIPE, assert_equal, network, split


class Interrupted(Exception):
    pass


@pytest.fixture
def every_epoch(monkeypatch):
    """A checkpoint after every epoch but the last."""
    monkeypatch.setattr(epochs, "SECONDS_BETWEEN_CHECKPOINTS", 0)


@pytest.mark.parametrize(("between", "expected"), [(20, [3, 6]), (0, [1, 2, 3, 4, 5, 6]), (57, [])])
def test_checkpoints_are_some_seconds_apart_and_none_follows_the_last_epoch(monkeypatch, tmp_path, between, expected):
    """Seven epochs of eight seconds each."""
    now, kept = [0.0], []

    def evaluate(*_):
        now[0] += 8
        return {"accuracy": 0.0, "loss": 0.0}

    monkeypatch.setattr(epochs, "time", types.SimpleNamespace(monotonic=lambda: 0, perf_counter=lambda: now[0]))
    monkeypatch.setattr(training, "evaluate", evaluate)
    monkeypatch.setattr(checkpoints, "save", lambda *arguments: kept.append(arguments[-1]))
    monkeypatch.setattr(epochs, "SECONDS_BETWEEN_CHECKPOINTS", between)
    seven = dataclasses.replace(RECIPE, epochs=7)
    training.fit(network(), split(), split(seed=1), seven, seed=2, checkpoint=tmp_path / "checkpoint.pt")
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
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint.pt", "checkpoint.pt.before"}


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
        patch.setattr(epochs, "time", stopped)
        with pytest.raises(epochs.Paused, match="training paused after epoch 2 of 3; the same command"):
            training.fit(network(), split(), split(seed=1), RECIPE, seed=2, checkpoint=checkpoint, deadline=1)
    resumed = network()
    training.fit(resumed, split(), split(seed=1), RECIPE, seed=2, checkpoint=checkpoint)
    assert_equal(whole, resumed)


def test_a_pause_before_any_new_epoch_writes_no_checkpoint(tmp_path):
    checkpoint = tmp_path / "checkpoint.pt"
    with pytest.raises(epochs.Paused, match="after epoch 0 of 3"):
        training.fit(network(), split(), split(), RECIPE, seed=2, checkpoint=checkpoint, deadline=-math.inf)
    assert not checkpoint.exists()


@pytest.mark.usefixtures("every_epoch")
def test_a_full_disk_keeps_the_checkpoint_before_it(tmp_path, monkeypatch):
    checkpoint = tmp_path / "checkpoint.pt"
    training.fit(network(), split(), split(seed=1), RECIPE, seed=2, checkpoint=checkpoint)
    earlier = tmp_path / "checkpoint.pt.before"
    before = earlier.read_bytes()

    def full(content, path):
        path.write(b"half")
        raise RuntimeError("PytorchStreamWriter failed writing file: No space left on device")

    monkeypatch.setattr(torch, "save", full)
    earlier.rename(checkpoint)  # so that the one after the last epoch but one is written again
    with pytest.raises(OSError, match=r"checkpoint.pt: no room.*what was finished before is kept"):
        training.fit(network(), split(), split(seed=1), RECIPE, seed=2, checkpoint=checkpoint)
    assert checkpoint.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]
